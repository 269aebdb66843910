package process

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
	"github.com/millicent-run/millicent/internal/plain"
)

// maxConnections is how many a runtime may have at a time: it needs two.
const maxConnections = 16

// A runtimeAPI serves a session's Runtime API. The plain requests of each
// invocation are answered on the connections' own goroutines, see runtimeConn;
// a connection on which anything else comes is net/http's from then on.
//
// It has no timeouts: a runtime may wait for its next event for ever, and one
// that dawdles harms only itself.
type runtimeAPI struct {
	session  *session
	listener runListener
	server   *plain.Server
	closed   chan struct{}
	finished chan struct{}   // closed by finish
	heard    <-chan struct{} // closed when nothing can come any more
	work     sync.WaitGroup  // all goroutines but those of connections
}

// serveRuntimeAPI serves s on l until the API is closed.
func serveRuntimeAPI(s *session, l runListener, log *slog.Logger) *runtimeAPI {
	a := &runtimeAPI{session: s, listener: l, closed: make(chan struct{}), finished: make(chan struct{})}
	log = log.With("function", s.version.Function)
	a.server = plain.NewServer(plain.Config{
		Serve: func(c *plain.Conn) io.Reader { return (&runtimeConn{Conn: c, api: a}).serve() },
		Others: func() *http.Server {
			return &http.Server{
				Handler:        s.routes(),
				MaxHeaderBytes: maxHeader,
				ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			}
		},
		Connections: maxConnections,
		Log:         log,
	})
	a.heard = a.server.Ended()
	a.work.Go(func() {
		if err := a.server.Serve(nowait.Listener(finite{l, a.finished})); err != nil && !isClosed(a.finished) {
			log.Warn("Runtime API ended", "error", err)
		}
	})
	return a
}

// A finite listener ends when its runtime has finished and there is no
// connection that was made before.
type finite struct {
	runListener
	finished <-chan struct{}
}

// Accept implements net.Listener.
func (l finite) Accept() (net.Conn, error) {
	conn, err := l.AcceptTCP()
	if err != nil && isClosed(l.finished) {
		if conn = l.acceptNow(); conn == nil {
			return nil, net.ErrClosed
		}
	} else if err != nil {
		return nil, err
	}
	return conn, nil
}

// finish is for when the runtime has ended: heard is closed as soon as all that
// it had sent has been read, also on connections that nobody has accepted yet.
// It is called by one goroutine.
func (a *runtimeAPI) finish() (heard <-chan struct{}) {
	if !isClosed(a.finished) {
		close(a.finished)
		_ = a.listener.SetDeadline(time.Unix(1, 0)) // fails only when it is closed: then there is no more
	}
	return a.heard
}

// Close ends all connections. It is called once.
func (a *runtimeAPI) Close() error {
	close(a.closed)
	err := a.server.Close()
	a.server.Wait()
	a.work.Wait()
	return err
}
