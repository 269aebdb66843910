package plain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
)

// TestClientLeaves: whoever asks for it is told that the client has left, be
// it before the handler asks or after, within the body or behind it.
func TestClientLeaves(t *testing.T) {
	asked, left := make(chan bool), make(chan error)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/unread" {
			io.ReadAll(r.Body)
		}
		if r.URL.Path == "/late" {
			asked <- true
			<-asked
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		done := ctx.Done()
		if r.URL.Path == "/unread" {
			io.ReadAll(r.Body)
		}
		if r.URL.Path != "/late" {
			asked <- true
		}
		<-done
		left <- r.Context().Err()
	}, func(t *testing.T, _ served, addr string) {
		for _, path := range []string{"/f", "/late", "/unread"} {
			for name, leave := range map[string]func(c *client){
				"closes":      func(c *client) { c.Close() },
				"half closes": func(c *client) { c.CloseWrite() },
				"resets":      func(c *client) { c.SetLinger(0); c.Close() },
			} {
				c := dial(t, addr)
				c.say("%s", strings.Replace(post("1"), "/f", path, 1))
				<-asked
				leave(c)
				if path == "/late" {
					asked <- true
				}
				if err := <-left; !errors.Is(err, context.Canceled) {
					t.Errorf("%s, %s: got %v", path, name, err)
				}
				if name == "half closes" {
					c.want(http.StatusOK, "")
					c.wantEnd()
				}
			}
		}
	})
}

// TestCutOffWithMoreToCome: a request that is cut off ends also where the next
// one has come; and not because more has come than is kept.
func TestCutOffWithMoreToCome(t *testing.T) {
	begun, ended := make(chan bool), make(chan error)
	both(t, func(_ http.ResponseWriter, r *http.Request) {
		done := r.Context().Done()
		if io.ReadAll(r.Body); r.URL.Path == "/wait" {
			begun <- true
			<-done
			ended <- r.Context().Err()
		} else if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
	}, func(t *testing.T, srv served, addr string) {
		c := dial(t, addr)
		c.say("%s%s", post("1"), post(strings.Repeat("x", 4*MaxHead)))
		c.want(http.StatusOK, "")
		c.want(http.StatusOK, "")
		c.say("%s%s", strings.Replace(post("1"), "/f", "/wait", 1), post("2"))
		<-begun
		srv.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestWatchedRequests: a connection whose requests were watched is good for
// more, also when the next one comes early; and a context has ended with its
// request.
func TestWatchedRequests(t *testing.T) {
	begun := make(chan context.Context, 2)
	goOn := make(chan bool)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		if r.URL.Path == "/before" {
			<-goOn
		}
		r.Context().Done()
		begun <- r.Context()
		if r.URL.Path == "/after" {
			<-goOn
		}
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, r.URL.Path)
	}, func(t *testing.T, _ served, addr string) {
		c := dial(t, addr)
		for range 20 {
			c.say("%s", post("1"))
			c.want(http.StatusOK, "/f")
			<-(<-begun).Done()
			for _, path := range []string{"/before", "/after"} {
				c.say("%s", strings.Replace(post(""), "/f", path, 1))
				if path == "/after" {
					<-begun
				}
				c.say("%s", post("2"))
				goOn <- true
				c.want(http.StatusOK, path)
				c.want(http.StatusOK, "/f")
				if path == "/before" {
					<-begun
				}
				<-begun
			}
		}
	})
}

// TestContext: handlers find in it what net/http puts there, and it can be
// asked for its end too late.
func TestContext(t *testing.T) {
	contexts := make(chan context.Context, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
		if local == nil || srv == nil || r.Context().Value("") != nil {
			t.Errorf("got %v, %v", local, srv)
		}
		if _, ok := r.Context().Deadline(); ok {
			t.Error("it has a deadline")
		}
		contexts <- r.Context()
		io.WriteString(w, local.String()+" "+r.RemoteAddr)
	}, func(t *testing.T, _ served, addr string) {
		c := dial(t, addr)
		c.say("%s", post(""))
		c.want(http.StatusOK, addr+" "+c.LocalAddr().String())
		ctx := <-contexts
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("got %v", ctx.Err())
		}
	})
}

