package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// reportsFailures sends each record's body to the queue "out", but for those
// that say bad, which it reports as failed.
const reportsFailures = `
import os, json, urllib.request
def send(body):
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps({
        "QueueUrl": "/000000000000/out", "MessageBody": body}).encode(),
        {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"})
    urllib.request.urlopen(request).read()
def handler(event, context):
    failed = []
    for record in event["Records"]:
        if "bad" in record["body"]:
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            send(record["body"] + " " + record["messageAttributes"]["n"]["stringValue"])
    return {"batchItemFailures": failed}
`

// From a queue to a function, and by that to another queue, over a kill -9 of
// the server: every message arrives, and the bad ones among the dead letters.
func TestQueueToFunction(t *testing.T) {
	s := up(t)
	ctx := context.Background()
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("mapped"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		MemorySize: aws.Int32(512), Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": reportsFailures})},
	})
	queue := func(name string, attributes map[string]string) *string {
		made, err := s.queues().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		return made.QueueUrl
	}
	queue("out", nil)
	queue("dead", nil)
	in := queue("in", map[string]string{"VisibilityTimeout": "5",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":2}`})
	made, err := s.sdk().CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("mapped"), EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:in"), BatchSize: aws.Int32(5),
		FunctionResponseTypes: []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures},
		FilterCriteria:        &types.FilterCriteria{Filters: []types.Filter{{Pattern: aws.String(`{"body":[{"anything-but":{"prefix":"skip"}}]}`)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 40
	want := map[string]bool{}
	for i := range n {
		body := fmt.Sprintf("good %d", i)
		switch i % 10 {
		case 3:
			body = fmt.Sprintf("bad %d", i)
		case 7:
			body = fmt.Sprintf("skip %d", i)
		default:
			want[fmt.Sprintf("%s %d", body, i)] = true
		}
		_, err := s.queues().SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: in, MessageBody: &body,
			MessageAttributes: map[string]sqstypes.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String(fmt.Sprint(i))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == n/2 {
			s.kill()
			s.start()
			in = aws.String(s.url() + "/000000000000/in")
		}
	}
	got := map[string]int{}
	deadline := time.Now().Add(2 * time.Minute)
	for len(got) < len(want) && time.Now().Before(deadline) {
		for _, body := range s.receive(ctx, t, "out") {
			got[body]++
		}
	}
	for body := range want {
		if got[body] == 0 {
			t.Errorf("%q did not arrive", body)
		}
	}
	for body := range got {
		if !want[body] {
			t.Errorf("%q arrived", body)
		}
	}
	dead := map[string]bool{}
	for len(dead) < n/10 && time.Now().Before(deadline) {
		for _, body := range s.receive(ctx, t, "dead") {
			if dead[body] = true; !strings.HasPrefix(body, "bad") {
				t.Errorf("a dead letter: %q", body)
			}
		}
	}
	if len(dead) != n/10 {
		t.Errorf("%d dead letters, want %d", len(dead), n/10)
	}
	after, err := s.sdk().GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: made.UUID})
	if err != nil || *after.State != "Enabled" {
		t.Errorf("the mapping is %v (%v)", after, err)
	}
}

// receive takes messages from a queue and deletes them.
func (s *server) receive(ctx context.Context, t *testing.T, name string) (bodies []string) {
	t.Helper()
	url := aws.String(s.url() + "/000000000000/" + name)
	out, err := s.queues().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out.Messages {
		bodies = append(bodies, *m.Body)
		if _, err := s.queues().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	return bodies
}

// passesOn sends what it gets back to where it came from, one round further.
const passesOn = `
import os, json, urllib.request
def handler(event, context):
    for record in event["Records"]:
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps({
            "QueueUrl": "/000000000000/in", "MessageBody": str(int(record["body"]) + 1)}).encode(),
            {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"})
        urllib.request.urlopen(request).read()
`

// A function that sends to the queue that feeds it is stopped after 16 rounds;
// the message that would have been the next is a dead letter.
func TestLoopThroughQueueEnds(t *testing.T) {
	s := up(t)
	ctx := context.Background()
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("mapped"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(512),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": passesOn})},
	})
	for _, q := range []sqs.CreateQueueInput{
		{QueueName: aws.String("dead")},
		{QueueName: aws.String("in"), Attributes: map[string]string{"VisibilityTimeout": "3",
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}`}},
	} {
		if _, err := s.queues().CreateQueue(ctx, &q); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.sdk().CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("mapped"), EventSourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:in")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.queues().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(s.url() + "/000000000000/in"), MessageBody: aws.String("0")})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if dead := s.receive(ctx, t, "dead"); len(dead) > 0 {
			if dead[0] != "16" {
				t.Errorf("the loop ended after %s rounds", dead[0])
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the loop does not end")
		}
	}
}
