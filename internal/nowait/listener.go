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
	conn, err := NewConn(t)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err) // no connection of the poller's
	}
	return conn, nil
}

// A Conn is a TCP connection that is a Stream.
type Conn struct {
	*net.TCPConn
	stream *Stream
}

// NewConn returns a Conn of a connection, which is not to be read or written
// otherwise then.
func NewConn(t *net.TCPConn) (*Conn, error) {
	s, err := New(t)
	if err != nil {
		return nil, err
	}
	return &Conn{t, s}, nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	return n, c.named("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.stream.Write(p)
	return n, c.named("write", err)
}

// WriteSome is Stream's.
func (c *Conn) WriteSome(p []byte) (int, error) {
	n, err := c.stream.WriteSome(p)
	return n, c.named("write", err)
}

// named returns err as net's own connections do.
func (c *Conn) named(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // as net.Conn returns it
		return err
	}
	var cause *net.OpError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
