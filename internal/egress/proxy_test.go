package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// outside is a server on loopback that stands for a public address.
func outside(t *testing.T, serve func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	l := listen(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			conns.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// world maps public addresses to servers on loopback, in place of dialling.
func world(cfg Config, servers map[string]netip.AddrPort) Config {
	cfg.dial = func(ctx context.Context, dst netip.AddrPort) (*net.TCPConn, error) {
		to, ok := servers[dst.String()]
		if !ok {
			return nil, errors.New("connection refused")
		}
		return new(net.Dialer).DialTCP(ctx, "tcp", netip.AddrPort{}, to)
	}
	if cfg.local == nil {
		cfg.local = func() ([]netip.Prefix, error) {
			return []netip.Prefix{netip.MustParsePrefix("203.0.114.7/32")}, nil
		}
	}
	return cfg
}

// serve runs a Gateway for one sandbox and returns how to connect from it:
// dst says where the next connection wanted to go.
func serve(t *testing.T, cfg Config, p Port) (connect func(dst string) *net.TCPConn, stop func()) {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wanted sync.Map // local address of the sandbox's end → destination
	p.TCP = listen(t)
	p.OriginalDst = func(c *net.TCPConn) (netip.AddrPort, error) {
		for range 1000 { // until connect has noted it
			if dst, ok := wanted.Load(c.RemoteAddr().String()); ok {
				return dst.(netip.AddrPort), nil
			}
			time.Sleep(time.Millisecond)
		}
		return netip.AddrPort{}, errors.New("unknown")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, p) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve did not return")
		}
	})
	t.Cleanup(stop)
	return func(dst string) *net.TCPConn {
		t.Helper()
		c, err := net.DialTCP("tcp4", nil, p.TCP.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		wanted.Store(c.LocalAddr().String(), netip.MustParseAddrPort(dst))
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}, stop
}

func echo(c *net.TCPConn) { io.Copy(c, c) }

func wantReset(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: got %v, want a reset", err)
	}
}

