package client

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// events encodes events: kinds and payloads in turns.
func events(t testing.TB, said ...string) string {
	t.Helper()
	var out bytes.Buffer
	encoder := eventstream.NewEncoder()
	for i := 0; i < len(said); i += 2 {
		if err := encoder.Encode(&out, eventstream.Message{
			Headers: eventstream.Headers{{Name: ":event-type", Value: eventstream.StringValue(said[i])}},
			Payload: []byte(said[i+1]),
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestInvokeStream(t *testing.T) {
	header := http.Header{"X-Amz-Executed-Version": {"3"}, "X-Amzn-Requestid": {"id-1"}}
	body := events(t, "PayloadChunk", "a", "Unheard", "x", "PayloadChunk", "b", "InvokeComplete",
		`{"ErrorCode":"Unhandled","ErrorDetails":"{}","LogResult":"aGVsbG8="}`)
	c, requests := answering(t, 200, header, body)
	var out strings.Builder
	got, err := c.InvokeStream(t.Context(), Invocation{Function: "a", Qualifier: "live", Payload: []byte(`{"n":1}`), Tail: true}, &out)
	if err != nil || out.String() != "ab" {
		t.Fatalf("streamed %q, error %v", out.String(), err)
	}
	want := &Result{Status: 200, Payload: []byte("{}"), FunctionError: "Unhandled", Version: "3", RequestID: "id-1", Log: "hello"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	r := <-requests
	if r.URI != "/2021-11-15/functions/a/response-streaming-invocations?Qualifier=live" || r.Body != `{"n":1}` || r.Header.Get("X-Amz-Log-Type") != "Tail" {
		t.Errorf("request: %+v", r)
	}
}

func TestInvokeStreamBreaksOff(t *testing.T) {
	whole := events(t, "PayloadChunk", "a", "InvokeComplete", "{}")
	for name, body := range map[string]string{
		"within an event":     whole[:len(whole)-1],
		"between events":      events(t, "PayloadChunk", "a"),
		"before any":          "",
		"with other bytes":    whole[:20] + "x" + whole[21:],
		"with no document":    events(t, "InvokeComplete", "{"),
		"in an endless event": "\x7f\xff\xff\xff" + strings.Repeat("x", 100),
	} {
		c, _ := answering(t, 200, nil, body)
		if _, err := c.InvokeStream(t.Context(), Invocation{Function: "a"}, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, _ := answering(t, 404, http.Header{"X-Amzn-Errortype": {"ResourceNotFoundException"}}, `{"Message":"none"}`)
	if _, err := c.InvokeStream(t.Context(), Invocation{Function: "a"}, io.Discard); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

// Whatever a server sends, no end is made up.
func FuzzFollow(f *testing.F) {
	f.Add([]byte(events(f, "PayloadChunk", "a", "InvokeComplete", `{"ErrorCode":"Unhandled"}`)))
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var r Result
		if err := r.follow(bytes.NewReader(answer), io.Discard); err == nil && !bytes.Contains(answer, []byte("InvokeComplete")) {
			t.Error("an end was found where there is none")
		}
	})
}
