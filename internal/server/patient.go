package server

import (
	"net"
	"sync/atomic"
	"time"
)

// patient is a listener whose connections may be silent for idleTime before
// their first request, as they may between two; then headerTime counts. A
// client opens connections in advance, and takes one of them when it is busy:
// what is closed at that moment loses a request that cannot be sent again.
// The servers of net/http count headerTime from the first moment on.
type patient struct{ net.Listener }

// Accept implements net.Listener.
func (l patient) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &unheard{Conn: c}, nil
}

// An unheard connection is patient until the first byte has come.
type unheard struct {
	net.Conn
	heard atomic.Bool
}

// Read implements net.Conn.
func (c *unheard) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
		_ = c.Conn.SetReadDeadline(time.Now().Add(headerTime)) // fails only when it is closed
	}
	return n, err
}

// SetReadDeadline implements net.Conn.
func (c *unheard) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !c.heard.Load() {
		t = t.Add(idleTime - headerTime)
	}
	return c.Conn.SetReadDeadline(t)
}
