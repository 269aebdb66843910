package plain

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestShutdown: it closes what waits for requests, unusual connections
// included, and waits for the answers to the others.
func TestShutdown(t *testing.T) {
	begun, goOn := make(chan bool), make(chan bool)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- true
			<-goOn
		}
		io.WriteString(w, r.Method)
	}, func(t *testing.T, srv served, addr string) {
		const slow, keep = "POST /slow HTTP/1.1\r\nHost: x\r\n\r\n", "Connection: keep-alive\r\n\r\n"
		var idle, running []*client
		for i, first := range []string{"", post("1"), "GET / HTTP/1.0\r\n" + keep} {
			if i > 0 || !isHTTP(srv) { // net/http waits for what is new
				idle = append(idle, dial(t, addr))
				if c := idle[len(idle)-1]; first != "" {
					c.say("%s", first)
					if r, err := c.hear(); r.Status != http.StatusOK {
						t.Error(r, err)
					}
				}
			}
			running = append(running, dial(t, addr))
			c := running[i]
			if first != "" {
				c.say("%s", first)
				if r, err := c.hear(); r.Status != http.StatusOK {
					t.Error(r, err)
				}
			}
			c.say("%s%s", slow, post("more"))
			<-begun
		}
		stopped := make(chan error, 1)
		go func() { stopped <- srv.Shutdown(t.Context()) }()
		for _, c := range idle {
			c.wantEnd()
		}
		for range running {
			goOn <- true
		}
		for _, c := range running {
			if r, err := c.hear(); err != nil || r.Body != http.MethodPost {
				t.Errorf("an answer that was due: %+v, %v", r, err)
			}
			c.wantEnd()
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Error("connections are accepted")
		}
	})
}

func isHTTP(srv served) bool { _, ok := srv.(*http.Server); return ok }

// TestShutdownIsCutOff: when its time is over, Close ends what runs.
func TestShutdownIsCutOff(t *testing.T) {
	begun := make(chan bool)
	both(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- true
		<-r.Context().Done()
	}, func(t *testing.T, srv served, addr string) {
		var clients []*client
		for _, request := range []string{post(""), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			c := dial(t, addr)
			clients = append(clients, c)
			c.say("%s", request)
			<-begun
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range clients {
			c.wantEnd()
		}
	})
}

// TestShutdownUnderLoad: of many clients that call all the time each gets an
// answer to each request, or the end of its connection in place of one.
func TestShutdownUnderLoad(t *testing.T) {
	srv := NewHTTPServer(httpServer(answering), always, 100, discard)
	addr := listen(t, srv)
	const clients, before = 8, 20
	warm, ended := make(chan bool), make(chan int)
	for range clients {
		c := dial(t, addr)
		go func() {
			for n := 0; ; n++ {
				if _, err := io.WriteString(c, post("1")); err != nil {
					ended <- n
					return
				}
				switch r, err := c.hear(); {
				case r.Status == 0:
					ended <- n
					return
				case err != nil || r.Body != "POST /f x  1":
					t.Errorf("got %+v, %v", r, err)
				}
				if n == before {
					warm <- true
				}
			}
		}()
	}
	for range clients {
		<-warm
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for range clients {
		if n := <-ended; n <= before {
			t.Errorf("%d answers", n)
		}
	}
}
