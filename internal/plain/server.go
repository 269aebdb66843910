package plain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// Config gives a Server what it needs. All of it is required.
type Config struct {
	// Serve serves a connection. It returns what is to be read first from one
	// on which a request came that is not plain, nil from one that is over.
	Serve func(c *Conn) (unusual io.Reader)

	// Others returns the server that unusual connections are handed over to.
	// It is called once, when there is the first of them.
	Others func() *http.Server

	Connections int // that may be open at a time; others wait
	Log         *slog.Logger
}

// A Server accepts connections.
type Server struct {
	cfg    Config
	slots  chan struct{}  // one for each connection, the handed ones included
	work   sync.WaitGroup // all goroutines but those of handed connections
	closed chan struct{}  // with the beginning of the end
	ended  chan struct{}  // see Ended

	mu       sync.Mutex // guards what follows
	stopping bool
	listener net.Listener
	conns    map[*Conn]struct{}
	handed   chan net.Conn // nil while there was none
	others   *http.Server  // nil while there was none
	open     int           // connections, and one more while others may come
}

// NewServer returns a Server. Shut it down, or close it.
func NewServer(cfg Config) *Server {
	return &Server{
		cfg: cfg, slots: make(chan struct{}, cfg.Connections), closed: make(chan struct{}), ended: make(chan struct{}),
		conns: map[*Conn]struct{}{}, open: 1,
	}
}

// acceptPause is the time after which a failed accept is tried again.
const acceptPause = 50 * time.Millisecond

// Serve takes l's connections until the server ends, or l does: it returns nil
// in the first case. It is called once.
func (s *Server) Serve(l net.Listener) error {
	defer s.leave()
	s.mu.Lock()
	s.listener = l
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		return l.Close()
	}
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.closed:
			return nil
		}
		conn, err := l.Accept()
		for ; err != nil; conn, err = l.Accept() {
			if errors.Is(err, net.ErrClosed) && !s.isStopping() {
				return err
			}
			select {
			case <-s.closed:
				return nil
			case <-time.After(acceptPause):
			}
			s.cfg.Log.Warn("connection not accepted", "address", l.Addr().String(), "error", err)
		}
		s.begin(newConn(conn))
	}
}

// begin has a connection served.
func (s *Server) begin(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = c.conn.Close() // nothing came of it
		<-s.slots
		return
	}
	s.conns[c] = struct{}{}
	s.open++
	s.work.Go(func() { s.serve(c) })
}

// serve serves a connection, or hands it over.
func (s *Server) serve(c *Conn) {
	unusual := s.run(c)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	conn := handed{Conn: c, in: unusual, close: sync.OnceValue(func() error {
		<-s.slots
		defer s.leave()
		return c.conn.Close()
	})}
	if unusual != nil {
		_ = c.write.to(time.Time{}) // as net/http gets them; it fails only when it is closed
		select {
		case s.toOthers() <- conn:
			return
		case <-s.closed:
		}
	}
	_ = conn.Close() // there is nothing to be done about it
}

// run is Config's Serve. A panic ends its connection alone, as with net/http.
func (s *Server) run(c *Conn) (unusual io.Reader) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.Error("panic while serving a connection", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	return s.cfg.Serve(c)
}

// toOthers returns where to send connections for net/http.
func (s *Server) toOthers() chan<- net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.others == nil && !s.stopping {
		s.handed, s.others = make(chan net.Conn), s.cfg.Others()
		l := handover{s.handed, s.closed, s.listener.Addr()}
		s.work.Go(func() {
			if err := s.others.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				s.cfg.Log.Warn("unusual connections are not accepted any more", "address", l.addr.String(), "error", err)
			}
		})
	}
	return s.handed
}

// leave counts what is no longer open.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open--; s.open == 0 {
		close(s.ended)
	}
}

// stop begins the end: no more connections, and those are closed that wait for
// a request, or all of them.
func (s *Server) stop(all bool) (others *http.Server, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.stopping = true
		close(s.closed)
		if s.listener != nil {
			err = s.listener.Close()
		}
	}
	for c := range s.conns {
		if c.state.CompareAndSwap(idle, cut) || all {
			_ = c.conn.Close() // its goroutine sees to what there is
		}
	}
	return s.others, err
}

// Shutdown accepts no more connections, closes those that wait for a request,
// and waits until the others have had their answers, or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	others, err := s.stop(false)
	if others != nil {
		err = errors.Join(err, others.Shutdown(ctx))
	}
	ended := make(chan struct{})
	go func() { // ends with the last connection
		s.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// Close closes all connections. It does not wait for their goroutines.
func (s *Server) Close() error {
	others, err := s.stop(true)
	if others != nil {
		err = errors.Join(err, others.Close())
	}
	return err
}

// Wait waits for the end of all goroutines, but those of handed connections.
func (s *Server) Wait() { s.work.Wait() }

// Ended is closed when Serve has ended and so have all connections, also those
// that were handed over.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// isStopping reports whether the end has begun.
func (s *Server) isStopping() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}
