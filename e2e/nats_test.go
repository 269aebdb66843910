package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startNATS starts a NATS server with JetStream and returns its HOST:PORT and a
// client's connection to it.
func startNATS(t *testing.T) (address string, conn *nats.Conn) {
	t.Helper()
	srv, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, Username: "me", Password: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	conn, err = nats.Connect(srv.ClientURL(), nats.UserInfo("me", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return srv.Addr().String(), conn
}

// sendsOn sends what it gets from NATS to the queue "out", and fails with what
// is bad.
const sendsOn = `
import os, json, base64, urllib.request
def handler(event, context):
    texts = [base64.b64decode(record["nats"]["data"]).decode() for record in event["Records"]]
    if "bad" in texts:
        raise ValueError("bad")
    for text, record in zip(texts, event["Records"]):
        request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps({
            "QueueUrl": "/000000000000/out", "MessageBody": text + " of " + record["nats"]["subject"]}).encode(),
            {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"})
        urllib.request.urlopen(request).read()
`

// createSendsOn makes a function of it, which knows the NATS server's password.
func (s *server) createSendsOn(name string) {
	s.t.Helper()
	s.create(&lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(512),
		Code:        &types.FunctionCode{ZipFile: zipOf(s.t, map[string]string{"app.py": sendsOn})},
		Environment: &types.Environment{Variables: map[string]string{"NATS": "me:secret"}},
	})
}

// From a stream to a function, over a kill -9 of the server: every message is
// handled, in order, and the bad one is told of. The mapping is driven by all
// of its operations.
func TestStreamToFunction(t *testing.T) {
	address, conn := startNATS(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.*"}})
	if err != nil {
		t.Fatal(err)
	}
	s := up(t, "--reach", address)
	s.createSendsOn("f")
	s.queue("out")
	failed := s.queue("failed")
	source := "arn:aws-millicent:nats:::nats://" + address + "/stream/ORDERS/orders.new"
	made, err := s.sdk().CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: &source, BatchSize: aws.Int32(5), StartingPosition: types.EventSourcePositionTrimHorizon,
		SourceAccessConfigurations: []types.SourceAccessConfiguration{{Type: types.SourceAccessTypeBasicAuth, URI: aws.String("NATS")}},
		BisectBatchOnFunctionError: aws.Bool(true), MaximumRetryAttempts: aws.Int32(1),
		DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: &failed}},
		Tags:              map[string]string{"stage": "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	var got []int
	collect := func() {
		for _, body := range s.receive(ctx, t, "out") {
			text, isNew := strings.CutSuffix(body, " of orders.new")
			i, err := strconv.Atoi(text)
			if err != nil || !isNew {
				t.Errorf("%q arrived", body)
			}
			if !slices.Contains(got, i) { // once more only after the kill
				got = append(got, i)
			}
		}
	}
	for i := range n {
		body := strconv.Itoa(i)
		if i == 41 {
			body = "bad"
		}
		for _, subject := range []string{"orders.new", "orders.old"} {
			if _, err := js.Publish(ctx, subject, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		if i == n/2 {
			collect()
			s.kill()
			s.start()
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); len(got) < n-1 && time.Now().Before(deadline); {
		collect()
	}
	if len(got) != n-1 || !slices.IsSorted(got) {
		t.Errorf("%d of %d records arrived, first in the order %v", len(got), n-1, got)
	}
	var record struct {
		Batch struct {
			Start string `json:"startSequenceNumber"`
			End   string `json:"endSequenceNumber"`
		} `json:"NATSBatchInfo"`
	}
	if body := s.await("failed").Body; json.Unmarshal([]byte(*body), &record) != nil || record.Batch.Start != "83" || record.Batch.End != "83" {
		t.Errorf("told of the bad one: %s", *body)
	}
	s.driveMapping(t, *made.UUID, *made.EventSourceMappingArn, source)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		info, err := stream.Info(ctx)
		if err == nil && info.State.Consumers == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the deleted mapping leaves its consumer (%v)", err)
		}
	}
}

// driveMapping calls the operations on a mapping, the last of which deletes it.
func (s *server) driveMapping(t *testing.T, id, arn, source string) {
	t.Helper()
	ctx, c := context.Background(), s.sdk()
	got, err := c.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
	if err != nil || *got.State != "Enabled" || *got.LastProcessingResult != "OK" || got.StartingPosition != types.EventSourcePositionTrimHorizon ||
		*got.SourceAccessConfigurations[0].URI != "NATS" || !*got.BisectBatchOnFunctionError || *got.MaximumRecordAgeInSeconds != -1 {
		t.Errorf("got %+v (%v)", got, err)
	}
	list, err := c.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{EventSourceArn: &source, FunctionName: aws.String("f")})
	if err != nil || len(list.EventSourceMappings) != 1 {
		t.Errorf("listed %+v (%v)", list, err)
	}
	updated, err := c.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{
		UUID: &id, BatchSize: aws.Int32(7), ParallelizationFactor: aws.Int32(2), MaximumRecordAgeInSeconds: aws.Int32(3600),
		FunctionResponseTypes: []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures},
		FilterCriteria:        &types.FilterCriteria{Filters: []types.Filter{{Pattern: aws.String(`{"data":["x"]}`)}}},
	})
	if err != nil || *updated.State != "Updating" || *updated.BatchSize != 7 || *updated.ParallelizationFactor != 2 ||
		*updated.MaximumRecordAgeInSeconds != 3600 || len(updated.FilterCriteria.Filters) != 1 {
		t.Errorf("updated %+v (%v)", updated, err)
	}
	if _, err := c.TagResource(ctx, &lambda.TagResourceInput{Resource: &arn, Tags: map[string]string{"owner": "me"}}); err != nil {
		t.Error(err)
	}
	if _, err := c.UntagResource(ctx, &lambda.UntagResourceInput{Resource: &arn, TagKeys: []string{"stage"}}); err != nil {
		t.Error(err)
	}
	tags, err := c.ListTags(ctx, &lambda.ListTagsInput{Resource: &arn})
	if err != nil || len(tags.Tags) != 1 || tags.Tags["owner"] != "me" {
		t.Errorf("tags %+v (%v)", tags, err)
	}
	if deleted, err := c.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: &id}); err != nil || *deleted.State != "Deleting" {
		t.Errorf("deleted %+v (%v)", deleted, err)
	}
}

