package egress

import (
	"net/netip"
	"slices"
)

// The policy, as a pure function. An address has a class; some classes are
// refused always, some in mode Public only. The tables follow the special
// purpose address registries of the IANA (RFC 6890 and its updates).

// A class says what kind of address one is.
type class int

const (
	public  class = iota // anything else
	private              // not reachable from the internet: refused in mode Public
	never                // refused in every mode
)

// A span is a range of addresses with its class and what to call it.
type span struct {
	prefix netip.Prefix
	class  class
	name   string
}

// spans lists the special addresses. The first that holds an address decides,
// so the metadata addresses come before the networks that contain them.
var spans = []span{
	{netip.MustParsePrefix("0.0.0.0/8"), never, "an unspecified address"},
	{netip.MustParsePrefix("127.0.0.0/8"), never, "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), never, "a link-local address"},
	{netip.MustParsePrefix("224.0.0.0/4"), never, "a multicast address"},
	{netip.MustParsePrefix("255.255.255.255/32"), never, "the broadcast address"},
	{netip.MustParsePrefix("100.100.100.200/32"), never, "a metadata address"}, // Alibaba Cloud
	{netip.MustParsePrefix("168.63.129.16/32"), never, "a metadata address"},   // Azure
	{netip.MustParsePrefix("192.0.0.192/32"), never, "a metadata address"},     // Oracle Cloud

	{netip.MustParsePrefix("10.0.0.0/8"), private, "a private address"},
	{netip.MustParsePrefix("172.16.0.0/12"), private, "a private address"},
	{netip.MustParsePrefix("192.168.0.0/16"), private, "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), private, "a carrier's private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("192.0.2.0/24"), private, "a documentation address"},
	{netip.MustParsePrefix("192.88.99.0/24"), private, "a reserved address"},
	{netip.MustParsePrefix("198.18.0.0/15"), private, "a benchmarking address"},
	{netip.MustParsePrefix("198.51.100.0/24"), private, "a documentation address"},
	{netip.MustParsePrefix("203.0.113.0/24"), private, "a documentation address"},
	{netip.MustParsePrefix("240.0.0.0/4"), private, "a reserved address"},
	{netip.MustParsePrefix("0.0.0.0/0"), public, ""},

	{netip.MustParsePrefix("::/128"), never, "an unspecified address"},
	{netip.MustParsePrefix("::1/128"), never, "a loopback address"},
	{netip.MustParsePrefix("fe80::/10"), never, "a link-local address"},
	{netip.MustParsePrefix("ff00::/8"), never, "a multicast address"},
	{netip.MustParsePrefix("fd00:ec2::/32"), never, "a metadata address"},          // AWS
	{netip.MustParsePrefix("fd20:ce::254/128"), never, "a metadata address"},       // Google Cloud
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), never, "a metadata address"}, // Oracle Cloud
	{netip.MustParsePrefix("2001::/23"), private, "a reserved address"},
	{netip.MustParsePrefix("2001:db8::/32"), private, "a documentation address"},
	{netip.MustParsePrefix("3fff::/20"), private, "a documentation address"},
	{netip.MustParsePrefix("fc00::/7"), private, "a private address"},
	{netip.MustParsePrefix("2000::/3"), public, ""},
	{netip.MustParsePrefix("64:ff9b::/96"), public, ""}, // judged by the IPv4 address inside
	{netip.MustParsePrefix("::/0"), private, "a reserved address"},
}

// classify returns an address's class and what to call it.
func classify(a netip.Addr) (class, string) {
	for _, s := range spans {
		if s.prefix.Contains(a) {
			return s.class, s.name
		}
	}
	return never, "not an address"
}

// spellings returns the addresses that dialling a may reach: itself, and the
// IPv4 address that an IPv6 one carries (mapped, compatible, NAT64, 6to4).
func spellings(a netip.Addr) []netip.Addr {
	a = a.WithZone("").Unmap()
	if !a.Is6() {
		return []netip.Addr{a}
	}
	b := a.As16()
	inside := func(i int) []netip.Addr {
		return []netip.Addr{a, netip.AddrFrom4([4]byte(b[i : i+4]))}
	}
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return inside(12)
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return inside(2)
	case netip.MustParsePrefix("::/96").Contains(a) && a != netip.IPv6Unspecified() && a != netip.IPv6Loopback():
		return inside(12)
	}
	return []netip.Addr{a}
}

// A state is what a decision depends on besides the destination.
type state struct {
	mode   Mode
	local  []netip.Prefix // the host's own addresses
	refuse []netip.Prefix // the operator's
	allow  allowList
	names  []string // names that were answered with this address
}

// decide returns why a connection to dst is refused, or "" when it is allowed.
func decide(s state, dst netip.AddrPort) string {
	if s.mode != Public && s.mode != All {
		return "outbound connections are off"
	}
	if !dst.IsValid() || dst.Port() == 0 {
		return "not an address"
	}
	for _, a := range spellings(dst.Addr()) {
		holds := func(p netip.Prefix) bool { return p.Contains(a) }
		if slices.ContainsFunc(s.local, holds) {
			return "an address of the host"
		}
		if slices.ContainsFunc(s.refuse, holds) {
			return "refused by the server's configuration"
		}
		switch c, name := classify(a); {
		case c == never, c == private && s.mode == Public:
			return name
		}
	}
	if !s.allow.permits(dst, s.names) {
		return "not on the function's allow-list"
	}
	return ""
}
