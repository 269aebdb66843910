package egress

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
)

// purse pays for so many bytes in all.
type purse struct{ left atomic.Int64 }

func purseOf(bytes int64) *purse {
	p := new(purse)
	p.left.Store(bytes)
	return p
}

func (p *purse) pay(n int64) bool {
	for {
		left := p.left.Load()
		if left < n {
			return false
		}
		if p.left.CompareAndSwap(left, left-n) {
			return true
		}
	}
}

// Nothing is sent that nobody pays for: the connection is reset. Without anybody
// who has to pay, all is sent again.
func TestUnpaidIsNotSent(t *testing.T) {
	const paid, size = 300_000, 1 << 20
	var arrived atomic.Int64
	ended := make(chan struct{}, 2)
	server := outside(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c) // until the reset, or the end
		arrived.Add(n)
		ended <- struct{}{}
	})
	traffic := new(Traffic)
	connect, _ := serve(t, world(Config{}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{Traffic: traffic})
	send := func() {
		c := connect("93.184.215.14:80")
		_, _ = c.Write(bytes.Repeat([]byte("x"), size)) // fails where it is reset
		c.CloseWrite()
		<-ended
	}
	p := purseOf(paid)
	traffic.Begin(p.pay)
	send()
	if n := arrived.Load(); n > paid || traffic.Sent.Load() > paid {
		t.Errorf("%d bytes arrived of %d that were paid for; %d are counted", n, paid, traffic.Sent.Load())
	}
	if p.left.Load() >= paid {
		t.Error("nobody was asked")
	}
	arrived.Store(0)
	traffic.Begin(nil)
	send()
	if n := arrived.Load(); n != size {
		t.Errorf("%d bytes arrived of %d", n, size)
	}
}

func TestToll(t *testing.T) {
	var l toll
	want := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	want("before the first", l.pass(1000), true)
	p := purseOf(ahead + 100)
	l.begin(p.pay, 1050)
	want("what waited", l.pass(50), true)
	if p.left.Load() != ahead+100 {
		t.Error("what waited is paid twice")
	}
	want("some", l.pass(10), true)
	want("what is paid ahead", l.pass(ahead-10), true)
	want("more than is left", l.pass(101), false)
	want("what is left", l.pass(60), true)
	want("the end, and 40 wait", l.settle(ahead+100, 1000+50+10+(ahead-10)+60+40), true)
	if p.left.Load() != 0 {
		t.Errorf("%d bytes are left", p.left.Load())
	}
	want("those that wait", l.pass(40), true)
	want("after the end", l.pass(1), false)

	l.begin(purseOf(ahead).pay, 0)
	want("some", l.pass(5), true)
	want("the end, where nobody pays for what waits", l.settle(ahead+1, ahead), false)
	want("what waits", l.pass(1), false)
	l.begin(purseOf(ahead).pay, 0)
	want("a new invocation", l.pass(1), true)
	want("its end", l.settle(1, 0), true)
	want("what was paid ahead, after the end", l.pass(1), false)

	// What passes between the look at the total and the settling is not granted
	// again.
	l.begin(purseOf(0).pay, l.passed-40)
	want("more, by a total that is behind", l.pass(1), false)
}
