package egress

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// localMaxAge bounds how long a new address of the host goes unnoticed.
const localMaxAge = time.Second

// A localSet knows the host's own addresses, read again when they are older
// than localMaxAge.
type localSet struct {
	read func() ([]netip.Prefix, error)

	mu    sync.Mutex // guards what follows
	known []netip.Prefix
	at    time.Time
}

// prefixes returns the host's own addresses. After an error the caller must
// refuse the connection: what the host's addresses are is not known then.
func (l *localSet) prefixes(now time.Time) ([]netip.Prefix, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && now.Sub(l.at) < localMaxAge {
		return l.known, nil
	}
	known, err := l.read()
	if err != nil {
		return nil, err
	}
	l.known, l.at = known, now
	return known, nil
}

// localPrefixes reads the kernel's local routing table: all that it delivers
// to this host itself. That is more than the addresses of its interfaces: it
// includes whole networks on loopback, and broadcast and anycast addresses.
func localPrefixes() ([]netip.Prefix, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("read the host's addresses: %w", err)
	}
	var out []netip.Prefix
	for _, r := range routes {
		if r.Type == unix.RTN_MULTICAST || r.Dst == nil {
			continue // ff00::/8 is refused anyway
		}
		a, ok := netip.AddrFromSlice(r.Dst.IP)
		if !ok {
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		out = append(out, netip.PrefixFrom(a.Unmap(), ones))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read the host's addresses: none found")
	}
	return out, nil
}
