package process

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
)

// maxConnections is how many a runtime may have at a time: it needs two.
const maxConnections = 16

// acceptPause is the time after which a failed accept is tried again.
const acceptPause = 50 * time.Millisecond

// A runtimeAPI serves a session's Runtime API. The plain requests of each
// invocation are answered on the connections' own goroutines, see runtimeConn;
// a connection on which anything else comes is net/http's from then on.
//
// It has no timeouts: a runtime may wait for its next event for ever, and one
// that dawdles harms only itself.
type runtimeAPI struct {
	session  *session
	listener runListener
	log      *slog.Logger
	closed   chan struct{}
	finished chan struct{}  // closed by finish
	heard    chan struct{}  // closed when nothing can come any more
	slots    chan struct{}  // one for each connection
	work     sync.WaitGroup // all goroutines but those of others' connections

	mu     sync.Mutex
	conns  map[*runtimeConn]struct{} // nil once it is closed
	handed chan net.Conn             // to others; nil while there was none
	others *http.Server
	open   int // connections that are read, and one more while others may come
}

// serveRuntimeAPI serves s on l until the API is closed.
func serveRuntimeAPI(s *session, l runListener, log *slog.Logger) *runtimeAPI {
	a := &runtimeAPI{
		session: s, listener: l, log: log,
		closed:   make(chan struct{}),
		finished: make(chan struct{}),
		heard:    make(chan struct{}),
		slots:    make(chan struct{}, maxConnections),
		conns:    map[*runtimeConn]struct{}{},
		open:     1,
	}
	a.work.Go(a.accept)
	return a
}

// accept serves connections until there are no more.
func (a *runtimeAPI) accept() {
	defer a.leave()
	for {
		select {
		case a.slots <- struct{}{}:
		case <-a.closed:
			return
		}
		conn := a.next()
		if conn == nil {
			return
		}
		c, err := nowait.NewConn(conn)
		if err != nil {
			_ = conn.Close() // it is over
			<-a.slots
			continue
		}
		served := &runtimeConn{api: a, conn: c, in: bufio.NewReaderSize(c, maxPlainHead)}
		if !a.keep(served) {
			return
		}
		a.work.Go(func() { a.serve(served) })
	}
}

// next returns the next connection: nil when the API is closed, or finished and
// there is none that was made before.
func (a *runtimeAPI) next() *net.TCPConn {
	for {
		conn, err := a.listener.AcceptTCP()
		if err == nil {
			return conn
		}
		select {
		case <-a.closed:
			return nil
		case <-a.finished:
			return a.listener.acceptNow()
		case <-time.After(acceptPause):
			a.log.Warn("Runtime API", "function", a.session.version.Function, "error", err)
		}
	}
}

// finish is for when the runtime has ended: heard is closed as soon as all that
// it had sent has been read, also on connections that nobody has accepted yet.
// It is called by one goroutine.
func (a *runtimeAPI) finish() (heard <-chan struct{}) {
	if !isClosed(a.finished) {
		close(a.finished)
		_ = a.listener.SetDeadline(time.Unix(1, 0)) // fails only when it is closed: then accept ends
	}
	return a.heard
}

// leave counts what is no longer open.
func (a *runtimeAPI) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open--; a.open == 0 {
		close(a.heard)
	}
}

// serve serves a connection, or hands it over.
func (a *runtimeAPI) serve(c *runtimeConn) {
	unusual := c.serve()
	a.mu.Lock()
	delete(a.conns, c)
	a.mu.Unlock()
	conn := &handedConn{Conn: c.conn, in: unusual, close: sync.OnceValue(func() error {
		<-a.slots
		defer a.leave()
		return c.conn.Close()
	})}
	if unusual != nil {
		select {
		case a.toOthers() <- conn:
			return
		case <-a.closed:
		}
	}
	_ = conn.Close() // there is nothing to be done about it
}

// keep has a connection closed along with the API; false when that has
// happened.
func (a *runtimeAPI) keep(c *runtimeConn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conns == nil {
		_ = c.conn.Close() // as in serve
		return false
	}
	a.conns[c] = struct{}{}
	a.open++
	return true
}

// toOthers returns where to send connections for net/http.
func (a *runtimeAPI) toOthers() chan<- net.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.others == nil && a.conns != nil {
		a.handed = make(chan net.Conn)
		a.others = &http.Server{
			Handler:        a.session.routes(),
			MaxHeaderBytes: maxHeader,
			ErrorLog:       slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		}
		a.work.Go(func() {
			l := handedListener{a.handed, a.closed, a.listener.Addr()}
			if err := a.others.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				a.log.Warn("Runtime API ended", "function", a.session.version.Function, "error", err)
			}
		})
	}
	return a.handed
}

// Close ends all connections. It is called once.
func (a *runtimeAPI) Close() error {
	close(a.closed)
	err := a.listener.Close()
	a.mu.Lock()
	for c := range a.conns {
		_ = c.conn.Close() // its goroutine sees to what there is
	}
	a.conns = nil
	others := a.others
	a.mu.Unlock()
	if others != nil {
		err = errors.Join(err, others.Close())
	}
	a.work.Wait()
	return err
}

// A handedConn is a connection of which something has been read.
type handedConn struct {
	net.Conn
	in    io.Reader // what has been, and what comes
	close func() error
}

// Read implements net.Conn.
func (c *handedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Close implements net.Conn.
func (c *handedConn) Close() error { return c.close() }

// A handedListener is where handed connections come from.
type handedListener struct {
	conns  <-chan net.Conn
	closed <-chan struct{}
	addr   net.Addr
}

// Accept implements net.Listener.
func (l handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l handedListener) Close() error { return nil }

// Addr implements net.Listener.
func (l handedListener) Addr() net.Addr { return l.addr }
