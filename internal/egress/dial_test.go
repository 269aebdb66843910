package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sync/semaphore"
)

// knownNames resolves names from a table.
type knownNames map[string]string

func (k knownNames) resolve(_ context.Context, q dns.Question) (*dns.Msg, error) {
	m := new(dns.Msg)
	if a, ok := k[q.Name]; ok {
		m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(a)})
	}
	return m, nil
}

// The platform's own calls for a function reach what the function would.
func TestDial(t *testing.T) {
	server := outside(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "hello") })
	cfg := world(Config{Mode: Public}, map[string]netip.AddrPort{"198.51.99.1:443": server})
	cfg.names = knownNames{
		"api.example.com.": "198.51.99.1", "inside.example.com.": "10.0.0.1", "localhost.": "127.0.0.1", "rebound.example.com.": "169.254.169.254",
	}
	for _, c := range []struct {
		address string
		allow   []string
		ok      bool
	}{
		{"api.example.com:443", nil, true},
		{"API.example.com.:443", nil, true},
		{"198.51.99.1:443", nil, true},
		{"api.example.com:443", []string{"api.example.com"}, true},
		{"api.example.com:443", []string{"*.example.com:443"}, true},
		{"198.51.99.1:443", []string{"198.51.99.0/24"}, true},
		{"api.example.com:443", []string{"api.example.com:80"}, false},
		{"api.example.com:443", []string{"other.example.com"}, false},
		{"198.51.99.1:443", []string{"api.example.com"}, false},
		{"api.example.com:443", []string{"none"}, false},
		{"inside.example.com:443", nil, false},
		{"inside.example.com:443", []string{"inside.example.com"}, false},
		{"localhost:443", nil, false},
		{"rebound.example.com:443", nil, false},
		{"127.0.0.1:443", nil, false},
		{"[::1]:443", nil, false},
		{"[::ffff:10.0.0.1]:443", nil, false},
		{"203.0.114.7:443", nil, false}, // the host's own
		{"api.example.com:0", nil, false},
		{"api.example.com", nil, false},
		{"-:443", nil, false},
	} {
		g, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		g.conns = semaphore.NewWeighted(2)
		conn, err := g.Dial(t.Context(), c.allow, c.address)
		switch {
		case c.ok && err != nil:
			t.Errorf("%s with %v: %v", c.address, c.allow, err)
		case !c.ok && !errors.Is(err, ErrRefused):
			t.Errorf("%s with %v: %v, want a refusal", c.address, c.allow, err)
		case c.ok:
			if text, err := io.ReadAll(conn); err != nil || string(text) != "hello" {
				t.Errorf("%s: got %q (%v)", c.address, text, err)
			}
			conn.Close()
			conn.Close() // gives its place back once
			if !g.conns.TryAcquire(2) {
				t.Error("its place was not given back")
			}
		}
	}
	g, err := New(world(Config{Mode: None, names: knownNames{}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"api.example.com:443", "198.51.99.1:443"} {
		if _, err := g.Dial(t.Context(), nil, address); !errors.Is(err, ErrRefused) {
			t.Errorf("in mode none: %v", err)
		}
	}
}
