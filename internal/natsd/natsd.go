// Package natsd starts and stops the embedded NATS server.
package natsd

import (
	"log/slog"

	"github.com/nats-io/nats.go"
)

// Server is an embedded NATS server with JetStream, reachable only from
// within this process.
type Server struct{}

// Start starts a server on dir. A second one on the same directory is
// refused, also from another process.
func Start(dir string, log *slog.Logger) (*Server, error) { panic("not built") }

// Connect returns an in-process connection.
func (s *Server) Connect() (*nats.Conn, error) { panic("not built") }

// Close stops the server and returns once all is on disk.
func (s *Server) Close() error { panic("not built") }
