package process

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// A recorder is a sink that keeps what it gets. It may be told not to.
type recorder struct {
	fails  error         // what Write returns
	blocks bool          // Write waits until ctx ends
	wrote  chan struct{} // closed by the first Write

	mu    sync.Mutex
	calls []string
	over  bool // nothing may come any more
	late  bool // it has come
}

func newRecorder() *recorder { return &recorder{wrote: make(chan struct{})} }

func (r *recorder) note(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
	r.late = r.late || r.over
}

// Begin implements millicent.Sink.
func (r *recorder) Begin(version, contentType string) { r.note("begin " + version + " " + contentType) }

// Write implements millicent.Sink.
func (r *recorder) Write(ctx context.Context, p []byte) error {
	r.note(string(p))
	select {
	case <-r.wrote:
	default:
		close(r.wrote)
	}
	if r.blocks {
		<-ctx.Done()
		return ctx.Err()
	}
	return r.fails
}

// end returns what was called, and has the test fail if anything comes later.
func (r *recorder) end(t *testing.T) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	t.Cleanup(func() {
		if r.late {
			t.Errorf("the sink was used after the invocation's end: %.100q", r.calls)
		}
	})
	return r.calls
}

// streamed has t's response go to a recorder.
func (t *turn) streamed(tt *testing.T) *recorder {
	r := newRecorder()
	t.stream = newStream(tt.Context(), r, "7", time.Now().Add(testWait))
	tt.Cleanup(t.stream.close)
	return r
}

func TestLinkStreams(t *testing.T) {
	type message struct {
		kind byte
		body string
	}
	begin := message{'S', text("id-1") + text("text/plain")}
	large := strings.Repeat("x", maxPayload)
	for _, tt := range []struct {
		name     string
		before   int64 // bytes, before all of it
		fails    error
		messages []message
		calls    []string
		size     int64
		failure  string
	}{
		{"parts", 0, nil, []message{begin, {'C', "a"}, {'C', ""}, {'C', "b"}, {'T', text("")}}, []string{"begin 7 text/plain", "a", "b"}, 2, ""},
		{"nothing", 0, nil, []message{begin, {'T', text("")}}, []string{"begin 7 text/plain"}, 0, ""},
		{"what breaks off", 0, nil, []message{begin, {'C', "a"}, {'T', text("Function.Oh") + "{}"}}, []string{"begin 7 text/plain", "a"}, 1, "Function.Oh"},
		{"nobody to take it", 0, errors.New("gone"), []message{begin, {'C', "a"}, {'C', "b"}, {'T', text("")}}, []string{"begin 7 text/plain", "a"}, 2, ""},
		{"the largest", maxStream - 1, nil, []message{begin, {'C', "a"}, {'T', text("")}}, []string{"begin 7 text/plain", "a"}, maxStream, ""},
		{"too large", maxStream - 1, nil, []message{begin, {'C', "ab"}, {'C', "c"}, {'T', text("")}}, []string{"begin 7 text/plain"}, maxStream + 1, "Function.ResponseSizeTooLarge"},
		{"more than a whole one may be", 0, nil, []message{begin, {'C', large}, {'C', "b"}, {'T', text("")}}, []string{"begin 7 text/plain", large, "b"}, maxPayload + 1, ""},
		{"no parts at all", 0, nil, []message{{'R', text("id-1") + text("a/b") + "{}"}}, nil, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLinkTest(t)
			turn := l.running("id-1")
			sink := turn.streamed(t)
			sink.fails, turn.stream.size = tt.fails, tt.before
			go func() {
				for _, m := range tt.messages {
					l.runtimeOut.Write(appendMessage(nil, m.kind, []byte(m.body))) // an error shows below
				}
			}()
			for range tt.messages {
				if err := l.read(); err != nil {
					t.Fatal(err)
				}
			}
			out, _ := l.session.abandon(turn)
			turn.stream.close()
			failure := ""
			if out.failure != nil {
				failure = out.failure.Type
			}
			if failure != tt.failure || turn.stream.size != tt.size {
				t.Errorf("failed with %q, %d bytes; want %q, %d", failure, turn.stream.size, tt.failure, tt.size)
			}
			if diff := cmp.Diff(tt.calls, sink.end(t)); diff != "" {
				t.Errorf("%.500s", diff)
			}
			l.running("id-2") // and on it goes
		})
	}
}

