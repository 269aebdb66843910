package process

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"

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
	session *session
	server  *plain.Server
	closed  chan struct{}
	work    sync.WaitGroup // all goroutines but those of connections
}

// serveRuntimeAPI serves s on l until the API is closed.
func serveRuntimeAPI(s *session, l net.Listener, log *slog.Logger) *runtimeAPI {
	a := &runtimeAPI{session: s, closed: make(chan struct{})}
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
	a.work.Go(func() {
		if err := a.server.Serve(nowait.Listener(l)); err != nil {
			log.Warn("Runtime API ended", "error", err)
		}
	})
	return a
}

// Close ends all connections. It is called once.
func (a *runtimeAPI) Close() error {
	close(a.closed)
	err := a.server.Close()
	a.server.Wait()
	a.work.Wait()
	return err
}
