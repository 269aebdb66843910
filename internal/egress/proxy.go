package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A proxy carries one sandbox's TCP connections.
type proxy struct {
	gw      *Gateway
	port    Port
	allow   allowList
	learned *learnedNames

	telling budget // of OnRefuse
}

// serve carries connections until the listener closes.
func (p *proxy) serve(ctx context.Context) error {
	return acceptLoop(ctx, p.port.TCP, maxConns, func(c *net.TCPConn) func() {
		dst, ok := p.admit(c)
		if !ok {
			return nil
		}
		return func() { p.carry(ctx, c, dst) }
	})
}

// admit returns where a sandbox's connection wants to go, unless the policy
// refuses it.
func (p *proxy) admit(inside *net.TCPConn) (dst netip.AddrPort, ok bool) {
	dst, err := p.port.OriginalDst(inside)
	if err != nil {
		p.gw.log.Warn("no destination known for a connection", "error", err)
		reset(inside)
		return dst, false
	}
	dst = netip.AddrPortFrom(dst.Addr().WithZone("").Unmap(), dst.Port())
	if reason := p.decide(dst); reason != "" {
		p.refuse(inside, dst, reason)
		return dst, false
	}
	return dst, true
}

// carry connects a sandbox's connection to where it wanted to go.
func (p *proxy) carry(ctx context.Context, inside *net.TCPConn, dst netip.AddrPort) {
	if !p.gw.conns.TryAcquire(1) {
		reset(inside)
		if p.gw.telling.spend(time.Now()) {
			p.gw.log.Warn("too many outbound connections on this server")
		}
		return
	}
	defer p.gw.conns.Release(1)
	outside, err := p.gw.dial(ctx, dst)
	if err != nil {
		reset(inside) // as close to "connection refused" as an accepted one comes
		return
	}
	defer outside.Close()
	defer context.AfterFunc(ctx, func() { outside.Close() })()

	// The host got this address between the decision and the dial: only a
	// connection to oneself has the same address at both ends.
	if ends(outside.LocalAddr()) == ends(outside.RemoteAddr()) && p.gw.isLocal(dst.Addr()) {
		reset(outside)
		p.refuse(inside, dst, "an address of the host")
		return
	}
	p.port.Traffic.Connections.Add(1)
	pipe(inside, outside, p.gw.idle, p.port.Traffic)
}

// decide asks the policy about a destination, with all that is known now.
func (p *proxy) decide(dst netip.AddrPort) string {
	now := time.Now()
	local, err := p.gw.local.prefixes(now)
	if err != nil {
		p.gw.log.Error("outbound connection refused: the host's own addresses are unknown", "error", err)
		return "the host's own addresses are unknown"
	}
	return decide(state{
		mode:   p.gw.mode,
		local:  local,
		refuse: p.gw.refuse,
		allow:  p.allow,
		names:  p.learned.of(now, dst.Addr()),
	}, dst)
}

// refuse resets a connection that the policy does not allow. The telling
// comes first, so that it is in the log when the function reads the reset.
func (p *proxy) refuse(inside *net.TCPConn, dst netip.AddrPort, reason string) {
	defer reset(inside)
	p.port.Traffic.Refused.Add(1)
	if !p.telling.spend(time.Now()) {
		return
	}
	p.gw.log.Debug("outbound connection refused", "destination", dst, "reason", reason)
	if p.port.OnRefuse != nil {
		p.port.OnRefuse(dst, reason)
	}
}

// isLocal reports whether an address is the host's own right now.
func (g *Gateway) isLocal(a netip.Addr) bool {
	prefixes, err := g.local.read()
	if err != nil {
		return true
	}
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// ends returns the address of one end of a connection.
func ends(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// hostDialer connects from the host's own network.
func hostDialer(timeout time.Duration) func(context.Context, netip.AddrPort) (*net.TCPConn, error) {
	d := &net.Dialer{Timeout: timeout}
	return func(ctx context.Context, dst netip.AddrPort) (*net.TCPConn, error) {
		return d.DialTCP(ctx, "tcp", netip.AddrPort{}, dst)
	}
}

// chunk is how much is spliced between two looks at the clock, at most.
const chunk = 256 << 10

// pipe carries bytes both ways until both directions have ended, one has
// failed, or nothing moved for as long as idle. The end of one direction is
// passed on and leaves the other open.
func pipe(inside, outside *net.TCPConn, idle time.Duration, t *Traffic) {
	var moved atomic.Int64 // bytes, both ways
	sent := t.begin(inside)
	defer t.end(inside)
	one := func(dst, src *net.TCPConn, pass func(int64) bool, counts ...*atomic.Int64) {
		if copyAll(dst, src, idle, &moved, pass, counts) != nil {
			// A broken or idle connection ends both ways, and says so.
			reset(src)
			reset(dst)
			return
		}
		// An error means that dst is gone, which the other direction sees.
		_ = dst.CloseWrite()
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		one(inside, outside, nil, &t.Received)
	}()
	one(outside, inside, t.toll.pass, &t.Sent, sent)
	<-back
}

// copyAll copies src to dst until src ends. The kernel moves the bytes
// (splice), and no more of them than are there: who waits in the midst of it
// keeps two descriptors of a pipe. The clock is kept with deadlines: each direction
// tells at least every half of idle what it moved, and gives up when it has
// seen two halves in a row in which neither moved anything. Halves are counted
// rather than time compared, so that a machine that stood still for a while
// does not find all its connections idle. A write may wait for twice idle. pass,
// unless it is nil, is asked whether bytes may be sent.
func copyAll(dst, src *net.TCPConn, idle time.Duration, moved *atomic.Int64, pass func(int64) bool, counts []*atomic.Int64) error {
	raw, err := src.SyscallConn()
	if err != nil {
		return err
	}
	seen, quiet := int64(0), 0
	for {
		now := time.Now()
		latest := now.Add(2 * idle)
		if err := errors.Join(src.SetReadDeadline(now.Add(idle/2)), dst.SetWriteDeadline(latest)); err != nil {
			return err
		}
		n, err := available(raw)
		n = min(n, chunk)
		if err == nil && pass != nil && !pass(n) {
			return errUnpaid
		}
		if err == nil {
			n, err = io.CopyN(dst, src, n)
		}
		for _, count := range counts {
			count.Add(n)
		}
		total := moved.Add(n)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded), !time.Now().Before(latest):
			return err // of a write that waited too long, too: bytes are lost then
		}
		if total != seen {
			seen, quiet = total, 0
			continue
		}
		if quiet++; quiet == 2 {
			return os.ErrDeadlineExceeded
		}
	}
}

// available waits until a connection has something to read, and returns how
// many bytes at least; io.EOF at its end.
func available(c syscall.RawConn) (n int64, err error) {
	var peekErr error
	err = c.Read(func(fd uintptr) bool {
		var b [1]byte
		got, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		for errors.Is(err, unix.EINTR) {
			got, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil:
			peekErr = os.NewSyscallError("recvfrom", err)
		case got == 0:
			peekErr = io.EOF
		default:
			there, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			n, peekErr = int64(max(there, 1)), os.NewSyscallError("ioctl", err)
		}
		return true
	})
	if err == nil {
		err = peekErr
	}
	return n, err
}