// TestDeadlines: a handler may bound how long it waits for the body, and how
// long its answer is written.
func TestDeadlines(t *testing.T) {
	ended := make(chan error, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		switch r.URL.Path {
		case "/read":
			control.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := io.ReadAll(r.Body)
			ended <- err
		case "/wait":
			go control.SetReadDeadline(time.Unix(1, 0)) // while it waits, or before
			_, err := io.ReadAll(r.Body)
			ended <- err
		case "/write":
			control.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			w.Write(make([]byte, 64<<20))
		}
	}, func(t *testing.T, _ served, addr string) {
		for _, path := range []string{"/read", "/wait"} {
			c := dial(t, addr)
			c.say("%s", strings.TrimSuffix(strings.Replace(post("12"), "/f", path, 1), "2"))
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: got %v", path, err)
			}
			c.want(http.StatusOK, "")
			c.wantEnd()
		}
		c := dial(t, addr)
		c.say("%s", strings.Replace(post("1"), "/f", "/write", 1))
		for err := error(nil); err == nil; _, err = io.WriteString(c, "x") { // nothing is read before the server gives up
			time.Sleep(time.Millisecond)
		}
		if got, err := c.hear(); err == nil {
			t.Errorf("got %d bytes in time", len(got.Body))
		}
	})
}

// TestDeadlinesOfRequestsBefore: what ended, or would have ended, the writing of
// an answer does not end that of a later one, by whichever server.
func TestDeadlinesOfRequestsBefore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, l.Addr().String())
	accepted, err := nowait.Listener(l).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	c := newConn(accepted)
	c.write.to(time.Unix(1, 0))
	if _, err := c.Write([]byte("1")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("too late: got %v", err)
	}
	c.write.to(time.Now().Add(testWait))
	if n, err := c.WriteSome([]byte("2")); n != 1 || err != nil {
		t.Errorf("in time: got %d, %v", n, err)
	}

	addr := listen(t, NewHTTPServer(httpServer(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		}
	}), always, 1, discard))
	handed := dial(t, addr)
	handed.say("%sGET / HTTP/1.0\r\n\r\n", post(""))
	handed.want(http.StatusOK, "")
	handed.want(http.StatusOK, "")
}

// TestMemoryOfOthers: what is used again after it was written is sent as it was.
func TestMemoryOfOthers(t *testing.T) {
	both(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "mine")
		for range 100 {
			fmt.Fprint(io.Discard, "somebody else's")
		}
	}, func(t *testing.T, _ served, addr string) {
		c := dial(t, addr)
		c.say("%s", post("1"))
		c.want(http.StatusOK, "mine")
	})
}

// TestPanics are told of, but for http.ErrAbortHandler, and end the connection
// without an answer, also one that is being watched.
func TestPanics(t *testing.T) {
	var told atomic.Pointer[string]
	srv := httpServer(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		io.WriteString(w, "begun")
		r.Context().Done()
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("on purpose")
	})
	srv.ErrorLog = log.New(writeFunc(func(p []byte) (int, error) {
		text := string(bytes.TrimSpace(p))
		told.Store(&text)
		return len(p), nil
	}), "", 0)
	addr := listen(t, NewHTTPServer(srv, always, 1, discard)) // the slot is given back, too
	for _, path := range []string{"/abort", "/f"} {
		c := dial(t, addr)
		c.say("%s", strings.Replace(post("1"), "/f", path, 1))
		c.wantEnd()
		text := told.Load()
		if path == "/abort" && text != nil {
			t.Errorf("it told %s", *text)
		}
		if path == "/f" && (text == nil || !strings.Contains(*text, "on purpose") || !strings.Contains(*text, "TestPanics")) {
			t.Errorf("it told %v", text)
		}
	}
}

// TestPanicOfALoop ends its own connection.
func TestPanicOfALoop(t *testing.T) {
	addr := listen(t, NewServer(Config{
		Serve:       func(*Conn) io.Reader { panic("on purpose") },
		Others:      func() *http.Server { return nil },
		Connections: 1, Log: discard,
	}))
	for range 2 { // the slot is given back
		dial(t, addr).wantEnd()
	}
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// TestConnections: no more are served at a time than may be, the unusual ones
// included; others wait.
func TestConnections(t *testing.T) {
	srv := NewHTTPServer(httpServer(answering), always, 2, discard)
	addr := listen(t, srv)
	first, second := dial(t, addr), dial(t, addr)
	first.say("%s", post("1"))
	first.want(http.StatusOK, "POST /f x  1")
	second.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	second.want(http.StatusOK, "GET /   ")
	third := dial(t, addr)
	third.say("%s", post("3"))
	third.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := third.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third is served: %v", err)
	}
	third.SetReadDeadline(time.Now().Add(testWait))
	second.Close()
	third.want(http.StatusOK, "POST /f x  3")
	first.Close()
	fourth := dial(t, addr)
	fourth.say("%s", post("4"))
	fourth.want(http.StatusOK, "POST /f x  4")
}

// TestUnusable has listeners and servers that are over.
func TestUnusable(t *testing.T) {
	srv := NewHTTPServer(httpServer(answering), always, 10, discard)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that is closed: got %v", err)
	}
	srv.Close()
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(l); err != nil {
		t.Errorf("a server that is closed: got %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener: %v", err)
	}
}