func TestRuntimeAPIStreams(t *testing.T) {
	const mode = "Lambda-Runtime-Function-Response-Mode"
	document := base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))
	for _, tt := range []struct {
		name    string
		body    string
		length  bool // it is said
		header  []string
		trailer http.Header
		before  int64
		status  int
		calls   []string
		payload string
		failure string
	}{
		{"chunked", "ab", false, []string{"Content-Type", "a/b"}, nil, 0, 202, []string{"begin 7 a/b", "ab"}, "", ""},
		{"streaming", "ab", true, []string{mode, "streaming"}, nil, 0, 202, []string{"begin 7 ", "ab"}, "", ""},
		{"whole", "ab", true, nil, nil, 0, 202, nil, "ab", ""},
		{"no such mode", "ab", false, []string{mode, "torrent"}, nil, 0, 400, nil, "", "Runtime.InvalidResponseModeHeader"},
		{"what breaks off", "ab", false, nil, http.Header{"Lambda-Runtime-Function-Error-Type": {"Function.Oh"}, "Lambda-Runtime-Function-Error-Body": {document}},
			0, 202, []string{"begin 7 ", "ab"}, "", "Function.Oh"},
		{"too large", "ab", false, nil, nil, maxStream - 1, 413, []string{"begin 7 "}, "", "Function.ResponseSizeTooLarge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPITest(t)
			turn := newTurn(&millicent.Invocation{ID: "id-1"}, time.Now().Add(testWait))
			sink := turn.streamed(t)
			turn.stream.size = tt.before
			given := make(chan reply)
			go func() { given <- a.next() }()
			a.offerTurn(turn)
			<-given
			req, err := http.NewRequest("POST", "http://"+a.addr+"/2018-06-01/runtime/invocation/id-1/response", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if !tt.length {
				req.ContentLength = -1
			}
			for i := 0; i < len(tt.header); i += 2 {
				req.Header.Set(tt.header[i], tt.header[i+1])
			}
			req.Trailer = tt.trailer
			res, err := a.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			out := a.outcome(turn)
			turn.stream.close()
			failure := ""
			if out.failure != nil {
				failure = out.failure.Type
			}
			if res.StatusCode != tt.status || string(out.payload) != tt.payload || failure != tt.failure {
				t.Errorf("%d, payload %q, failure %q", res.StatusCode, out.payload, failure)
			}
			if diff := cmp.Diff(tt.calls, sink.end(t)); diff != "" {
				t.Error(diff)
			}
			a.running("id-2")
		})
	}
}

const pythonStream = `
def handler(event, context):
    yield "first,"
    yield "x" * event["n"]
`

// streamers start environments that stream, by a link and by the Runtime API.
var streamers = map[string]func(t *testing.T, timeout time.Duration) *envTest{
	"link": func(t *testing.T, timeout time.Duration) *envTest {
		return language(t, "python3.11", "app.py", pythonStream, func(v *millicent.Version) { v.Timeout = timeout })
	},
	"Runtime API": func(t *testing.T, timeout time.Duration) *envTest {
		return probe(t, func(v *millicent.Version) { v.Timeout = timeout }, nil)
	},
}

const streamEvent = `{"do":"stream","n":1000000}`

