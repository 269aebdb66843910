package server

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/millicent-run/millicent/internal/nowait"
)

// quick is a listener for TCP whose connections are read and written without
// Go's scheduler being told, for a server that has one reader and one writer
// at a time, as that of net/http.
type quick struct{ net.Listener }

// Accept implements net.Listener.
func (l quick) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	s, err := nowait.New(t)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err) // no connection of the poller's
	}
	return quickConn{t, s}, nil
}

type quickConn struct {
	*net.TCPConn
	stream *nowait.Stream
}

// Read implements net.Conn.
func (c quickConn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	return n, c.named("read", err)
}

// Write implements net.Conn.
func (c quickConn) Write(p []byte) (int, error) {
	n, err := c.stream.Write(p)
	return n, c.named("write", err)
}

// named returns err as net's own connections do.
func (c quickConn) named(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // as net.Conn returns it
		return err
	}
	var cause *net.OpError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
