package process

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/plain"
)

// A rawConn is a connection to the API on which a test says what it likes.
type rawConn struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (a *apiTest) dial() *rawConn {
	a.t.Helper()
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testWait))
	return &rawConn{conn, a.t, bufio.NewReader(conn)}
}

func (c *rawConn) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawConn) hear() reply {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{res.StatusCode, string(body), res.Header}
}

const (
	nextRequest   = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
	answerRequest = "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n%s\r\n%s"
)

// TestOneConnectionForAll has a runtime use one connection for all that it
// says, plain or not.
func TestOneConnectionForAll(t *testing.T) {
	a := newAPITest(t)
	c := a.dial()
	for i, tt := range []struct{ header, body string }{
		{"Content-Length: 3\r\n", "one"},
		{"Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n", "2\r\non\r\n1\r\ne\r\n0\r\n\r\n"},
		{"Connection: keep-alive\r\nContent-Length: 3\r\n", "one"},
		{"Expect: 100-continue\r\nContent-Length: 3\r\n", "one"},
		{"Content-Length: 3\r\nX-Much: " + strings.Repeat("x", 2*plain.MaxHead) + "\r\n", "one"},
		{"Content-Length: 3\r\n", "one"}, // it is net/http's by now
	} {
		id := fmt.Sprintf("id-%d", i)
		c.say(nextRequest)
		turn := a.offer(&millicent.Invocation{ID: id, Event: []byte("1")})
		want(t, c.hear(), 200, "1")
		c.say(answerRequest, id, tt.header, tt.body)
		if strings.HasPrefix(tt.header, "Expect") {
			if r := c.hear(); r.Status != http.StatusContinue {
				t.Errorf("%q: got %d", tt.header, r.Status)
			}
		}
		want(t, c.hear(), 202, accepted)
		if out := a.outcome(turn); out == nil || string(out.payload) != "one" {
			t.Errorf("%.40q: got %+v", tt.header, out)
		}
	}
}

// TestRequestsAheadOfTheirTime has a runtime answer before it can have been
// asked: it is heard when it is its turn.
func TestRequestsAheadOfTheirTime(t *testing.T) {
	a := newAPITest(t)
	c := a.dial()
	c.say(nextRequest+answerRequest+nextRequest, "id-1", "Content-Length: 1\r\n", "1")
	turn := a.offer(&millicent.Invocation{ID: "id-1", Event: []byte(`"event"`)})
	want(t, c.hear(), 200, `"event"`)
	want(t, c.hear(), 202, accepted)
	if out := a.outcome(turn); out == nil || string(out.payload) != "1" {
		t.Errorf("got %+v", out)
	}
	a.offer(&millicent.Invocation{ID: "id-2", Event: []byte("2")})
	want(t, c.hear(), 200, "2")
}

// TestEventForARuntimeThatDoesNotRead is larger than a connection holds: the
// environment does not wait, and all of it arrives.
func TestEventForARuntimeThatDoesNotRead(t *testing.T) {
	a := newAPITest(t)
	c := a.dial()
	event := bytes.Repeat([]byte("x"), 16<<20)
	c.say(nextRequest)
	a.offer(&millicent.Invocation{ID: "id-1", Event: event})
	// Nothing has been read so far.
	if r := c.hear(); r.Status != 200 || r.Body != string(event) {
		t.Errorf("got %d, %d bytes", r.Status, len(r.Body))
	}
	c.say(answerRequest, "id-1", "Content-Length: 1\r\n", "1")
	want(t, c.hear(), 202, accepted)
}

// TestConnectionsAfterAHangUp has a runtime hang up while it waits, again and
// again: that takes no connection from it.
func TestConnectionsAfterAHangUp(t *testing.T) {
	a := newAPITest(t)
	for range 3 * maxConnections {
		c := a.dial()
		c.say(nextRequest)
		c.Close()
	}
	c := a.dial()
	c.say(nextRequest)
	turn := a.offer(&millicent.Invocation{ID: "id-1", Event: []byte("1")})
	// It may have been given to one that is gone, which nobody can know.
	for range 2 {
		c.say(nextRequest)
	}
	want(t, c.hear(), 200, "1")
	c.say(answerRequest, "id-1", "Content-Length: 1\r\n", "1")
	for r := c.hear(); r.Status != 202; r = c.hear() {
		want(t, r, 200, "1")
	}
	if out := a.outcome(turn); out == nil || string(out.payload) != "1" {
		t.Errorf("got %+v", out)
	}
}

