package egress

import (
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Traffic counts the connections of one sandbox. It may be read at any time;
// bytes are counted when a connection pauses or ends, at the latest every
// 256 KB.
type Traffic struct {
	Sent        atomic.Int64 // bytes from the sandbox
	Received    atomic.Int64 // bytes to the sandbox
	Connections atomic.Int64 // made
	Refused     atomic.Int64 // by policy

	mu   sync.Mutex
	open map[*net.TCPConn]*atomic.Int64 // the sandbox's ends, and what of Sent is theirs

	toll toll
}

// Total returns the bytes that the sandbox sent to elsewhere, those of Sent and
// what the kernel has taken since from connections that are open. It makes a
// system call for each of these.
func (t *Traffic) Total() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	total := t.Sent.Load()
	for c, counted := range t.open {
		if n := received(c) - counted.Load(); n > 0 {
			total += n
		}
	}
	return total
}

// begin notes a connection of the sandbox, until end, and returns the count of
// its bytes.
func (t *Traffic) begin(inside *net.TCPConn) (sent *atomic.Int64) {
	sent = new(atomic.Int64)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[*net.TCPConn]*atomic.Int64{}
	}
	t.open[inside] = sent
	return sent
}

func (t *Traffic) end(inside *net.TCPConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, inside)
}

// received returns how many bytes have come in on a connection, zero when it
// is closed.
func received(c *net.TCPConn) (n int64) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // fails for a closed one alone
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int64(info.Bytes_received)
		}
	})
	return n
}
