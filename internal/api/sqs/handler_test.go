package sqs

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const testTenant = "000000000000"

type M = map[string]any

// A platform is a Handler upon a real service.
type platform struct {
	t        *testing.T
	handler  *Handler
	identity millicent.Identity
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	srv, err := natsd.Start(filepath.Join(dir, "state"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, srv) })
	conn, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := store.OpenCatalog[millicent.Queue](t.Context(), js, "queues", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, catalog) })
	queues, err := queue.Open(t.Context(), js, queue.Config{Dir: filepath.Join(dir, "messages"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closing(t, queues) })
	service := sqs.New(sqs.Config{Region: "us-east-1", Catalog: catalog, Messages: queues})
	return &platform{t, New(Config{Region: "us-east-1", Queues: service}), millicent.Identity{Tenant: testTenant}}
}

func closing(t *testing.T, c io.Closer) {
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func (p *platform) serve(r *http.Request) *httptest.ResponseRecorder {
	p.t.Helper()
	if !Match(r) {
		p.t.Fatalf("%s %s is not taken for a request to SQS", r.Method, r.URL)
	}
	ctx := millicent.WithIdentity(millicent.WithRequestID(r.Context(), "id-1"), p.identity)
	w := httptest.NewRecorder()
	if err := p.handler.Serve(w, r.WithContext(ctx)); err != nil {
		status, header, body := p.handler.Answer(r, err, 0)
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
	return w
}

// json calls an operation by the JSON protocol.
func (p *platform) json(operation string, in M) (status int, out M) {
	p.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "http://localhost:4566/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	w := p.serve(r)
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			p.t.Fatalf("%s: %v in %s", operation, err, w.Body)
		}
	}
	return w.Code, out
}

// must is json for what has to go well.
func (p *platform) must(operation string, in M) M {
	p.t.Helper()
	status, out := p.json(operation, in)
	if status != http.StatusOK {
		p.t.Fatalf("%s: %d %v", operation, status, out)
	}
	return out
}

// query calls an operation by the query protocol.
func (p *platform) query(path string, pairs ...string) (status int, body string) {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("POST", "http://localhost:4566"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w := p.serve(r)
	if err := xml.Unmarshal(w.Body.Bytes(), new(struct{})); err != nil {
		p.t.Fatalf("%v in %s", err, w.Body)
	}
	return w.Code, w.Body.String()
}

func (p *platform) create(name string, attributes M) (url string) {
	p.t.Helper()
	return p.must("CreateQueue", M{"QueueName": name, "Attributes": attributes})["QueueUrl"].(string)
}

func (p *platform) receive(url string, more M) []any {
	p.t.Helper()
	in := M{"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": []string{"All"}, "MessageAttributeNames": []string{"All"}}
	maps.Copy(in, more)
	messages, _ := p.must("ReceiveMessage", in)["Messages"].([]any)
	return messages
}

func TestMessages(t *testing.T) {
	p := newPlatform(t)
	u := p.create("q", nil)
	if u != "http://localhost:4566/000000000000/q" {
		t.Errorf("URL %s", u)
	}
	sent := p.must("SendMessage", M{
		"QueueUrl": u, "MessageBody": "hello",
		"MessageAttributes": M{
			"k": M{"DataType": "String", "StringValue": "v"},
			"b": M{"DataType": "Binary", "BinaryValue": "YWJj"},
		},
		"MessageSystemAttributes": M{"AWSTraceHeader": M{"DataType": "String", "StringValue": "Root=1"}},
	})
	// The checksums that AWS's own clients compute.
	if sent["MD5OfMessageBody"] != "5d41402abc4b2a76b9719d911017c592" || sent["MD5OfMessageAttributes"] != "5c2e6a589cdc217adbec5ea47be2c85e" {
		t.Errorf("sent %v", sent)
	}
	messages := p.receive(u, nil)
	if len(messages) != 1 {
		t.Fatalf("received %v", messages)
	}
	got := messages[0].(M)
	attributes := got["Attributes"].(M)
	if got["Body"] != "hello" || got["MessageId"] != sent["MessageId"] || got["MD5OfMessageAttributes"] != sent["MD5OfMessageAttributes"] ||
		attributes["AWSTraceHeader"] != "Root=1" || attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("received %v", got)
	}
	if diff := cmp.Diff(M{"k": M{"DataType": "String", "StringValue": "v"}, "b": M{"DataType": "Binary", "BinaryValue": "YWJj"}}, got["MessageAttributes"]); diff != "" {
		t.Error(diff)
	}
	if again := p.receive(u, nil); len(again) != 0 {
		t.Errorf("a hidden message is received: %v", again)
	}
	handle := got["ReceiptHandle"]
	p.must("ChangeMessageVisibility", M{"QueueUrl": u, "ReceiptHandle": handle, "VisibilityTimeout": 0})
	messages = p.receive(u, M{"AttributeNames": []string{"ApproximateReceiveCount"}, "MessageAttributeNames": []string{"k.*"}})
	got = messages[0].(M)
	if diff := cmp.Diff(M{"ApproximateReceiveCount": "2"}, got["Attributes"]); diff != "" {
		t.Error(diff)
	}
	if len(got["MessageAttributes"].(M)) != 1 || got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"] {
		t.Errorf("asked for one attribute, got %v", got)
	}
	p.must("DeleteMessage", M{"QueueUrl": u, "ReceiptHandle": got["ReceiptHandle"]})
	p.must("DeleteMessage", M{"QueueUrl": u, "ReceiptHandle": got["ReceiptHandle"]})
	counts := p.must("GetQueueAttributes", M{"QueueUrl": u, "AttributeNames": []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}})
	if diff := cmp.Diff(M{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}, counts["Attributes"]); diff != "" {
		t.Error(diff)
	}
}

