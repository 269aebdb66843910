package plain

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Conn is a connection of a [Server]. One goroutine at a time reads, and one
// writes.
type Conn struct {
	In *bufio.Reader // what comes; nobody else reads

	conn        net.Conn
	read, write deadline
	taken       []byte  // the latest request's head
	fields      []field // of it, for a moment
	out         []byte  // for the next answer
	state       atomic.Int32
}

// The states of a Conn.
const (
	idle int32 = iota // it waits for a request: closed when the server stops
	busy
	cut // it was closed while it was idle
)

func newConn(c net.Conn) *Conn {
	pc := &Conn{conn: c}
	pc.read.apply, pc.write.apply = c.SetReadDeadline, c.SetWriteDeadline
	pc.In = newReader(readFunc(pc.receive))
	return pc
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// receive reads from the connection itself.
func (c *Conn) receive(p []byte) (int, error) {
	if err := c.read.begin(); err != nil {
		return 0, err
	}
	defer c.read.end()
	return c.conn.Read(p)
}

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.write.begin(); err != nil {
		return 0, err
	}
	defer c.write.end()
	return c.conn.Write(p)
}

// WriteSome writes what the other side has room for now, as far as that can be
// told: perhaps nothing.
func (c *Conn) WriteSome(p []byte) (int, error) {
	some, ok := c.conn.(interface{ WriteSome(p []byte) (int, error) })
	if !ok {
		return 0, nil
	}
	if err := c.write.lift(); err != nil {
		return 0, err
	}
	return some.WriteSome(p)
}

// Send writes an answer. It sets no deadline where nothing has to be waited
// for.
func (c *Conn) Send(a *Answer) error {
	head, rest := a.parts(c.out[:0])
	c.out = spare(head)
	for _, p := range [][]byte{head, rest} {
		n, err := c.WriteSome(p)
		if err == nil && n < len(p) {
			_, err = c.Write(p[n:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxSpare is how much memory a connection keeps for the next answer.
const maxSpare = 4 << 10

// spare returns b where it is to be kept.
func spare(b []byte) []byte {
	if cap(b) > maxSpare {
		return nil
	}
	return b
}

// A deadline of reading or writing is told to the connection when there is
// something to wait for: most often there is not. It is safe for concurrent
// use, but for begin and end.
type deadline struct {
	apply func(time.Time) error

	mu        sync.Mutex
	want, set time.Time
	waiting   bool
}

// to sets the deadline; the zero time is none.
func (d *deadline) to(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if !d.waiting {
		return nil
	}
	return d.settle()
}

// begin is called before something that may wait, and end afterwards.
func (d *deadline) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = true
	return d.settle()
}

func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = false
}

// lift takes back what was told for an earlier wait: a deadline that has passed
// also ends what does not wait.
func (d *deadline) lift() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set.IsZero() {
		return nil
	}
	d.set = time.Time{}
	return d.apply(d.set)
}

func (d *deadline) settle() error {
	if d.want.Equal(d.set) {
		return nil
	}
	d.set = d.want
	return d.apply(d.want)
}

// A handed connection is net/http's, with what had been read of it.
type handed struct {
	*Conn
	in    io.Reader // what has been, and what comes
	close func() error
}

var _ net.Conn = handed{}

func (h handed) Read(p []byte) (int, error)         { return h.in.Read(p) }
func (h handed) Close() error                       { return h.close() }
func (h handed) LocalAddr() net.Addr                { return h.conn.LocalAddr() }
func (h handed) RemoteAddr() net.Addr               { return h.conn.RemoteAddr() }
func (h handed) SetReadDeadline(t time.Time) error  { return h.read.to(t) }
func (h handed) SetWriteDeadline(t time.Time) error { return h.write.to(t) }

func (h handed) SetDeadline(t time.Time) error {
	if err := h.read.to(t); err != nil {
		return err
	}
	return h.write.to(t)
}

// handover is the listener by which net/http's server gets connections.
type handover struct {
	conns  chan net.Conn
	closed <-chan struct{}
	addr   net.Addr
}

// Accept implements net.Listener.
func (l handover) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l handover) Close() error { return nil }

// Addr implements net.Listener.
func (l handover) Addr() net.Addr { return l.addr }
