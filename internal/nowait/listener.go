package nowait

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// Listener returns l with connections that are Streams, as far as they are TCP:
// for a server that has one reader and one writer of each at a time, as that of
// net/http.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	s, err := New(t)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err) // no connection of the poller's
	}
	return conn{t, s}, nil
}

type conn struct {
	*net.TCPConn
	stream *Stream
}

// Read implements net.Conn.
func (c conn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	return n, c.named("read", err)
}

// Write implements net.Conn.
func (c conn) Write(p []byte) (int, error) {
	n, err := c.stream.Write(p)
	return n, c.named("write", err)
}

// named returns err as net's own connections do.
func (c conn) named(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // as net.Conn returns it
		return err
	}
	var cause *net.OpError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