func TestCarriesBothWays(t *testing.T) {
	// The server answers only once it has seen the end of the request.
	server := outside(t, func(c *net.TCPConn) {
		body, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		c.Write(body)
	})
	traffic := new(Traffic)
	connect, stop := serve(t, world(Config{}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{Traffic: traffic})
	c := connect("93.184.215.14:80")
	sent := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MB: several chunks
	go func() {
		c.Write(sent)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes back, want the %d sent", len(got), len(sent))
	}
	stop()
	if s, r, n := traffic.Sent.Load(), traffic.Received.Load(), traffic.Connections.Load(); s != int64(len(sent)) || r != int64(len(sent)) || n != 1 {
		t.Errorf("traffic: %d sent, %d received, %d connections; want %d, %[4]d, 1", s, r, n, len(sent))
	}
}

// What an open connection has sent is in the total, before it is counted.
func TestTrafficTotal(t *testing.T) {
	server := outside(t, echo)
	traffic := new(Traffic)
	connect, stop := serve(t, world(Config{}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{Traffic: traffic})
	want := int64(0)
	for _, size := range []int{1, 1000, 300_000} {
		c := connect("93.184.215.14:80")
		sent := bytes.Repeat([]byte("x"), size)
		go c.Write(sent)
		if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		want += int64(size)
		if got := traffic.Total(); got != want {
			t.Errorf("got a total of %d bytes, want %d", got, want)
		}
	}
	stop()
	if got, sent := traffic.Total(), traffic.Sent.Load(); got != want || sent != want {
		t.Errorf("at the end %d bytes, %d counted, want %d", got, sent, want)
	}
}

func TestRefusedIsReset(t *testing.T) {
	server := outside(t, echo)
	servers := map[string]netip.AddrPort{}
	refused := []string{"127.0.0.1:80", "169.254.169.254:80", "10.0.0.1:80", "203.0.114.7:80", "[::ffff:10.0.0.1]:80"}
	for _, dst := range refused {
		servers[dst] = server
	}
	reasons := make(chan string, len(refused))
	traffic := new(Traffic)
	connect, _ := serve(t, world(Config{}, servers), Port{
		Traffic:  traffic,
		OnRefuse: func(dst netip.AddrPort, reason string) { reasons <- dst.String() + " " + reason },
	})
	for _, dst := range refused {
		wantReset(t, connect(dst))
	}
	wantReset(t, connect("93.184.215.14:81")) // allowed, but nobody listens
	for _, want := range []string{
		"127.0.0.1:80 a loopback address", "169.254.169.254:80 a link-local address", "10.0.0.1:80 a private address",
		"203.0.114.7:80 an address of the host", "10.0.0.1:80 a private address",
	} {
		if got := <-reasons; got != want {
			t.Errorf("told of %q, want %q", got, want)
		}
	}
	if got := traffic.Refused.Load(); got != int64(len(refused)) {
		t.Errorf("%d refusals counted, want %d", got, len(refused))
	}
}

func TestUnknownHostAddressesRefuse(t *testing.T) {
	cfg := world(Config{}, map[string]netip.AddrPort{"93.184.215.14:80": outside(t, echo)})
	cfg.local = func() ([]netip.Prefix, error) { return nil, errors.New("no netlink") }
	connect, _ := serve(t, cfg, Port{})
	wantReset(t, connect("93.184.215.14:80"))
}

func TestIdleConnectionEnds(t *testing.T) {
	server := outside(t, echo)
	connect, _ := serve(t, world(Config{IdleTimeout: 100 * time.Millisecond}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{})
	c := connect("93.184.215.14:80")
	buf := make([]byte, 1)
	if _, err := c.Write(buf); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c) // after the silence
}

func TestOneWayTrafficIsNotIdle(t *testing.T) {
	const idle, period, ticks = 2 * time.Second, 50 * time.Millisecond, 50
	server := outside(t, func(c *net.TCPConn) {
		for range ticks { // 2.5 s of download with nothing sent
			time.Sleep(period)
			if _, err := c.Write([]byte{1}); err != nil {
				return
			}
		}
	})
	connect, _ := serve(t, world(Config{IdleTimeout: idle}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{})
	c := connect("93.184.215.14:80")
	got, err := io.ReadAll(c)
	if err != nil || len(got) != ticks {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, ticks)
	}
}

func TestServeEndsConnections(t *testing.T) {
	server := outside(t, echo)
	connect, stop := serve(t, world(Config{}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{})
	c := connect("93.184.215.14:80")
	buf := make([]byte, 1)
	if _, err := c.Write(buf); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := c.Read(buf); err == nil {
		t.Error("the connection is still open")
	}
	if _, err := net.Dial("tcp4", c.RemoteAddr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{}, 10)
	done := make(chan error, 1)
	go func() {
		done <- acceptLoop(ctx, l, 2, func(c *net.TCPConn) func() {
			return func() {
				held <- struct{}{}
				io.Copy(io.Discard, c)
			}
		})
	}()
	var conns []*net.TCPConn
	for range 3 {
		c, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
		if len(conns) == 2 && errors.Is(err, syscall.ECONNRESET) {
			break // so soon that connect(2) has noticed
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		conns = append(conns, c)
		if len(conns) == 3 {
			wantReset(t, c)
			break
		}
		<-held
	}
	cancel()
	l.Close()
	if err := <-done; err != nil {
		t.Errorf("acceptLoop: %v", err)
	}
}

// However many connections that are refused wait to be accepted, no more than
// one of them is open.
func TestRefusedConnectionsAreNotGathered(t *testing.T) {
	l := listen(t)
	const all = 50
	for range all {
		c, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	var seen []*net.TCPConn
	done := make(chan error, 1)
	go func() {
		done <- acceptLoop(t.Context(), l, 2, func(c *net.TCPConn) func() {
			if len(seen) > 0 && seen[len(seen)-1].SetDeadline(time.Time{}) == nil {
				t.Error("the connection before is still open")
			}
			if seen = append(seen, c); len(seen) == all {
				l.Close()
			}
			return nil
		})
	}()
	if err := <-done; err != nil || len(seen) != all {
		t.Errorf("%d connections, %v", len(seen), err)
	}
}

func TestBadPorts(t *testing.T) {
	if _, err := New(Config{Mode: "some"}); err == nil {
		t.Error("New took an unknown mode")
	}
	g, err := New(Config{Mode: All})
	if err != nil {
		t.Fatal(err)
	}
	if g.Mode() != All {
		t.Errorf("Mode() = %q", g.Mode())
	}
	l := listen(t)
	if err := g.Serve(t.Context(), Port{TCP: l, Allow: []string{"a b"}}); err == nil {
		t.Error("Serve took a bad allow-list")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener of a bad Port is not closed: %v", err)
	}
}

// TestSlowReaderLosesNothing: bytes arrive in order and without a gap, or the
// connection ends, when the receiver stalls for longer than a write may wait
// while the other direction is busy.
func TestSlowReaderLosesNothing(t *testing.T) {
	const idle = 300 * time.Millisecond
	const period, total = 241, 64 << 20 // of the bytes sent
	checked := make(chan error, 1)
	server := outside(t, func(c *net.TCPConn) {
		stop := make(chan struct{})
		var ticking sync.WaitGroup
		var reset atomic.Bool // a reset is told once: to the writer or to the reader
		ticking.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(idle / 6):
					if _, err := c.Write([]byte{1}); err != nil {
						reset.Store(true)
						return
					}
				}
			}
		})
		defer ticking.Wait()
		defer close(stop)
		time.Sleep(4 * idle)
		buf := make([]byte, 64<<10)
		for at := 0; ; {
			n, err := c.Read(buf)
			for _, b := range buf[:n] {
				if int(b) != at%period {
					checked <- fmt.Errorf("byte %d is %d, want %d", at, b, at%period)
					return
				}
				at++
			}
			if err != nil {
				if errors.Is(err, io.EOF) && at != total && !reset.Load() {
					checked <- fmt.Errorf("a clean end after %d bytes, want %d", at, total)
				} else {
					checked <- nil
				}
				return
			}
		}
	})
	connect, _ := serve(t, world(Config{IdleTimeout: idle}, map[string]netip.AddrPort{"93.184.215.14:80": server}), Port{})
	c := connect("93.184.215.14:80")
	go io.Copy(io.Discard, c)
	data := make([]byte, total)
	for i := range data {
		data[i] = byte(i % period)
	}
	_, _ = c.Write(data) // the connection may end meanwhile
	c.CloseWrite()
	if err := <-checked; err != nil {
		t.Error(err)
	}
}