// From a function to a subject of the platform, and by that to another
// function; and from a subject of another server to a function.
func TestSubjects(t *testing.T) {
	address, conn := startNATS(t)
	s := up(t, "--reach", address)
	s.createPython("f")
	s.createSendsOn("own")
	s.createSendsOn("other")
	s.queue("out")
	s.configureEvents("f", "arn:aws-millicent:nats:::results.f", "")
	for function, in := range map[string]lambda.CreateEventSourceMappingInput{
		"own": {EventSourceArn: aws.String("arn:aws-millicent:nats:::results.*")},
		"other": {EventSourceArn: aws.String("arn:aws-millicent:nats:::nats://" + address + "/orders.>"), SourceAccessConfigurations: []types.SourceAccessConfiguration{
			{Type: types.SourceAccessTypeBasicAuth, URI: aws.String("NATS")},
		}},
	} {
		in.FunctionName = &function
		if _, err := s.sdk().CreateEventSourceMapping(t.Context(), &in); err != nil {
			t.Fatal(err)
		}
	}
	s.sendEvent("f", `{"n":1}`)
	if body := *s.await("out").Body; !strings.HasSuffix(body, " of results.f") || !strings.Contains(body, `"requestPayload":{"n":1}`) {
		t.Errorf("over a subject of the platform came %s", body)
	}
	for deadline := time.Now().Add(time.Minute); ; { // until somebody has subscribed
		if _, err := conn.Request("orders.new", []byte("an order"), 10*time.Millisecond); err == nil || !errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody subscribes")
		}
	}
	if body := *s.await("out").Body; body != "an order of orders.new" {
		t.Errorf("over a subject of another server came %s", body)
	}
}

// Records reach a webhook, and what it refuses is a dead letter that a replay
// sends once more.
func TestWebhook(t *testing.T) {
	records := make(chan string, 10)
	refuse := make(chan bool, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/hook" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		if <-refuse {
			w.WriteHeader(http.StatusForbidden)
		}
		records <- string(body)
	}))
	t.Cleanup(hook.Close)
	s := up(t, "--reach", hook.Listener.Addr().String())
	s.createPython("f")
	s.configureEvents("f", "arn:aws-millicent:webhook:::"+hook.URL+"/hook", "")
	refuse <- false
	s.sendEvent("f", `{"n":1}`)
	if r := <-records; !strings.Contains(r, `"condition":"Success"`) || !strings.Contains(r, `"requestPayload":{"n":1}`) {
		t.Errorf("the webhook got %s", r)
	}
	refuse <- true
	s.sendEvent("f", `{"n":2}`)
	refused := <-records
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.mustCLI("dlq", "list", "f"), "DeliveryFailed"); {
		if time.Now().After(deadline) {
			t.Fatal("there is no dead letter")
		}
	}
	refuse <- false
	if out := s.mustCLI("dlq", "replay", "f", "--all"); out != "f: 1 replayed\n" {
		t.Errorf("the replay says %q", out)
	}
	if r := <-records; r != refused {
		t.Errorf("replayed was %s, not %s", r, refused)
	}
}

// What went to a dead-letter queue is shown, and moved back.
func TestDeadLetterQueue(t *testing.T) {
	s := up(t)
	dead, err := s.queues().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.queues().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("in"), Attributes: map[string]string{
		"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}`}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.queues().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: in.QueueUrl, MessageBody: aws.String("bad")}); err != nil {
		t.Fatal(err)
	}
	var letters []struct {
		Source string
		Number uint64
	}
	for deadline := time.Now().Add(time.Minute); len(letters) == 0 && time.Now().Before(deadline); {
		// The second one to get it finds that it was received too often.
		if _, err := s.queues().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: in.QueueUrl}); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(s.mustCLI("dlq", "list", "--queue", "--json")), &letters); err != nil {
			t.Fatal(err)
		}
	}
	if len(letters) != 1 || letters[0].Source != "in" {
		t.Fatalf("listed %+v", letters)
	}
	number := fmt.Sprint(letters[0].Number)
	if out := s.mustCLI("dlq", "show", "--queue", "dead", number); !strings.Contains(out, "From       in") || !strings.HasSuffix(out, "\nbad\n") {
		t.Errorf("shown is %s", out)
	}
	if out := s.mustCLI("dlq", "replay", "--queue", "dead", "--all", "--dry-run"); !strings.Contains(out, number) {
		t.Errorf("of the dry run: %s", out)
	}
	if out := s.mustCLI("dlq", "replay", "--queue", "dead", number); out != "dead: 1 replayed\n" {
		t.Errorf("of the replay: %s", out)
	}
	if m := s.await("in"); *m.Body != "bad" {
		t.Errorf("moved back was %s", *m.Body)
	}
	if _, err := s.queues().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: dead.QueueUrl, MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	if out := s.mustCLI("dlq", "purge", "--queue", "dead", "--all"); out != "dead: 1 purged\n" {
		t.Errorf("of the purge: %s", out)
	}
}

// boto3 drives every operation on mappings of queues, streams and subjects.
func TestBoto3Mappings(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_mappings.py", s.url())
}