// heard returns all answers on a connection to addr that says what is given.
func heard(t *testing.T, addr string, said []byte) (replies []reply) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = conn.Write(said) // the other side may hang up
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	conn.SetReadDeadline(time.Now().Add(testWait))
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return replies
		}
		body, _ := io.ReadAll(res.Body) // the end may be cut off
		replies = append(replies, reply{Status: res.StatusCode, Body: string(body)})
	}
}

// FuzzRuntimeConn says anything: the answers are those of net/http's server.
func FuzzRuntimeConn(f *testing.F) {
	answer := fmt.Sprintf(answerRequest, "id-1", "Content-Length: 1\r\n", "1")
	for _, seed := range []string{
		nextRequest, answer, nextRequest + answer + nextRequest,
		strings.Replace(answer, "response", "error", 1),
		fmt.Sprintf(answerRequest, "id-1", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nA: b\r\n\r\n") + nextRequest,
		fmt.Sprintf(answerRequest, "id-1", "Transfer-Encoding: chunked\r\n", "x\r\n"),
		fmt.Sprintf(answerRequest, "id-1", "Connection: close\r\nContent-Length: 1\r\n", "1") + nextRequest,
		fmt.Sprintf(answerRequest, "id-1", "Content-Length: 9\r\n", "1"),
		fmt.Sprintf(answerRequest, "id-1", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n") + nextRequest,
		fmt.Sprintf(answerRequest, "id-1", "Content-Length : 1\r\n", "1") + nextRequest,
		strings.Replace(nextRequest, "Host: x", "Host: x\r\nX\x7f: y", 1),
		strings.Replace(nextRequest, "Host: x", "Host: x\r\nHost: y", 1),
		strings.Replace(nextRequest, "Host: x\r\n", "", 1),
		strings.Replace(nextRequest, "Host: x", "Host: x\n", 1) + nextRequest,
		strings.Replace(nextRequest, "1.1", "1.0", 1), strings.ReplaceAll(answer, "\r\n", "\n"),
		strings.Replace(answer, "\r\n\r\n", "\n\n\r\n\r\n", 1),
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n", "x",
	} {
		f.Add([]byte(seed))
	}
	s := newSession(exampleVersion())
	s.claimInit() // nothing that is said moves it on
	theirs := httptest.NewServer(s.routes())
	f.Cleanup(theirs.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	ours := serveRuntimeAPI(s, runListener{l.(*net.TCPListener)}, slog.New(slog.DiscardHandler))
	f.Cleanup(func() { ours.Close() })
	f.Fuzz(func(t *testing.T, said []byte) {
		got, want := heard(t, l.Addr().String(), said), heard(t, theirs.Listener.Addr().String(), said)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); d != "" {
			t.Errorf("%q: net/http, ours:\n%s", said, d)
		}
	})
}

// TestNextEventOfARuntimeThatDoesNotRead has a runtime ask for its next event on
// a connection on which it has not read the one before: whoever offers that
// does not wait for it.
func TestNextEventOfARuntimeThatDoesNotRead(t *testing.T) {
	a := newAPITest(t)
	deaf, other := a.dial(), a.dial()
	event := bytes.Repeat([]byte("x"), 16<<20) // more than a connection holds
	deaf.say(nextRequest)
	a.offer(&millicent.Invocation{ID: "id-1", Event: event})
	other.say(answerRequest, "id-1", "Content-Length: 1\r\n", "1")
	want(t, other.hear(), 202, accepted)
	deaf.say(nextRequest)
	select {
	case <-a.session.watch((*session).idle).met:
		t.Error("it is ready, and has not read its event")
	case <-time.After(20 * time.Millisecond):
	}
	other.say(nextRequest)
	a.offer(&millicent.Invocation{ID: "id-2", Event: []byte("2")})
	want(t, other.hear(), 200, "2")
	if r := deaf.hear(); r.Body != string(event) {
		t.Errorf("got %d bytes", len(r.Body))
	}
	want(t, deaf.hear(), 200, "2") // again, for it is at work on that
}
