package plain

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// maxBody is what a plain request's body is less than: what a handler leaves of
// it is read, so that the connection can be kept. So does net/http.
const maxBody = 256 << 10

// idleSlack is how much longer than its time a connection may be idle: its
// deadline need not be moved for each request then.
const idleSlack = time.Second / 2

// NewHTTPServer returns a Server that answers plain requests by srv's handler,
// those that usual says yes to, and has srv serve the connections of all
// others. Its handler answers usual requests in one piece, which it leaves
// alone where that is longer than JoinLimit: it does not flush, hijack, write
// trailers, or read the body when it has returned. What a connection has
// sent of a plain request, when it is first heard of, has the whole head; and
// it may wait for one as long as srv's IdleTimeout. There are never more
// connections than a number.
func NewHTTPServer(srv *http.Server, usual func(*http.Request) bool, connections int, log *slog.Logger) *Server {
	var s *Server
	s = NewServer(Config{
		Serve: func(c *Conn) io.Reader {
			l := &loop{Conn: c, server: s, http: srv, remote: c.conn.RemoteAddr().String()}
			return l.serve(func(r *http.Request) bool {
				return r.Method != http.MethodHead && r.ContentLength >= 0 && r.ContentLength < maxBody && usual(r)
			})
		},
		Others:      func() *http.Server { return srv },
		Connections: connections,
		Log:         log,
	})
	return s
}

// A loop answers a connection's requests.
type loop struct {
	*Conn
	server *Server
	http   *http.Server
	remote string
	until  time.Time // when the connection is closed for being idle
	body   []byte    // for the next answer
}

// serve is Config's Serve.
func (l *loop) serve(usual func(*http.Request) bool) (unusual io.Reader) {
	// A request that breaks off within these bytes is none, as in net/http.
	for least := 1; ; least = 4 {
		l.wait()
		if _, err := l.In.Peek(least); err != nil {
			return nil
		}
		if !l.state.CompareAndSwap(idle, busy) || l.server.isStopping() {
			return nil
		}
		if least > 1 {
			l.skipNewlines()
		}
		head := l.head()
		if head == nil {
			return l.In
		}
		x := newExchange(l)
		r, unusual := l.Request(&x.ctx, head, usual)
		if unusual != nil {
			return unusual
		}
		if !l.answer(x, r) {
			return nil
		}
		l.state.Store(idle)
		if l.server.isStopping() {
			return nil
		}
	}
}

// wait sets the deadline of the next request's first bytes.
func (l *loop) wait() {
	if until := time.Now().Add(l.http.IdleTimeout); l.until.Before(until) {
		l.until = until.Add(idleSlack)
	}
	_ = l.read.to(l.until) // fails only when it is closed
}

// skipNewlines skips those that old clients send behind a request's body, as
// net/http does.
func (l *loop) skipNewlines() {
	four, _ := l.In.Peek(4) // they are there
	n := 0
	for n < len(four) && (four[n] == '\r' || four[n] == '\n') {
		n++
	}
	_, _ = l.In.Discard(n) // as above
}

// answer has a request answered; false when the connection is over.
func (l *loop) answer(x *exchange, r *http.Request) (keep bool) {
	x.begin(r)
	if !l.call(x, r) {
		return false
	}
	keep = x.end() == nil && x.Header().Get("Connection") != "close" && !l.server.isStopping()
	if !keep {
		x.Header().Set("Connection", "close")
	}
	return l.Send(&x.Answer) == nil && keep
}

// call calls the handler; false when it has panicked, of which is told as
// net/http does.
func (l *loop) call(x *exchange, r *http.Request) (ok bool) {
	defer func() {
		if ok {
			return
		}
		x.ctx.end()
		p := recover()
		if err, is := p.(error); is && errors.Is(err, http.ErrAbortHandler) || l.http.ErrorLog == nil {
			return
		}
		l.http.ErrorLog.Printf("http: panic serving %s: %v\n%s", l.remote, p, debug.Stack())
	}()
	l.http.Handler.ServeHTTP(x, r)
	return true
}
