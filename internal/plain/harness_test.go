package plain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
)

// testWait is longer than anything here takes.
const testWait = time.Minute

var discard = slog.New(slog.DiscardHandler)

func always(*http.Request) bool { return true }

// A served server is one of the two that are compared.
type served interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// listen has a server serve until the test ends, and returns where.
func listen(t testing.TB, srv served) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(nowait.Listener(l)) }()
	t.Cleanup(func() {
		srv.Close()
		if s, ok := srv.(*Server); ok {
			s.Wait()
		}
		if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func httpServer(h http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

// both runs a test with net/http's server and with ours.
func both(t *testing.T, h http.HandlerFunc, test func(t *testing.T, srv served, addr string)) {
	t.Run("net/http", func(t *testing.T) {
		srv := httpServer(h)
		test(t, srv, listen(t, srv))
	})
	t.Run("ours", func(t *testing.T) {
		srv := NewHTTPServer(httpServer(h), always, 100, discard)
		test(t, srv, listen(t, srv))
	})
}

// A client says what it likes.
type client struct {
	*net.TCPConn
	t  testing.TB
	in *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testWait))
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

func (c *client) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// A reply is an answer as it is compared.
type reply struct {
	Status  int
	Body    string
	Length  int64
	Type    string
	HasDate bool
}

func (c *client) hear() (reply, error) {
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	_, dated := http.ParseTime(res.Header.Get("Date"))
	return reply{res.StatusCode, string(body), res.ContentLength, res.Header.Get("Content-Type"), dated == nil}, err
}

// want hears an answer.
func (c *client) want(status int, body string) {
	c.t.Helper()
	if got, err := c.hear(); err != nil || got.Status != status || got.Body != body {
		c.t.Errorf("got %+v, %v; want %d, %.100q", got, err, status, body)
	}
}

// wantEnd expects nothing more on the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	var e net.Error
	if _, err := c.in.ReadByte(); err == nil || errors.As(err, &e) && e.Timeout() {
		c.t.Errorf("the connection is not over: %v", err)
	}
}

func post(body string) string {
	return "POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}