func TestFIFO(t *testing.T) {
	p := newPlatform(t)
	u := p.create("q.fifo", M{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	send := func(group, body string) M {
		return p.must("SendMessage", M{"QueueUrl": u, "MessageBody": body, "MessageGroupId": group})
	}
	first, second := send("a", "1"), send("a", "1")
	if first["MessageId"] != second["MessageId"] || first["SequenceNumber"] != second["SequenceNumber"] || len(first["SequenceNumber"].(string)) != 20 {
		t.Errorf("a duplicate: %v and %v", first, second)
	}
	send("a", "2")
	send("b", "3")
	bodies := func(messages []any) (l []string) {
		for _, m := range messages {
			l = append(l, m.(M)["Body"].(string))
		}
		return l
	}
	one := p.receive(u, M{"MaxNumberOfMessages": 1})
	if got := bodies(one); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("received %v", got)
	}
	if got := bodies(p.receive(u, nil)); !slices.Equal(got, []string{"3"}) {
		t.Errorf("received %v while a message of group a is in flight", got)
	}
	p.must("DeleteMessage", M{"QueueUrl": u, "ReceiptHandle": one[0].(M)["ReceiptHandle"]})
	if got := bodies(p.receive(u, nil)); !slices.Equal(got, []string{"2"}) {
		t.Errorf("received %v after it", got)
	}
}

func TestDeadLetters(t *testing.T) {
	p := newPlatform(t)
	dead := p.create("dead", nil)
	u := p.create("q", M{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}`})
	p.must("SendMessage", M{"QueueUrl": u, "MessageBody": "poison"})
	for range 2 {
		if got := p.receive(u, M{"WaitTimeSeconds": 20}); len(got) != 1 {
			t.Fatalf("received %v", got)
		}
	}
	if got := p.receive(u, M{"WaitTimeSeconds": 1}); len(got) != 0 {
		t.Errorf("received %v for the third time", got)
	}
	got := p.receive(dead, nil)
	if len(got) != 1 || got[0].(M)["Attributes"].(M)["DeadLetterQueueSourceArn"] != "arn:aws:sqs:us-east-1:000000000000:q" {
		t.Errorf("dead letters: %v", got)
	}
	if sources := p.must("ListDeadLetterSourceQueues", M{"QueueUrl": dead})["queueUrls"]; !cmp.Equal(sources, []any{u}) {
		t.Errorf("sources %v", sources)
	}
}

func TestBatches(t *testing.T) {
	p := newPlatform(t)
	u := p.create("q", nil)
	out := p.must("SendMessageBatch", M{"QueueUrl": u, "Entries": []M{
		{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "\x01"}, {"Id": "c", "MessageBody": "3"},
	}})
	if len(out["Successful"].([]any)) != 2 || len(out["Failed"].([]any)) != 1 {
		t.Fatalf("sent %v", out)
	}
	if bad := out["Failed"].([]any)[0].(M); bad["Id"] != "b" || bad["Code"] != "InvalidMessageContents" || bad["SenderFault"] != true {
		t.Errorf("failed %v", bad)
	}
	var hide, done []M
	for i, m := range p.receive(u, nil) {
		id := string(rune('a' + i))
		hide = append(hide, M{"Id": id, "ReceiptHandle": m.(M)["ReceiptHandle"], "VisibilityTimeout": 60})
		done = append(done, M{"Id": id, "ReceiptHandle": m.(M)["ReceiptHandle"]})
	}
	for _, batch := range []struct {
		operation string
		entries   []M
	}{
		{"ChangeMessageVisibilityBatch", hide},
		{"DeleteMessageBatch", append(done, M{"Id": "x", "ReceiptHandle": "none"})},
	} {
		out := p.must(batch.operation, M{"QueueUrl": u, "Entries": batch.entries})
		if len(out["Successful"].([]any)) != 2 {
			t.Errorf("%s: %v", batch.operation, out)
		}
	}
}

// TestErrors: in both protocols.
func TestErrors(t *testing.T) {
	p := newPlatform(t)
	u := p.create("q", nil)
	fifo := p.create("q.fifo", M{"FifoQueue": "true"})
	entries := func(ids ...string) (l []M) {
		for _, id := range ids {
			l = append(l, M{"Id": id, "MessageBody": "b", "ReceiptHandle": "h"})
		}
		return l
	}
	for _, tt := range []struct {
		operation string
		in        M
		status    int
		code      string
		message   string
	}{
		{"Nonsense", M{}, 400, "InvalidAction", "Nonsense"},
		{"GetQueueUrl", M{"QueueName": "none"}, 400, "QueueDoesNotExist", "The specified queue does not exist."},
		{"GetQueueUrl", M{}, 400, "MissingParameter", "QueueName"},
		{"CreateQueue", M{"QueueName": "a b"}, 400, "InvalidParameterValue", "alphanumeric"},
		{"CreateQueue", M{"QueueName": "q", "Attributes": M{"DelaySeconds": "5"}}, 400, "QueueNameExists", "DelaySeconds"},
		{"CreateQueue", M{"QueueName": "n", "Attributes": M{"Nonsense": "5"}}, 400, "InvalidAttributeName", "Unknown Attribute Nonsense."},
		{"CreateQueue", M{"QueueName": "n", "Attributes": M{"DelaySeconds": "901"}}, 400, "InvalidAttributeValue", "DelaySeconds"},
		{"CreateQueue", M{"QueueName": "n.fifo"}, 400, "InvalidParameterValue", "FifoQueue"},
		{"SetQueueAttributes", M{"QueueUrl": u, "Attributes": M{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":3}`}}, 400, "InvalidParameterValue", "Dead letter target does not exist."},
		{"SendMessage", M{"QueueUrl": u}, 400, "MissingParameter", "MessageBody"},
		{"SendMessage", M{"MessageBody": "b"}, 400, "MissingParameter", "QueueUrl"},
		{"SendMessage", M{"QueueUrl": "http://localhost:4566/111111111111/q", "MessageBody": "b"}, 403, "AccessDeniedException", "denied"},
		{"SendMessage", M{"QueueUrl": u, "MessageBody": strings.Repeat("x", 1<<20+1)}, 400, "InvalidParameterValue", "Message must be shorter than 1048576 bytes."},
		{"SendMessage", M{"QueueUrl": u, "MessageBody": "b", "DelaySeconds": 901}, 400, "InvalidParameterValue", "DelaySeconds must be >= 0 and <= 900."},
		{"SendMessage", M{"QueueUrl": fifo, "MessageBody": "b"}, 400, "MissingParameter", "MessageGroupId"},
		{"SendMessage", M{"QueueUrl": fifo, "MessageBody": "b", "MessageGroupId": "g"}, 400, "InvalidParameterValue", "ContentBasedDeduplication"},
		{"SendMessage", M{"QueueUrl": u, "MessageBody": "b", "MessageAttributes": M{"a": M{"DataType": "Nonsense", "StringValue": "x"}}}, 400, "InvalidParameterValue", "type"},
		{"ReceiveMessage", M{"QueueUrl": u, "MaxNumberOfMessages": 11}, 400, "InvalidParameterValue", "Must be between 1 and 10, if provided."},
		{"ReceiveMessage", M{"QueueUrl": u, "WaitTimeSeconds": 21}, 400, "InvalidParameterValue", "Must be >= 0 and <= 20, if provided."},
		{"DeleteMessage", M{"QueueUrl": u, "ReceiptHandle": "none"}, 400, "ReceiptHandleIsInvalid", "The input receipt handle is invalid."},
		{"SendMessageBatch", M{"QueueUrl": u}, 400, "EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request."},
		{"DeleteMessageBatch", M{"QueueUrl": u, "Entries": entries("a", "a")}, 400, "BatchEntryIdsNotDistinct", "Id a repeated."},
		{"SendMessageBatch", M{"QueueUrl": u, "Entries": entries("a b")}, 400, "InvalidBatchEntryId", "80 letters"},
		{"SendMessageBatch", M{"QueueUrl": u, "Entries": entries("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11")}, 400, "TooManyEntriesInBatchRequest", "You have sent 11."},
	} {
		status, out := p.json(tt.operation, tt.in)
		if status != tt.status || out["__type"] != "com.amazonaws.sqs#"+tt.code || !strings.Contains(out["message"].(string), tt.message) {
			t.Errorf("%s %v: %d %v, want %d %s …%s…", tt.operation, tt.in, status, out, tt.status, tt.code, tt.message)
		}
	}
	p.must("PurgeQueue", M{"QueueUrl": u})
	if status, out := p.json("PurgeQueue", M{"QueueUrl": u}); status != 403 || out["__type"] != "com.amazonaws.sqs#PurgeQueueInProgress" {
		t.Errorf("a second purge: %d %v", status, out)
	}
	status, body := p.query("/", "Action", "GetQueueUrl", "QueueName", "none<")
	if status != 400 || !strings.Contains(body, "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>") || !strings.Contains(body, "<Type>Sender</Type>") {
		t.Errorf("%d %s", status, body)
	}
}

