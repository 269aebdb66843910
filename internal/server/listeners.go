package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
	"github.com/millicent-run/millicent/internal/plain"
)

// Limits of the HTTP servers. There is none on a whole request or answer: an
// invocation may take 15 minutes. The API's handler has those of the parts.
const (
	maxConnections = 8192
	maxHeader      = 64 << 10
	headerTime     = 10 * time.Second
	idleTime       = 2 * time.Minute

	// closeTime is how long handlers get to notice that their client was cut
	// off: each ends what it runs.
	closeTime = 10 * time.Second
)

// listeners are where the API is reached from outside the sandboxes: a TCP
// address, and the admin socket.
type listeners struct {
	tcp    net.Listener
	admin  net.Listener // nil when there is none
	failed chan error   // what ended a server too soon
	log    *slog.Logger

	running sync.WaitGroup // handlers and servers
	servers []httpServer

	stopping chan struct{} // closed when the stop begins: log followers leave
}

// listen binds the addresses; nothing is accepted yet.
func (s *server) listen(ctx context.Context) error {
	var lc net.ListenConfig
	tcp, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the address %s is in use, perhaps by another millicent server", s.cfg.Listen)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.cfg.Listen, err)
	}
	s.listeners = &listeners{
		tcp: tcp, failed: make(chan error, 2), stopping: make(chan struct{}), log: s.log,
	}
	s.built.push("listeners", s.listeners.close)
	s.listeners.admin, err = listenAdmin(ctx, filepath.Join(s.cfg.Data, "admin.sock"))
	if err != nil {
		s.log.Warn("no admin socket", "error", err)
	}
	return nil
}

// maxSocketPath is the longest path of a socket that Linux takes.
const maxSocketPath = 107

// listenAdmin binds the admin socket, in place of one that a killed server
// left. The data directory is closed to others, so that nobody can reach the
// socket between its making and its chmod.
func listenAdmin(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path %s is longer than the %d characters of a socket's", path, maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serve begins to accept.
func (s *server) serve(context.Context) error {
	l := s.listeners
	l.start(nowait.Listener(l.tcp), plain.NewHTTPServer(l.http(s.handler), s.handler.Plain, maxConnections, s.log))
	if l.admin != nil {
		l.start(l.admin, l.http(s.handler.Operator()))
	}
	s.inside.open(s.handler)
	return nil
}

// An httpServer serves the API: *http.Server, or *plain.Server before one.
type httpServer interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// http returns net/http's server for h, with the limits.
func (l *listeners) http(h http.Handler) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.running.Add(1)
			defer l.running.Done()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}
}

func (l *listeners) start(on net.Listener, srv httpServer) {
	l.servers = append(l.servers, srv)
	l.running.Go(func() {
		if err := srv.Serve(on); err != nil && !errors.Is(err, http.ErrServerClosed) {
			l.failed <- fmt.Errorf("accept on %s: %w", on.Addr(), err)
		}
	})
}

// address is where clients find the server: host and port.
func (l *listeners) address() string { return l.tcp.Addr().String() }

// close stops accepting and waits for the running requests until ctx ends;
// then it cuts them off.
func (l *listeners) close(ctx context.Context) error {
	close(l.stopping)
	var errs []error
	if len(l.servers) == 0 { // bound, and nothing served yet
		errs = append(errs, l.tcp.Close())
		if l.admin != nil {
			errs = append(errs, l.admin.Close())
		}
	}
	var group sync.WaitGroup
	for _, srv := range l.servers {
		group.Go(func() {
			if srv.Shutdown(ctx) != nil {
				_ = srv.Close() // the connections that Shutdown left are all that there is
			}
		})
	}
	group.Wait()
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTime):
		errs = append(errs, fmt.Errorf("requests still run %v after their clients were cut off", closeTime))
	}
	return errors.Join(errs...)
}

// door is a handler for calls from within sandboxes, which exist before the
// handler that serves them: until it opens, it is not available.
type door struct{ handler atomic.Pointer[http.Handler] }

func (d *door) open(h http.Handler) { d.handler.Store(&h) }

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := d.handler.Load()
	if h == nil {
		http.Error(w, "the server is starting", http.StatusServiceUnavailable)
		return
	}
	(*h).ServeHTTP(w, r)
}
