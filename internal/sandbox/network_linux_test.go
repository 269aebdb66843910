package sandbox

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// greet answers every connection with where it was meant to go.
func greet(t *testing.T, l *net.TCPListener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			dst, err := OriginalDst(c)
			if err != nil {
				dst = netip.AddrPort{}
			}
			c.Write([]byte(dst.String()))
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
}

func listen(t *testing.T, s *Sandbox, addr string) *net.TCPListener {
	t.Helper()
	l, err := s.Listen(netip.MustParseAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRedirect(t *testing.T) {
	h := openHost(t)
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	s := newSandbox(t, h, Spec{Redirect: 900, Mounts: []Mount{probeMount(t)}})
	greet(t, listen(t, s, "127.0.0.1:900"))
	greet(t, listen(t, s, Address+":9001"))
	greet(t, listen(t, s, "127.0.0.1:80"))
	want := map[string]string{
		"93.184.216.34:443":         "ok: 93.184.216.34:443",
		"8.8.8.8:53":                "ok: 8.8.8.8:53",
		"169.254.169.254:80":        "ok: 169.254.169.254:80",
		"10.0.0.1:22":               "ok: 10.0.0.1:22",
		Address + ":9001":           "ok: " + Address + ":9001", // of itself, not redirected
		Address + ":9002":           "ECONNREFUSED",
		"127.0.0.1:80":              "ok: 127.0.0.1:80",
		outside.Addr().String():     "ECONNREFUSED",
		"[2606:4700:4700::1111]:80": "ENETUNREACH",
		"[::1]:80":                  "ECONNREFUSED",
	}
	args := []string{"dial"}
	for a := range want {
		args = append(args, a)
	}
	var got map[string]string
	probe(t, s, &got, args...)
	for a, w := range want {
		// Without a translation there is no original destination to be asked for.
		if a == Address+":9001" || a == "127.0.0.1:80" {
			if got[a] != w && got[a] != "ok: invalid AddrPort" {
				t.Errorf("%s: got %q, want it connected", a, got[a])
			}
			continue
		}
		if got[a] != w {
			t.Errorf("%s: got %q, want %q", a, got[a], w)
		}
	}
}

func TestNoRedirect(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Mounts: []Mount{probeMount(t)}})
	greet(t, listen(t, s, Address+":9001"))
	var got map[string]string
	probe(t, s, &got, "dial", "93.184.216.34:443", "169.254.169.254:80", Address+":9001")
	if got["93.184.216.34:443"] != "ENETUNREACH" || got["169.254.169.254:80"] != "ENETUNREACH" {
		t.Errorf("got %v, want no network", got)
	}
	if got[Address+":9001"] == "ENETUNREACH" {
		t.Errorf("the platform is not reached: %v", got)
	}
}

func TestListenUDP(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Redirect: 900, Mounts: []Mount{probeMount(t)}})
	c, err := s.ListenUDP(netip.MustParseAddrPort(Address + ":53"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 100)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(append([]byte("re: "), buf[:n]...), from)
		}
	}()
	defer func() { c.Close(); <-done }()
	var got map[string]string
	probe(t, s, &got, "udp", Address+":53", "8.8.8.8:53", Address+":54")
	if got[Address+":53"] != "ok: re: hello" || got["8.8.8.8:53"] != "ECONNREFUSED" || got[Address+":54"] != "ECONNREFUSED" {
		t.Errorf("got %v", got)
	}
}

func TestListenRefuses(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	l := listen(t, s, "127.0.0.1:80")
	defer l.Close()
	if _, err := s.Listen(netip.MustParseAddrPort("127.0.0.1:80")); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same again: %v", err)
	}
	if _, err := s.Listen(netip.MustParseAddrPort("[::1]:80")); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("IPv6: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen(netip.MustParseAddrPort("127.0.0.1:81")); err == nil {
		t.Error("a closed sandbox listens")
	}
}

// TestPortsMadeWithTheSandbox listens on ports of the Spec and on others.
func TestPortsMadeWithTheSandbox(t *testing.T) {
	at := netip.MustParseAddrPort(Address + ":9001")
	name := netip.MustParseAddrPort(Address + ":53")
	s := newSandbox(t, openHost(t), Spec{TCP: []netip.AddrPort{at}, UDP: []netip.AddrPort{name}})
	for range 2 { // the second time the socket has to be made
		l, err := s.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write([]byte("hello\n"))
				c.Close()
			}
		}()
		got := run(t, s, "/bin/bash", "-c", "cat < /dev/tcp/"+Address+"/9001")
		if got.out != "hello\n" {
			t.Errorf("got %+v", got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.ListenUDP(name)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	run(t, s, "/bin/bash", "-c", "echo -n hello > /dev/udp/"+Address+"/53")
	buf := make([]byte, 10)
	if err := u.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := u.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	if len(s.ports) != 0 {
		t.Errorf("%d sockets are left", len(s.ports))
	}
	for name, spec := range map[string]Spec{
		"twice the same": {Tmp: mib, TCP: []netip.AddrPort{at, at}},
		"version 6":      {Tmp: mib, TCP: []netip.AddrPort{netip.MustParseAddrPort("[::1]:80")}},
		"too many":       {Tmp: mib, UDP: make([]netip.AddrPort, 50)},
		"not ours":       {Tmp: mib, TCP: []netip.AddrPort{netip.MustParseAddrPort("10.1.2.3:80")}},
	} {
		if s, err := s.host.New(t.Context(), spec); err == nil {
			t.Errorf("%s: made", name)
			s.Close()
		}
	}
}
