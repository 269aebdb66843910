package egress

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses of the link between this host and the neighbour that the test
// makes. They come from a private network.
const (
	linkHere  = "10.231.77.1/30"
	linkThere = "10.231.77.2/30"
)

// TestPrivateNeighbour connects, through real dialling and the host's real
// addresses, to a neighbour on a private network.
func TestPrivateNeighbour(t *testing.T) {
	there := neighbour(t)
	here := netip.AddrPortFrom(netip.MustParsePrefix(linkHere).Addr(), there.Port())

	// The link works: the host itself reaches the neighbour.
	direct, err := net.Dial("tcp4", there.String())
	if err != nil {
		t.Fatal(err)
	}
	direct.Close()

	for _, mode := range []Mode{Public, All} {
		t.Run(string(mode), func(t *testing.T) {
			connect, _ := serve(t, Config{Mode: mode}, Port{})
			wantReset(t, connect(here.String())) // the host's own
			c := connect(there.String())
			if mode == Public {
				wantReset(t, c)
				return
			}
			buf := []byte("ping")
			if _, err := c.Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Errorf("echo of the neighbour: %v", err)
			}
		})
	}
}

// TestLocalPrefixes: a new address of the host is known as its own, and a
// network on loopback whole.
func TestLocalPrefixes(t *testing.T) {
	neighbour(t)
	prefixes, err := localPrefixes()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"127.0.0.1", "127.9.9.9", "10.231.77.1", "10.231.77.3"} {
		found := false
		for _, p := range prefixes {
			found = found || p.Contains(netip.MustParseAddr(want))
		}
		if !found {
			t.Errorf("%s is not among the host's own: %v", want, prefixes)
		}
	}
}

// neighbour makes a network namespace with an echo server in it, joined to
// this host by a link, and returns the server's address. The namespace lives
// in a thread, so that nothing is left however the test ends.
func neighbour(t *testing.T) netip.AddrPort {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	type made struct {
		ns  int
		l   *net.TCPListener
		err error
	}
	steps, linked, end := make(chan made), make(chan error), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for good: the thread dies with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			steps <- made{err: err}
			return
		}
		ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		steps <- made{ns: ns, err: err}
		if err != nil || <-linked != nil {
			return
		}
		if err := addressLink("there0", linkThere); err != nil {
			steps <- made{err: err}
			return
		}
		addr := netip.AddrPortFrom(netip.MustParsePrefix(linkThere).Addr(), 0)
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
		steps <- made{l: l, err: err}
		<-end
	}()
	first := <-steps
	if errors.Is(first.err, unix.EPERM) || errors.Is(first.err, unix.EINVAL) {
		t.Skipf("no network namespaces here: %v", first.err)
	}
	if first.err != nil {
		t.Fatal(first.err)
	}
	defer unix.Close(first.ns)
	link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "there0", PeerNamespace: netlink.NsFd(first.ns)}
	link.Name = "mlc-egress0"
	err := netlink.LinkAdd(link)
	if err == nil {
		t.Cleanup(func() { netlink.LinkDel(link) })
		err = addressLink(link.Name, linkHere)
	}
	linked <- err
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(end); <-ended })
	second := <-steps
	if second.err != nil {
		t.Fatal(second.err)
	}
	t.Cleanup(func() { second.l.Close() })
	go func() {
		for {
			c, err := second.l.AcceptTCP()
			if err != nil {
				return
			}
			go func() { defer c.Close(); echo(c) }()
		}
	}()
	return second.l.Addr().(*net.TCPAddr).AddrPort()
}

// addressLink gives a link of the current thread's namespace an address and
// takes it up.
func addressLink(name, cidr string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(cidr)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}