// TestQueryProtocol sends what older clients send.
func TestQueryProtocol(t *testing.T) {
	p := newPlatform(t)
	ok := func(want []string, path string, pairs ...string) string {
		t.Helper()
		status, body := p.query(path, pairs...)
		for _, w := range want {
			if status != 200 || !strings.Contains(body, w) {
				t.Errorf("%v: %d %s, want %s", pairs, status, body, w)
			}
		}
		return body
	}
	ok([]string{"<CreateQueueResult><QueueUrl>http://localhost:4566/000000000000/q</QueueUrl></CreateQueueResult>", "<RequestId>id-1</RequestId>"},
		"/", "Action", "CreateQueue", "QueueName", "q", "Attribute.1.Name", "DelaySeconds", "Attribute.1.Value", "0", "Tag.1.Key", "t", "Tag.1.Value", "1")
	ok([]string{"<MD5OfMessageBody>5d41402abc4b2a76b9719d911017c592</MD5OfMessageBody>", "<MD5OfMessageAttributes>"},
		"/000000000000/q", "Action", "SendMessage", "MessageBody", "hello",
		"MessageAttribute.1.Name", "k", "MessageAttribute.1.Value.DataType", "String", "MessageAttribute.1.Value.StringValue", "<v>",
		"MessageAttribute.2.Name", "b", "MessageAttribute.2.Value.DataType", "Binary", "MessageAttribute.2.Value.BinaryValue", "YWJj")
	body := ok([]string{"<Body>hello</Body>", "<Attribute><Name>SenderId</Name><Value>000000000000</Value></Attribute>",
		"<MessageAttribute><Name>k</Name><Value><DataType>String</DataType><StringValue>&lt;v&gt;</StringValue></Value></MessageAttribute>",
		"<BinaryValue>YWJj</BinaryValue>"},
		"/", "Action", "ReceiveMessage", "QueueUrl", "http://localhost:4566/000000000000/q", "AttributeName.1", "All", "MessageAttributeName.1", "All")
	_, rest, _ := strings.Cut(body, "<ReceiptHandle>")
	handle, _, _ := strings.Cut(rest, "</ReceiptHandle>")
	ok([]string{"<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>", "<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault><Code>ReceiptHandleIsInvalid</Code>"},
		"/000000000000/q", "Action", "DeleteMessageBatch",
		"DeleteMessageBatchRequestEntry.1.Id", "a", "DeleteMessageBatchRequestEntry.1.ReceiptHandle", handle,
		"DeleteMessageBatchRequestEntry.2.Id", "b", "DeleteMessageBatchRequestEntry.2.ReceiptHandle", "none")
	ok([]string{"<Tag><Key>t</Key><Value>1</Value></Tag>"}, "/000000000000/q", "Action", "ListQueueTags")
	ok([]string{"<ListQueuesResult><QueueUrl>http://localhost:4566/000000000000/q</QueueUrl></ListQueuesResult>"}, "/", "Action", "ListQueues")
	ok([]string{"<DeleteQueueResponse", "<ResponseMetadata>"}, "/000000000000/q", "Action", "DeleteQueue")
	if status, _ := p.query("/", "Action", "SendMessage", "QueueUrl", "q", "DelaySeconds", "x"); status != 400 {
		t.Errorf("a number that is none: %d", status)
	}
}

