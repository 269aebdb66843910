package natsd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/millicent-run/millicent/internal/durable"
)

const (
	// maxPayload bounds one message: the most that the server takes without
	// a warning, and more than the largest value that the store keeps.
	maxPayload = 8 << 20

	// maxStore bounds JetStream's files. It holds metadata, queues and usage,
	// never packages; a runaway writer is refused before the disk is full.
	maxStore = 64 << 30

	// maxMemory bounds memory-backed streams.
	maxMemory = 256 << 20

	// closeTimeout bounds Close. A clean stop takes some 10 ms.
	closeTimeout = 15 * time.Second
)

// Server is an embedded NATS server with JetStream, reachable only from
// within this process. It is safe for concurrent use.
type Server struct {
	nats *server.Server
	lock *os.File
	log  *slog.Logger

	closing  sync.Once
	closeErr error

	mu     sync.Mutex
	closed bool
	conns  []*nats.Conn
}

// Start starts a server on dir, which it makes if need be, and returns when it
// is ready. A second one on the same directory is refused, also from another
// process. It may block for as long as it takes to read what dir holds.
func Start(dir string, log *slog.Logger) (*Server, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("close the state directory to others: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	srv, err := start(dir, log)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Server{nats: srv, lock: lock, log: log}, nil
}

// start starts the server on a directory that is locked.
func start(dir string, log *slog.Logger) (*server.Server, error) {
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	store := filepath.Join(dir, "jetstream")
	if err := durable.MkdirAll(store, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	srv, err := server.NewServer(options(store))
	if err != nil {
		return nil, fmt.Errorf("configure the state server: %w", err)
	}
	bridge := &logBridge{log: log, starting: true}
	srv.SetLoggerV2(bridge, false, false, false)
	// Without a listener, Start returns when the server has started.
	srv.Start()
	if err := bridge.started(); err != nil {
		srv.Shutdown()
		return nil, fmt.Errorf("start the state server on %s: %w", dir, err)
	}
	if !srv.JetStreamEnabled() {
		srv.Shutdown()
		return nil, fmt.Errorf("start the state server on %s: it came up without JetStream", dir)
	}
	return srv, nil
}

func options(store string) *server.Options {
	return &server.Options{
		ServerName:             "millicent",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               store,
		SyncAlways:             true,
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     maxMemory,
		MaxPayload:             maxPayload,
		DisableJetStreamBanner: true,
	}
}

// Connect returns an in-process connection. It stays usable until the caller
// or Close closes it.
func (s *Server) Connect() (*nats.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("connect to the state server: it is closed")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s.nats), nats.Name("millicent"),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Error("connection to the state server", "error", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to the state server: %w", err)
	}
	s.conns = append(s.conns, nc)
	return nc, nil
}

// Close closes the connections, stops the server and returns once all is on
// disk. It is idempotent and bounded: a server that does not stop in time is
// an error, and keeps its directory locked until the process ends.
func (s *Server) Close() error {
	s.closing.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	s.mu.Lock()
	s.closed = true
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for _, nc := range conns {
		nc.Close()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}()
	select {
	case <-stopped:
	case <-time.After(closeTimeout):
		return fmt.Errorf("the state server did not stop within %v", closeTimeout)
	}
	return s.lock.Close()
}
