package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ErrRefused is the error of a connection that the policy does not allow.
var ErrRefused = errors.New("connection refused by the egress policy")

// Dial connects to a host and port to which a function with an allow-list may
// connect, on its behalf: the platform's own calls for a function go through
// it. As in sandboxes a name stands for its IPv4 addresses, and the decision is
// taken on the address that is dialled.
//
// Errors wrap ErrRefused when the policy refuses, or what failed.
func (g *Gateway) Dial(ctx context.Context, allow []string, address string) (net.Conn, error) {
	list, err := parseAllowList(allow)
	if err != nil {
		return nil, err
	}
	targets, names, err := g.targets(ctx, list, address)
	if err != nil {
		return nil, err
	}
	local, err := g.local.prefixes(time.Now())
	if err != nil {
		return nil, fmt.Errorf("the host's own addresses: %w", err)
	}
	refused := error(nil)
	for _, dst := range targets {
		reason := decide(state{mode: g.mode, local: local, refuse: g.refuse, allow: list, names: names}, dst)
		if reason == "" {
			return g.connect(ctx, dst)
		}
		refused = fmt.Errorf("%w: %s is %s", ErrRefused, address, reason)
	}
	return nil, refused
}

// targets returns what an address stands for, and its name if it has one.
func (g *Gateway) targets(ctx context.Context, list allowList, address string) (targets []netip.AddrPort, names []string, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a.WithZone("").Unmap(), uint16(port))}, nil, nil
	}
	name, err := parseName(strings.ToLower(host))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if g.mode == None || !list.answers(name) {
		return nil, nil, fmt.Errorf("%w: %s is not on the function's allow-list", ErrRefused, name)
	}
	got, err := g.names.resolve(ctx, dns.Question{Name: dns.Fqdn(name), Qtype: dns.TypeA, Qclass: dns.ClassINET})
	if err != nil {
		return nil, nil, err
	}
	for _, rr := range got.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				targets = append(targets, netip.AddrPortFrom(addr.Unmap(), uint16(port)))
			}
		}
	}
	if len(targets) == 0 {
		return nil, nil, fmt.Errorf("%s has no address", name)
	}
	return targets, []string{name}, nil
}

// connect dials an address that is allowed.
func (g *Gateway) connect(ctx context.Context, dst netip.AddrPort) (net.Conn, error) {
	if !g.conns.TryAcquire(1) {
		return nil, errors.New("too many outbound connections on this server")
	}
	release := sync.OnceFunc(func() { g.conns.Release(1) })
	c, err := g.dial(ctx, dst)
	if err != nil {
		release()
		return nil, err
	}
	if ends(c.LocalAddr()) == ends(c.RemoteAddr()) && g.isLocal(dst.Addr()) { // as in proxy.carry
		release()
		c.Close()
		return nil, fmt.Errorf("%w: an address of the host", ErrRefused)
	}
	return &countedConn{c, release}, nil
}

// A countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
