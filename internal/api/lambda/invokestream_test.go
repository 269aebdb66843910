package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent"
)

const streamPath = "/2021-11-15/functions/f/response-streaming-invocations"

// inParts answers with the texts of a list, each a part; one that is null ends
// it with a failure of the function, a number with one of the platform.
func (e *echo) inParts(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	var parts []any
	if err := json.Unmarshal(inv.Event, &parts); err != nil {
		return nil, err
	}
	inv.Sink.Begin(e.v.Number, "text/plain")
	res := &millicent.Result{Version: e.v.Number, LogTail: []byte("START\nEND\n"), Streamed: true}
	for _, part := range parts {
		switch part := part.(type) {
		case nil:
			res.Payload, res.FunctionError = []byte(`{"errorMessage":"mid"}`), "Unhandled"
			return res, nil
		case float64:
			return nil, &millicent.Error{Code: millicent.CodeServerUnavailable, Message: "Gone.", Err: errors.New("secret")}
		case string:
			if err := inv.Sink.Write(ctx, []byte(part)); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

// TestEventStreamBytes holds an answer against what the format says, to the
// byte: lengths and headers, and CRCs that were computed elsewhere.
func TestEventStreamBytes(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("f")
	a := p.call("POST", streamPath, `["ab"]`)
	if a.status != 200 || a.header.Get("Content-Type") != "application/vnd.amazon.eventstream" ||
		a.header.Get("X-Amz-Executed-Version") != "$LATEST" || a.header.Get("Content-Length") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	want := "\x00\x00\x00\x6c\x00\x00\x00\x5a\xb2\x5e\xfd\xcf" +
		"\x0b:event-type\x07\x00\x0cPayloadChunk" +
		"\x0d:content-type\x07\x00\x18application/octet-stream" +
		"\x0d:message-type\x07\x00\x05event" +
		"ab\x57\x72\x86\xa8" +
		"\x00\x00\x00\x66\x00\x00\x00\x54\x1f\x56\xc8\x69" +
		"\x0b:event-type\x07\x00\x0eInvokeComplete" +
		"\x0d:content-type\x07\x00\x10application/json" +
		"\x0d:message-type\x07\x00\x05event" +
		"{}\x70\x06\xd4\x67"
	if string(a.body) != want {
		t.Errorf("got %q, want %q", a.body, want)
	}
}

// streamed is what AWS's own client makes of an answer.
type streamed struct {
	chunks  []string
	last    types.InvokeWithResponseStreamCompleteEvent
	version string
}

func invokeStream(t *testing.T, c *lambda.Client, in *lambda.InvokeWithResponseStreamInput) streamed {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	in.FunctionName = aws.String("f")
	out, err := c.InvokeWithResponseStream(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	got := streamed{version: aws.ToString(out.ExecutedVersion)}
	s := out.GetStream()
	defer s.Close()
	ends := 0
	for event := range s.Events() {
		switch e := event.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			got.chunks = append(got.chunks, string(e.Value.Payload))
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			got.last = e.Value
			ends++
		}
	}
	if err := s.Err(); err != nil || ends != 1 {
		t.Errorf("%d last events, error %v", ends, err)
	}
	return got
}

// TestClientStreams calls with AWS's own client functions that stream and
// functions that do not.
func TestClientStreams(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("f")
	c := newClient(t, p)
	large := strings.Repeat("x", maxChunk+1)
	for _, tt := range []struct {
		name, event   string
		chunks        []string
		code, details string
		tail          bool
		clientContext string
	}{
		{name: "parts", event: `["a","b"]`, chunks: []string{"a", "b"}},
		{name: "nothing", event: `[]`},
		{name: "a large part", event: `["` + large + `"]`, chunks: []string{large[:maxChunk], "x"}},
		{name: "a function that does not stream", event: `{"a":1}`, chunks: []string{`{"a":1}`}},
		{name: "and has much to say", event: `"` + large + `"`, chunks: []string{`"` + large[:maxChunk-1], `xx"`}},
		{name: "its log", event: `{}`, chunks: []string{"{}"}, tail: true},
		{name: "its context", event: `1`, chunks: []string{`{"a":2}`}, clientContext: base64.StdEncoding.EncodeToString([]byte(`{"a":2}`))},
		{name: "failure", event: `"fail"`, code: "Unhandled", details: `{"errorMessage":"failed"}`, tail: true},
		{name: "failure in between", event: `["a",null]`, chunks: []string{"a"}, code: "Unhandled", details: `{"errorMessage":"mid"}`, tail: true},
		{name: "failure of the platform", event: `["a",1]`, chunks: []string{"a"}, code: "ServiceUnavailableException", details: "Gone."},
	} {
		in := &lambda.InvokeWithResponseStreamInput{Payload: []byte(tt.event)}
		if tt.tail {
			in.LogType = types.LogTypeTail
		}
		if tt.clientContext != "" {
			in.ClientContext = &tt.clientContext
		}
		got := invokeStream(t, c, in)
		wantEqual(t, got.chunks, tt.chunks)
		if code, details := aws.ToString(got.last.ErrorCode), aws.ToString(got.last.ErrorDetails); code != tt.code || details != tt.details {
			t.Errorf("%s: ended with %q %q", tt.name, code, details)
		}
		if log := aws.ToString(got.last.LogResult); (log != "") != tt.tail || got.version != "$LATEST" {
			t.Errorf("%s: log %q of version %s", tt.name, log, got.version)
		}
	}
}

// TestStreamRefusals checks that what fails before it begins has a status of
// its own.
func TestStreamRefusals(t *testing.T) {
	const path = streamPath
	p := newPlatform(t, nil)
	p.create("f")
	for _, tt := range []struct {
		path, body, header, value string
		status                    int
		code                      string
	}{
		{strings.Replace(path, "/f/", "/g/", 1), "{}", "", "", 404, "ResourceNotFoundException"},
		{path, "{", "", "", 400, codeContent},
		{path, "{}", "X-Amz-Client-Context", "%", 400, codeContent},
		{path, "{}", "X-Amz-Invocation-Type", "Event", 400, codeValidation},
		{path, "{}", "X-Amz-Invocation-Type", "DryRun", 204, ""},
		{path, "{}", "X-Amz-Tenant-Id", "t", 501, millicent.CodeNotImplemented},
		{path, `"` + strings.Repeat("x", maxInvokeBody) + `"`, "", "", 413, codeTooLarge},
	} {
		var header []string
		if tt.header != "" {
			header = []string{tt.header, tt.value}
		}
		a := p.call("POST", tt.path, tt.body, header...)
		if a.status != tt.status || a.header.Get("X-Amzn-Errortype") != tt.code {
			t.Errorf("%.40s with %s: %d %s, want %d %s", tt.body, tt.header, a.status, a.header.Get("X-Amzn-Errortype"), tt.status, tt.code)
		}
	}
	p.must(200, "PUT", concurrencyPath("f"), M{"ReservedConcurrentExecutions": 0})
	if a := p.call("POST", path, "{}"); a.status != 429 || a.header.Get("X-Amzn-Errortype") != millicent.CodeThrottled {
		t.Errorf("throttled: %d %v", a.status, a.header)
	}
}
