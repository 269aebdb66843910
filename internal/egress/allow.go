package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An allow-list's grammar, one entry:
//
//	entry  = target [ ":" port ]
//	target = "*"            any destination
//	       | "none"         no destination: a list of its own
//	       | name           api.example.com
//	       | "*." name      every name below, at any depth
//	       | IPv4 [ "/" bits ]
//	       | IPv6 [ "/" bits ], in brackets when a port follows

// maxEntry bounds an entry's length: the longest name and a port fit.
const maxEntry = 270

// An allowEntry is one parsed entry. Exactly one of its targets is set.
type allowEntry struct {
	any    bool
	none   bool
	name   string // lower case, no final dot
	suffix string // ".example.com"
	prefix netip.Prefix

	port uint16 // zero is any
}

// An allowList is a function's parsed list; empty allows everything.
type allowList []allowEntry

// CheckAllow reports what is wrong with an allow-list entry: a host name, a
// *.suffix, an address or a CIDR, each with an optional :port; "*" for any
// destination (useful with a port), or "none" to refuse all. The error is a
// sentence for the caller.
func CheckAllow(entry string) error {
	_, err := parseAllow(entry)
	return err
}

func parseAllowList(entries []string) (allowList, error) {
	list := make(allowList, 0, len(entries))
	for _, s := range entries {
		e, err := parseAllow(s)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func parseAllow(s string) (allowEntry, error) {
	bad := func(err error) (allowEntry, error) {
		return allowEntry{}, fmt.Errorf("allow-list entry %q: %w", s, err)
	}
	if len(s) > maxEntry {
		return allowEntry{}, fmt.Errorf("allow-list entry of %d characters: longer than %d", len(s), maxEntry)
	}
	if strings.Contains(s, "://") {
		return bad(errors.New("want a host name, not a URL"))
	}
	target, port, err := splitPort(s)
	if err != nil {
		return bad(err)
	}
	e := allowEntry{port: port}
	switch {
	case target == "":
		return bad(errors.New("want a host name, *.suffix, an address or a CIDR"))
	case target == "*":
		e.any = true
	case target == "none" && port == 0:
		e.none = true
	case strings.ContainsAny(target, "/:") || looksNumeric(target):
		e.prefix, err = parsePrefix(target)
	case strings.HasPrefix(target, "*."):
		e.suffix, err = parseName(target[2:])
		e.suffix = "." + e.suffix
	default:
		e.name, err = parseName(target)
	}
	if err != nil {
		return bad(err)
	}
	return e, nil
}

// splitPort takes the port off an entry, and the brackets.
func splitPort(s string) (target string, port uint16, err error) {
	target, digits, found := s, "", false
	if inside, ok := strings.CutPrefix(s, "["); ok {
		var rest string
		if target, rest, ok = strings.Cut(inside, "]"); !ok {
			return "", 0, errors.New("missing ]")
		}
		if !strings.Contains(target, ":") {
			return "", 0, errors.New("brackets are for IPv6 addresses")
		}
		if rest == "" {
			return target, 0, nil
		}
		if digits, found = strings.CutPrefix(rest, ":"); !found {
			return "", 0, errors.New("want :port after ]")
		}
	} else if strings.Count(s, ":") == 1 {
		target, digits, found = strings.Cut(s, ":")
	}
	if !found {
		return target, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || digits[0] == '+' {
		return "", 0, fmt.Errorf("%q is not a port from 1 to 65535", digits)
	}
	return target, uint16(n), nil
}

// looksNumeric reports whether a target's last label has digits only, so
// that it must be an IPv4 address: no name in the world ends so.
func looksNumeric(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("not an IP address")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("not a CIDR")
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("write it as IPv4")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits beyond its prefix, the network is %s", p.Masked())
	}
	return p, nil
}

// parseName checks a host name (RFC 1123, and underscores) and folds its case.
func parseName(s string) (string, error) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if s == "" || len(s) > 253 {
		return "", errors.New("a host name has 1 to 253 characters")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%q is not a label of a host name", label)
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return "", fmt.Errorf("a host name has letters, digits and hyphens; write others in their xn-- form")
			}
		}
	}
	return s, nil
}

// permits reports whether a list allows a destination that is known by names.
func (l allowList) permits(dst netip.AddrPort, names []string) bool {
	if len(l) == 0 {
		return true
	}
	addr := dst.Addr().WithZone("").Unmap()
	for _, e := range l {
		if e.port != 0 && e.port != dst.Port() {
			continue
		}
		if e.any || e.prefix.IsValid() && e.prefix.Contains(addr) {
			return true
		}
		for _, name := range names {
			if e.matches(name) {
				return true
			}
		}
	}
	return false
}

// answers reports whether a list lets a name be resolved.
func (l allowList) answers(name string) bool {
	if len(l) == 0 {
		return true
	}
	for _, e := range l {
		if e.any || e.matches(name) {
			return true
		}
	}
	return false
}

// matches reports whether an entry names a name (lower case, no final dot).
func (e allowEntry) matches(name string) bool {
	if e.suffix != "" {
		return len(name) > len(e.suffix) && strings.HasSuffix(name, e.suffix)
	}
	return e.name != "" && e.name == name
}
