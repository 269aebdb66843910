package escape

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// The link between the machine and the outside world of a test.
const (
	linkName = "mlc-escape0"
	linkHere = "10.231.78.1/30"
	outside  = "10.231.78.2"
)

// world makes a network namespace, joined to the machine by a link, with a
// server in it that takes what it is sent and keeps silent. It returns the
// server's port. The namespace lives in a thread, so that nothing is left
// however the test ends.
func world(t *testing.T) (port string) {
	t.Helper()
	type result struct {
		ns  int
		l   net.Listener
		err error
	}
	made, linked, listening, end := make(chan result), make(chan bool), make(chan result), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for good: the thread dies with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		ns := -1
		if err == nil {
			ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- result{ns: ns, err: err}
		if err != nil || !<-linked {
			return
		}
		var l net.Listener
		if err = address("eth0", outside+"/30"); err == nil {
			l, err = net.Listen("tcp4", outside+":0")
		}
		listening <- result{l: l, err: err}
		<-end
	}()
	there := <-made
	if there.err != nil {
		t.Fatal(there.err)
	}
	defer unix.Close(there.ns)
	link := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "eth0", PeerNamespace: netlink.NsFd(there.ns)}
	link.Name = linkName
	err := netlink.LinkAdd(link)
	if err == nil {
		t.Cleanup(func() {
			if err := netlink.LinkDel(link); err != nil {
				t.Error(err)
			}
		})
		err = address(linkName, linkHere)
	}
	linked <- err == nil
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(end); <-ended })
	server := <-listening
	if server.err != nil {
		t.Fatal(server.err)
	}
	t.Cleanup(func() { server.l.Close() })
	go func() {
		for {
			c, err := server.l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(io.Discard, c) // until the other side has enough
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(server.l.Addr().String())
	return port
}

// address gives a link of the thread's namespace an address, and sets it up.
func address(name, addr string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// TestOutboundFlood opens as many connections to the outside as there may be,
// from several functions, on a server with few descriptors: the platform
// keeps enough of them for itself, to accept callers and to start others.
func TestOutboundFlood(t *testing.T) {
	port := world(t)
	s := millicenttest.Up(t, millicenttest.Config{Args: []string{"--egress", "all"}, Files: 4096})
	a := newArena(t, s)
	var fns []string
	for i := range 3 {
		fns = append(fns, a.attacker(func(in *lambda.CreateFunctionInput) {
			in.FunctionName = aws.String(fmt.Sprintf("%s-%d", name(t, "native"), i))
		}))
	}
	a.during(func() {
		done := make(chan tally, len(fns))
		for _, fn := range fns {
			go func() {
				var got tally
				a.do(fn, map[string]any{"do": "connections", "addr": outside + ":" + port, "n": 980, "args": []string{"x"}, "hold": 4000}, &got)
				done <- got
			}()
		}
		most := 0
		for left := len(fns); left > 0; {
			select {
			case got := <-done:
				t.Logf("%d connections (%s)", got.N, got.Err)
				left--
			case <-time.After(100 * time.Millisecond):
				most = max(most, a.FDs(t))
				fresh(t, a)
			}
		}
		t.Logf("the server had %d descriptors at most", most)
		fn := a.python("bombs.handler", nil) // a cold start on what is left
		var ok string
		a.do(fn, map[string]any{"do": "nothing"}, &ok)
	})
}

// fresh connects to the server anew.
func fresh(t *testing.T, a *arena) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: victimTimeout * time.Second}
	resp, err := client.Get(a.URL() + "/_millicent/health")
	if err != nil {
		t.Errorf("a new connection: %v", err)
		return
	}
	resp.Body.Close()
}

// TestEgressPolicy reaches a private neighbour when the server's operator and
// the function's list allow it, and not otherwise; the machine's own end of
// the link it never reaches.
func TestEgressPolicy(t *testing.T) {
	port := world(t)
	own := "10.231.78.1:" + port
	there := outside + ":" + port
	for mode, want := range map[string]string{"none": noWay, "public": reset, "all": "i/o timeout"} {
		t.Run(mode, func(t *testing.T) {
			a := newArena(t, millicenttest.Up(t, millicenttest.Config{Args: []string{"--egress", mode}}))
			fn := a.attacker(nil)
			refused := reset
			if mode == "none" {
				refused = noWay
			}
			a.during(func() {
				a.tryAs(fn, []attempt{
					{Op: "tcp", Arg: own, want: refused},
					{Op: "tcp", Arg: "169.254.169.254:80", want: refused},
					{Op: "tcp", Arg: there, want: "…" + want},
				})
			})
			if mode != "all" {
				return
			}
			a.CLI(t, "egress", "set", fn, "10.231.78.1", "169.254.169.254", "127.0.0.1", "192.0.2.1")
			a.restart(fn)
			a.during(func() {
				a.tryAs(fn, []attempt{
					{Op: "tcp", Arg: own, want: reset},
					{Op: "tcp", Arg: "169.254.169.254:80", want: reset},
					{Op: "tcp", Arg: there, want: reset},
				})
			})
		})
	}
}