func TestPages(t *testing.T) {
	p := newPlatform(t)
	var want, got []any
	for _, name := range []string{"a1", "a2", "a3", "b1"} {
		u := p.create(name, nil)
		if name[0] == 'a' {
			want = append(want, u)
		}
	}
	in := M{"QueueNamePrefix": "a", "MaxResults": 2}
	for {
		out := p.must("ListQueues", in)
		got = append(got, out["QueueUrls"].([]any)...)
		token, ok := out["NextToken"]
		if !ok {
			break
		}
		in["NextToken"] = token
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFunctionsMaySendAndReceive(t *testing.T) {
	p := newPlatform(t)
	u := p.create("q", nil)
	p.identity.Function = "f"
	p.must("SendMessage", M{"QueueUrl": u, "MessageBody": "b"})
	for _, operation := range []string{"CreateQueue", "DeleteQueue", "PurgeQueue", "SetQueueAttributes", "TagQueue", "ListQueues"} {
		if status, out := p.json(operation, M{"QueueUrl": u, "QueueName": "n"}); status != 403 || out["__type"] != "com.amazonaws.sqs#AccessDeniedException" {
			t.Errorf("%s by a function: %d %v", operation, status, out)
		}
	}
}

func TestMatch(t *testing.T) {
	form := "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		method, target, contentType, amzTarget string
		want                                   bool
	}{
		{"POST", "/", "application/x-amz-json-1.0", "AmazonSQS.ListQueues", true},
		{"POST", "/", "application/x-amz-json-1.0", "DynamoDB.ListTables", false},
		{"POST", "/", form, "", true},
		{"GET", "/?Action=ListQueues", "", "", true},
		{"GET", "/", "", "", false},
		{"POST", "/000000000000/q", form, "", true},
		{"POST", "/2015-03-31/functions", form, "", false},
		{"POST", "/2015-03-31/functions", "application/json", "", false},
	} {
		r := httptest.NewRequest(tt.method, "http://localhost"+tt.target, nil)
		r.Header.Set("Content-Type", tt.contentType)
		r.Header.Set("X-Amz-Target", tt.amzTarget)
		if got := Match(r); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// FuzzEncodeXML: whatever a message holds, its answer is XML that holds it.
func FuzzEncodeXML(f *testing.F) {
	f.Add("<body>&", "name", []byte{0})
	f.Fuzz(func(t *testing.T, body, name string, binary []byte) {
		if !utf8.ValidString(body) || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r > 0xFFFD }) {
			return
		}
		answer := &receiveMessageResponse{Messages: []message{{
			Body: body, MessageAttributes: map[string]attribute{name: {DataType: "Binary", BinaryValue: binary}},
		}}}
		var got struct {
			Bodies []string `xml:"ReceiveMessageResult>Message>Body"`
		}
		if err := xml.Unmarshal(encodeXML("ReceiveMessage", "id", answer), &got); err != nil || len(got.Bodies) != 1 || got.Bodies[0] != body {
			t.Errorf("%q became %q: %v", body, got.Bodies, err)
		}
	})
}

func FuzzDecodeQuery(f *testing.F) {
	f.Add("MessageAttribute.1.Name=k&MessageAttribute.1.Value.BinaryValue=YWJj&DelaySeconds=1")
	f.Add("SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=k")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		for _, v := range []any{new(sendMessageRequest), new(sendMessageBatchRequest), new(receiveMessageRequest), new(changeVisibilityBatchRequest)} {
			if err := decodeQuery(form, v); err != nil && millicent.ErrorCode(err) != sqs.CodeInvalidValue {
				t.Error(err)
			}
		}
	})
}