// However long nobody takes a response, the wait for it ends.
func TestStuckStreams(t *testing.T) {
	for how, start := range streamers {
		t.Run(how+", until the time is over", func(t *testing.T) {
			e := start(t, 500*time.Millisecond)
			inv, sink := e.invocation(streamEvent), newRecorder()
			inv.Sink, sink.blocks = sink, true
			res, err := e.Invoke(t.Context(), inv)
			if err != nil || res.ErrorType != "Sandbox.Timedout" || !res.Streamed {
				t.Fatalf("got %+v, %v", res, err)
			}
			if got := sink.end(t); len(got) != 2 || !strings.HasPrefix(got[1], "first,") {
				t.Errorf("the sink got %.100q", got)
			}
		})
		t.Run(how+", until the caller gives up", func(t *testing.T) {
			e := start(t, testWait)
			inv, sink := e.invocation(streamEvent), newRecorder()
			inv.Sink, sink.blocks = sink, true
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-sink.wrote; cancel() }()
			if _, err := e.Invoke(ctx, inv); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			sink.end(t)
		})
		t.Run(how+", until the environment is closed", func(t *testing.T) {
			e := start(t, testWait)
			inv, sink := e.invocation(streamEvent), newRecorder()
			inv.Sink, sink.blocks = sink, true
			closed := make(chan error)
			go func() { <-sink.wrote; closed <- e.Close() }()
			if _, err := e.Invoke(t.Context(), inv); !errors.Is(err, lifecycle.ErrClosed) {
				t.Errorf("got %v", err)
			}
			sink.end(t)
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}

// Streams are in the usage, the log and the record of the start, whoever
// takes them.
func TestStreamsAreReported(t *testing.T) {
	for how, start := range streamers {
		t.Run(how, func(t *testing.T) {
			e := start(t, testWait)
			for _, gone := range []error{nil, errors.New("gone")} {
				inv, sink := e.invocation(streamEvent), newRecorder()
				inv.Sink, sink.fails = sink, gone
				res, err := e.Invoke(t.Context(), inv)
				if err != nil || res.FunctionError != "" || !res.Streamed || res.Payload != nil || res.Usage.Streamed != 1000006 {
					t.Fatalf("got %+v, %v", res, err)
				}
				if all := strings.Join(sink.end(t)[1:], ""); gone == nil && len(all) != 1000006 || gone != nil && len(all) == 1000006 {
					t.Errorf("the sink got %d bytes", len(all))
				}
				if s := res.Start; gone == nil && (s == nil || s.FirstByte <= 0 || s.FirstByte > res.Usage.Duration) {
					t.Errorf("the start's record is %+v, of %+v", s, res.Usage)
				}
				if tail := string(res.LogTail); !strings.Contains(tail, "REPORT RequestId") {
					t.Errorf("log %q", tail)
				}
			}
			if res := e.invoke(streamEvent); string(res.Payload[:6]) != "first," || len(res.Payload) != 1000006 || res.Usage.Streamed != 0 {
				t.Errorf("whole: %d bytes, usage %+v", len(res.Payload), res.Usage)
			}
		})
	}
}

// Whatever a runtime sends in parts, a sink gets the bytes that it would be
// given as a whole, or less where it breaks off.
func FuzzLinkStream(f *testing.F) {
	begin := appendMessage(nil, 'S', []byte(text("id-1")+text("")))
	f.Add(appendMessage(appendMessage(appendMessage(begin, 'C', []byte("x")), 'C', []byte("yz")), 'T', []byte("\x00")), 4096)
	f.Add(appendMessage(appendMessage(begin, 'C', []byte("x")), 'T', []byte(text("Function.Oh")+"{}")), 1)
	f.Add(appendMessage(nil, 'R', []byte(text("id-1")+text("a/b")+"{}")), 3)
	f.Fuzz(func(t *testing.T, said []byte, piece int) {
		hear := func(stream *stream) *turn {
			s := newSession(exampleVersion())
			turn := newTurn(&millicent.Invocation{ID: "id-1"}, time.Now())
			turn.stream, s.turn, s.state = stream, turn, stateReady
			s.take()
			l := &link{session: s}
			l.in.src = pieces{bytes.NewReader(said), max(1, min(piece, 1<<16))}
			for l.read() == nil {
			}
			return turn
		}
		sink := newRecorder()
		stream := newStream(t.Context(), sink, "7", time.Now().Add(testWait))
		defer stream.close()
		whole, parts := hear(nil).outcome, hear(stream).outcome
		got := strings.Join(sink.calls[min(1, len(sink.calls)):], "")
		if (whole == nil) != (parts == nil) || int64(len(got)) != stream.size {
			t.Fatalf("%+v in parts, %+v as a whole; %d bytes of %d", parts, whole, len(got), stream.size)
		}
		if whole != nil && whole.failure == nil && string(whole.payload) != got+string(parts.payload) {
			t.Errorf("%q in parts, %q as a whole", got+string(parts.payload), whole.payload)
		}
	})
}
