// Package egress decides where functions may connect to, and carries the
// connections: a policy proxy for TCP and a name server, both listening
// inside a sandbox's network namespace and connecting from outside.
package egress

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
)

// Mode is a server's policy for outbound connections.
type Mode string

// The modes.
const (
	None   Mode = "none"   // nothing
	Public Mode = "public" // the internet: no loopback, link-local, private or host address
	All    Mode = "all"    // also private networks; never loopback, link-local, metadata or host addresses
)

// Config configures a Gateway.
type Config struct {
	Mode Mode
	Log  *slog.Logger
}

// A Gateway carries the outbound connections of all sandboxes.
type Gateway struct{}

// New returns a Gateway.
func New(cfg Config) (*Gateway, error) { panic("not built") }

// Port carries one sandbox's traffic.
type Port struct {
	TCP         *net.TCPListener                           // where redirected connections arrive
	OriginalDst func(*net.TCPConn) (netip.AddrPort, error) // where they wanted to go
	DNS         *net.UDPConn                               // name server, UDP
	DNSTCP      *net.TCPListener                           // name server, TCP
	Allow       []string                                   // the function's allow-list; empty allows what Mode allows
}

// Serve carries a sandbox's traffic until ctx ends, then closes the listeners
// and connections and returns.
func (g *Gateway) Serve(ctx context.Context, p Port) error { panic("not built") }

// CheckAllow reports what is wrong with an allow-list entry: a host name, a
// *.suffix, an address or a CIDR, each with an optional :port.
func CheckAllow(entry string) error { panic("not built") }
