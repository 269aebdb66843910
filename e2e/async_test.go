package e2e

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// moodyPython fails when it is told to.
const moodyPython = `
def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked for")
    return {"id": context.aws_request_id, "got": event}
`

func (s *server) createPython(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.create(&lambda.CreateFunctionInput{
			FunctionName: &name, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(512),
			Timeout: aws.Int32(30), Code: &types.FunctionCode{ZipFile: zipOf(s.t, map[string]string{"app.py": moodyPython})},
		})
	}
}

// queue makes a queue and returns its ARN.
func (s *server) queue(name string) string {
	s.t.Helper()
	if _, err := s.queues().CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: &name}); err != nil {
		s.t.Fatal(err)
	}
	return "arn:aws:sqs:us-east-1:000000000000:" + name
}

// await waits for a message of a queue and deletes it.
func (s *server) await(name string) sqstypes.Message {
	s.t.Helper()
	url := aws.String(s.url() + "/000000000000/" + name)
	for range 6 {
		out, err := s.queues().ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: url, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range out.Messages {
			if _, err := s.queues().DeleteMessage(s.t.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				s.t.Fatal(err)
			}
			return m
		}
	}
	s.t.Fatalf("no message came to %s:\n%s", name, tail(s.log.String(), 30))
	return sqstypes.Message{}
}

// sendEvent invokes a function with the type Event.
func (s *server) sendEvent(function, event string) {
	s.t.Helper()
	out, err := s.sdk().Invoke(s.t.Context(), &lambda.InvokeInput{
		FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: []byte(event),
	})
	if err != nil || out.StatusCode != 202 || len(out.Payload) != 0 {
		s.t.Fatalf("got %+v (%v)", out, err)
	}
}

// eventRecord is what a destination is sent.
type eventRecord struct {
	RequestContext struct {
		RequestID   string `json:"requestId"`
		FunctionARN string `json:"functionArn"`
		Condition   string `json:"condition"`
		Count       int    `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	RequestPayload  map[string]any `json:"requestPayload"`
	ResponseContext struct {
		StatusCode      int    `json:"statusCode"`
		ExecutedVersion string `json:"executedVersion"`
		FunctionError   string `json:"functionError"`
	} `json:"responseContext"`
	ResponsePayload map[string]any `json:"responsePayload"`
}

func (s *server) receiveRecord(queue string) eventRecord {
	s.t.Helper()
	var r eventRecord
	if body := s.await(queue).Body; json.Unmarshal([]byte(*body), &r) != nil {
		s.t.Fatalf("not a record: %s", *body)
	}
	return r
}

// configureEvents sets what becomes of a function's events.
func (s *server) configureEvents(function, onSuccess, onFailure string) {
	s.t.Helper()
	at := func(arn string) *string { return &arn }
	_, err := s.sdk().PutFunctionEventInvokeConfig(s.t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: &function, MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(600),
		DestinationConfig: &types.DestinationConfig{
			OnSuccess: &types.OnSuccess{Destination: at(onSuccess)}, OnFailure: &types.OnFailure{Destination: at(onFailure)},
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Records go to queues and on to functions, and what failed to the dead-letter
// queue as it came.
func TestDestinations(t *testing.T) {
	for _, mode := range []string{"none", "sigv4"} {
		t.Run("auth "+mode, func(t *testing.T) {
			s := up(t, "--auth", mode)
			s.withKey(t)
			done, failed, dead := s.queue("done"), s.queue("failed"), s.queue("dead")
			s.createPython("f", "next")
			s.configureEvents("f", "arn:aws:lambda:us-east-1:000000000000:function:next", failed)
			s.configureEvents("next", done, "")
			_, err := s.sdk().UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
				FunctionName: aws.String("f"), DeadLetterConfig: &types.DeadLetterConfig{TargetArn: &dead},
			})
			if err != nil {
				t.Fatal(err)
			}

			s.sendEvent("f", `{"n":1}`) // during the update
			r := s.receiveRecord("done")
			inner, _ := r.RequestPayload["responsePayload"].(map[string]any)
			if c := r.RequestContext; c.Condition != "Success" || c.Count != 1 || !strings.HasSuffix(c.FunctionARN, ":function:next:$LATEST") ||
				r.ResponseContext.StatusCode != 200 || r.ResponseContext.ExecutedVersion != "$LATEST" || r.ResponsePayload["id"] != c.RequestID ||
				inner["got"].(map[string]any)["n"] != 1. {
				t.Errorf("record of a success: %+v", r)
			}

			s.sendEvent("f", `{"fail":true}`)
			r = s.receiveRecord("failed")
			if c := r.RequestContext; c.Condition != "RetriesExhausted" || c.Count != 1 || r.ResponseContext.FunctionError != "Unhandled" ||
				r.RequestPayload["fail"] != true || r.ResponsePayload["errorMessage"] != "as asked for" {
				t.Errorf("record of a failure: %+v", r)
			}
			m := s.await("dead")
			a := m.MessageAttributes
			if *m.Body != `{"fail":true}` || *a["RequestID"].StringValue != r.RequestContext.RequestID || *a["ErrorCode"].StringValue != "200" ||
				*a["ErrorCode"].DataType != "Number" || *a["ErrorMessage"].StringValue != "as asked for" {
				t.Errorf("dead letter: %+v", m)
			}
		})
	}
}

// The five operations, by an SDK.
func TestEventInvokeConfigs(t *testing.T) {
	s := up(t)
	s.createPython("f")
	c, ctx, f := s.sdk(), t.Context(), aws.String("f")
	if _, err := c.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: f, MaximumRetryAttempts: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	updated, err := c.UpdateFunctionEventInvokeConfig(ctx, &lambda.UpdateFunctionEventInvokeConfigInput{FunctionName: f, MaximumEventAgeInSeconds: aws.Int32(61)})
	if err != nil || *updated.MaximumRetryAttempts != 1 || *updated.MaximumEventAgeInSeconds != 61 {
		t.Fatalf("updated to %+v (%v)", updated, err)
	}
	s.kill()
	s.start()
	c = s.sdk()
	got, err := c.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: f})
	if err != nil || *got.MaximumEventAgeInSeconds != 61 || got.LastModified.IsZero() || time.Since(*got.LastModified) > time.Hour {
		t.Fatalf("got %+v (%v)", got, err)
	}
	list, err := c.ListFunctionEventInvokeConfigs(ctx, &lambda.ListFunctionEventInvokeConfigsInput{FunctionName: f})
	if err != nil || len(list.FunctionEventInvokeConfigs) != 1 {
		t.Fatalf("listed %+v (%v)", list, err)
	}
	if _, err := c.DeleteFunctionEventInvokeConfig(ctx, &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: f}); err != nil {
		t.Fatal(err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := c.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: f}); !errors.As(err, &missing) {
		t.Errorf("after its deletion: %v", err)
	}
}

// Events that were accepted survive a kill -9 and a stop.
func TestEventsSurvive(t *testing.T) {
	s := up(t)
	done := s.queue("done")
	s.createPython("f")
	s.configureEvents("f", done, "")
	for name, end := range map[string]func(){"kill -9": s.kill, "stop": s.stop} {
		for range 20 {
			s.sendEvent("f", `{}`)
		}
		end()
		s.start()
		seen := map[string]bool{}
		for len(seen) < 20 {
			seen[s.receiveRecord("done").RequestContext.RequestID] = true
		}
		t.Logf("%s: all 20 ran", name)
	}
}

func TestBoto3Events(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_events.py", s.url())
}
