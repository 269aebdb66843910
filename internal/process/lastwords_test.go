package process

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// What a runtime may have sent of a response before it ends, behind the line
// and the host of its request, and what becomes of it.
var lastWords = []struct {
	name, said string
	streamed   bool // it is wanted in parts
	calls      []string
	payload    string
	failure    string
}{
	{"whole", "Content-Length: 4\r\n\r\nbody", false, nil, "body", ""},
	{"whole, by net/http", "Connection: close\r\nContent-Length: 4\r\n\r\nbody", false, nil, "body", ""},
	{"a part of it", "Content-Length: 5\r\n\r\nbody", false, nil, "", errorTruncated},
	{"a stream", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", true, []string{"begin 7 ", "body"}, "", ""},
	{"a part of a stream", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", true, []string{"begin 7 ", "body"}, "", errorTruncated},
	{"the beginning of a stream", "Transfer-Encoding: chunked\r\n\r\n", true, []string{"begin 7 "}, "", errorTruncated},
	{"a part of a stream, by net/http", "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", true, []string{"begin 7 ", "body"}, "", errorTruncated},
}

// All that was sent is read before the API says so, whether or not the
// connection had been accepted.
func TestRuntimeAPIHearsAllThatWasSent(t *testing.T) {
	for _, tt := range lastWords {
		for _, others := range []int{0, 2 * maxConnections} { // that are accepted before
			t.Run(fmt.Sprintf("%s, after %d", tt.name, others), func(t *testing.T) {
				a := newAPITest(t)
				turn, sink := newTurn(&millicent.Invocation{ID: "id-1"}, time.Now().Add(testWait)), newRecorder()
				if tt.streamed {
					sink = turn.streamed(t)
				}
				given := make(chan reply)
				go func() { given <- a.next() }()
				a.offerTurn(turn)
				<-given
				dial := func() net.Conn {
					c, err := net.Dial("tcp", a.addr)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					return c
				}
				var before []net.Conn
				for range others {
					before = append(before, dial())
				}
				c := dial()
				if _, err := fmt.Fprintf(c, "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\n%s", tt.said); err != nil {
					t.Fatal(err)
				}
				c.Close()
				heard := a.api.finish()
				if isClosed(heard) {
					t.Error("all was heard while a connection was open")
				}
				for _, c := range before {
					c.Close()
				}
				a.client.CloseIdleConnections()
				<-heard
				out, _ := a.session.abandon(turn)
				if out == nil {
					t.Fatal("nothing came of the turn")
				}
				failure := ""
				if out.failure != nil {
					failure = out.failure.Type
				}
				if string(out.payload) != tt.payload || failure != tt.failure {
					t.Errorf("payload %q, failure %q", out.payload, failure)
				}
				if tt.streamed {
					turn.stream.close()
				}
				if diff := cmp.Diff(tt.calls, sink.end(t)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// A waiting sink begins only when what it waits for has happened.
type waiting struct {
	*recorder
	until <-chan struct{}
}

// Begin implements millicent.Sink.
func (w waiting) Begin(version, contentType string) {
	select {
	case <-w.until:
	case <-time.After(testWait): // the test fails then
	}
	w.recorder.Begin(version, contentType)
}

// What a runtime had sent when it ended reaches the caller, however late the
// server comes to read it.
func TestEndedRuntimesAreHeardOut(t *testing.T) {
	const exited = "Runtime.ExitError"
	for _, tt := range lastWords {
		t.Run("Runtime API, "+tt.name, func(t *testing.T) {
			e := probe(t, func(v *millicent.Version) {
				v.Environment = map[string]string{"PROBE_RUNTIME": "leave"}
			}, nil)
			event, err := json.Marshal(tt.said)
			if err != nil {
				t.Fatal(err)
			}
			inv, sink := e.invocation(string(event)), newRecorder()
			if tt.streamed {
				inv.Sink = waiting{sink, e.run.api.finished} // its end has been seen
			}
			res := e.serveInvocation(inv)
			failure := tt.failure
			if failure != "" {
				failure = exited // which says more
			}
			if res.ErrorType != failure || failure == "" && string(res.Payload) != tt.payload || res.Streamed != tt.streamed {
				t.Errorf("got %+v", res)
			}
			if diff := cmp.Diff(tt.calls, sink.end(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("link", func(t *testing.T) {
		e := language(t, "python3.11", "app.py", "import os\ndef handler(event, context):\n    yield 'first,'\n    os._exit(7)\n", nil)
		inv, sink := e.invocation(`{}`), newRecorder()
		inv.Sink = waiting{sink, e.run.process.Done()}
		res := e.serveInvocation(inv)
		if got := strings.Join(sink.end(t)[1:], ""); got != "first," || res.ErrorType != exited || !res.Streamed {
			t.Errorf("got %q, %+v", got, res)
		}
	})
}

// A link's pipe is read to its end before the end of the runtime counts.
func TestLinkHearsAllThatWasSent(t *testing.T) {
	begin := appendMessage(nil, 'S', []byte(text("id-1")+text("")))
	parts := appendMessage(appendMessage(begin, 'C', []byte("a")), 'C', []byte("b"))
	for _, tt := range []struct {
		name     string
		said     []byte
		streamed bool
		calls    []string
		settled  bool
	}{
		{"whole", appendMessage(nil, 'R', []byte(text("id-1")+text("")+"body")), false, nil, true},
		{"a stream", appendMessage(parts, 'T', []byte(text(""))), true, []string{"begin 7 ", "a", "b"}, true},
		{"a part of a stream", parts, true, []string{"begin 7 ", "a", "b"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLinkTest(t)
			turn := l.running("id-1")
			sink := newRecorder()
			if tt.streamed {
				sink = turn.streamed(t)
			}
			if _, err := l.runtimeOut.Write(tt.said); err != nil {
				t.Fatal(err)
			}
			l.runtimeOut.Close()
			l.interrupt() // as the end of the process does
			if err := l.read(); !interrupted(err) {
				t.Fatalf("got %v", err)
			}
			l.rest()
			if out, _ := l.session.abandon(turn); (out != nil) != tt.settled {
				t.Errorf("got %+v", out)
			}
			if tt.streamed {
				turn.stream.close()
			}
			if diff := cmp.Diff(tt.calls, sink.end(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A slow sink takes its time over each part.
type slow struct {
	*recorder
	each time.Duration
}

// Write implements millicent.Sink.
func (s slow) Write(ctx context.Context, p []byte) error {
	time.Sleep(s.each)
	return s.recorder.Write(ctx, p)
}

// Whoever a runtime left behind with its connections is not waited for for
// long; a receiver that takes its time is.
func TestHearingOutIsBounded(t *testing.T) {
	const late = 20 * time.Second
	for _, tt := range []struct {
		name  string
		parts int           // that come
		every time.Duration // between them
		takes time.Duration // the receiver, for one
		end   func(s *session, turn *turn, heard chan struct{}, leave func())
		want  sign
		after time.Duration
	}{
		{"silence", 0, 0, 0, nil, signExit, exitGrace},
		{"no connection is left", 0, 0, 0, func(_ *session, _ *turn, heard chan struct{}, _ func()) { close(heard) }, signExit, 0},
		{"its end has come", 0, 0, 0, func(s *session, turn *turn, _ chan struct{}, _ func()) { s.settle(turn, &outcome{}) }, signMet, 0},
		{"nobody waits any more", 0, 0, 0, func(_ *session, _ *turn, _ chan struct{}, leave func()) { leave() }, signCancelled, 0},
		{"parts come", 5, 700 * time.Millisecond, 0, func(s *session, turn *turn, _ chan struct{}, _ func()) { s.settle(turn, &outcome{}) }, signMet, 3500 * time.Millisecond},
		{"a part is being taken", 1, 0, 5 * time.Second, func(s *session, turn *turn, _ chan struct{}, _ func()) { s.settle(turn, &outcome{}) }, signMet, 5 * time.Second},
		{"silence after a part", 1, 500 * time.Millisecond, 0, nil, signExit, 2 * exitGrace},
		{"parts without an end", 1000, 500 * time.Millisecond, 0, nil, signExit, late},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession(exampleVersion())
				turn := newTurn(&millicent.Invocation{ID: "id-1"}, time.Now().Add(late))
				turn.stream = newStream(t.Context(), slow{newRecorder(), tt.takes}, "7", turn.deadline)
				s.turn, s.state = turn, stateReady
				s.take()
				heard := make(chan struct{})
				api := &runtimeAPI{finished: make(chan struct{}), heard: heard}
				close(api.finished)
				e := &environment{ctx: t.Context()}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				var runtime sync.WaitGroup
				over := make(chan struct{})
				runtime.Go(func() {
					for range tt.parts {
						select {
						case <-time.After(tt.every):
						case <-over:
							return
						}
						turn.stream.Write([]byte("part")) // its outcome is the sink's
					}
					if tt.end != nil {
						tt.end(s, turn, heard, leave)
					}
				})
				began := time.Now()
				w := s.watch((*session).answered)
				got := e.hearOut(ctx, &run{session: s, api: api}, turn.deadline, w)
				if after := time.Since(began); got != tt.want || after != tt.after {
					t.Errorf("got sign %d after %v, want %d after %v", got, after, tt.want, tt.after)
				}
				close(over)
				turn.stream.close()
				runtime.Wait()
			})
		})
	}
}

// A process that a runtime leaves behind with its connection changes nothing.
func TestLeftConnectionsEndNothing(t *testing.T) {
	e := probe(t, func(v *millicent.Version) {
		v.Environment = map[string]string{"PROBE_RUNTIME": "leave", "PROBE_CHILD": "with the connection"}
	}, nil)
	inv, sink := e.invocation(`"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"`), newRecorder()
	inv.Sink = sink
	res := e.serveInvocation(inv)
	if got := sink.end(t); res.ErrorType != "Runtime.ExitError" || !slices.Equal(got, []string{"begin 7 ", "body"}) {
		t.Errorf("got %q, %+v", got, res)
	}
}
