package egress

import (
	"net/netip"
	"testing"
)

func TestDecide(t *testing.T) {
	const (
		ok        = ""
		loopback  = "a loopback address"
		linkLocal = "a link-local address"
		unspec    = "an unspecified address"
		metadata  = "a metadata address"
		priv      = "a private address"
		host      = "an address of the host"
	)
	tests := []struct {
		dst         string
		public, all string
	}{
		{"93.184.215.14", ok, ok},
		{"1.1.1.1", ok, ok},
		{"172.32.0.1", ok, ok},
		{"100.128.0.1", ok, ok},
		{"198.20.0.1", ok, ok},
		{"2606:4700::1111", ok, ok},
		{"64:ff9b::5db8:d70e", ok, ok}, // NAT64 of 93.184.215.14

		{"127.0.0.1", loopback, loopback},
		{"127.255.1.2", loopback, loopback},
		{"::1", loopback, loopback},
		{"::ffff:127.0.0.1", loopback, loopback},
		{"64:ff9b::7f00:1", loopback, loopback},
		{"2002:7f00:1::", loopback, loopback},
		{"0.0.0.0", unspec, unspec},
		{"0.1.2.3", unspec, unspec},
		{"::", unspec, unspec},
		{"::ffff:0.0.0.0", unspec, unspec},
		{"169.254.169.254", linkLocal, linkLocal},
		{"169.254.100.1", linkLocal, linkLocal}, // the platform, inside
		{"169.254.170.2", linkLocal, linkLocal},
		{"::ffff:169.254.169.254", linkLocal, linkLocal},
		{"::ffff:a9fe:a9fe", linkLocal, linkLocal},
		{"64:ff9b::a9fe:a9fe", linkLocal, linkLocal},
		{"2002:a9fe:a9fe::1", linkLocal, linkLocal},
		{"fe80::1", linkLocal, linkLocal},
		{"fe80::1%eth0", linkLocal, linkLocal},
		{"100.100.100.200", metadata, metadata},
		{"168.63.129.16", metadata, metadata},
		{"fd00:ec2::254", metadata, metadata},
		{"fd20:ce::254", metadata, metadata},
		{"224.0.0.1", "a multicast address", "a multicast address"},
		{"239.255.255.250", "a multicast address", "a multicast address"},
		{"ff02::1", "a multicast address", "a multicast address"},
		{"255.255.255.255", "the broadcast address", "the broadcast address"},
		{"::ffff:255.255.255.255", "the broadcast address", "the broadcast address"},
		{"::a9fe:a9fe", "a reserved address", linkLocal}, // IPv4-compatible

		{"203.0.114.7", host, host},
		{"::ffff:203.0.114.7", host, host},
		{"64:ff9b::cb00:7207", host, host},
		{"2001:4860::5", host, host},
		{"10.9.8.7", host, host},
		{"8.8.4.4", "refused by the server's configuration", "refused by the server's configuration"},

		{"10.0.0.1", priv, ok},
		{"172.16.0.1", priv, ok},
		{"172.31.255.255", priv, ok},
		{"192.168.1.1", priv, ok},
		{"::ffff:192.168.1.1", priv, ok},
		{"64:ff9b::c0a8:101", priv, ok},
		{"100.64.0.1", "a carrier's private address", ok},
		{"198.18.0.1", "a benchmarking address", ok},
		{"198.19.255.255", "a benchmarking address", ok},
		{"192.0.2.1", "a documentation address", ok},
		{"198.51.100.1", "a documentation address", ok},
		{"203.0.113.1", "a documentation address", ok},
		{"240.0.0.1", "a reserved address", ok},
		{"fc00::1", priv, ok},
		{"fdff::1", priv, ok},
		{"2001:db8::1", "a documentation address", ok},
		{"2001:0:1::1", "a reserved address", ok}, // Teredo
		{"fec0::1", "a reserved address", ok},
	}
	s := state{
		local: []netip.Prefix{
			netip.MustParsePrefix("127.0.0.0/8"),
			netip.MustParsePrefix("203.0.114.7/32"),
			netip.MustParsePrefix("10.9.8.7/32"),
			netip.MustParsePrefix("2001:4860::5/128"),
		},
		refuse: []netip.Prefix{netip.MustParsePrefix("8.8.4.0/24")},
	}
	// The host's own loopback is refused by its class too.
	classOnly := s
	classOnly.local = s.local[1:]
	for _, tt := range tests {
		dst := netip.AddrPortFrom(netip.MustParseAddr(tt.dst), 443)
		for mode, want := range map[Mode]string{
			None: "outbound connections are off", "": "outbound connections are off",
			Public: tt.public, All: tt.all,
		} {
			st := classOnly
			st.mode = mode
			if got := decide(st, dst); got != want {
				t.Errorf("mode %q, %s: got %q, want %q", mode, tt.dst, got, want)
			}
			// No allow-list opens what the mode refuses.
			st.allow = mustList(t, "*", "0.0.0.0/0", "::/0", "host.example")
			st.names = []string{"host.example"}
			if got := decide(st, dst); got != want {
				t.Errorf("mode %q, %s, all listed: got %q, want %q", mode, tt.dst, got, want)
			}
		}
		if got := decide(state{mode: Public, local: s.local}, netip.AddrPortFrom(dst.Addr(), 0)); got == "" {
			t.Errorf("%s port 0: allowed", tt.dst)
		}
	}
	if got := decide(state{mode: All}, netip.AddrPort{}); got == "" {
		t.Error("the zero address is allowed")
	}
}

func TestDecideAllowList(t *testing.T) {
	tests := []struct {
		allow []string
		dst   string
		names []string
		want  bool
	}{
		{nil, "1.2.3.4:80", nil, true},
		{[]string{"none"}, "1.2.3.4:80", []string{"none"}, false},
		{[]string{"*"}, "1.2.3.4:80", nil, true},
		{[]string{"*:443"}, "1.2.3.4:443", nil, true},
		{[]string{"*:443"}, "1.2.3.4:80", nil, false},
		{[]string{"1.2.3.4"}, "1.2.3.4:80", nil, true},
		{[]string{"1.2.3.4"}, "[::ffff:1.2.3.4]:80", nil, true},
		{[]string{"1.2.3.4"}, "1.2.3.5:80", nil, false},
		{[]string{"1.2.3.4:443"}, "1.2.3.4:80", nil, false},
		{[]string{"1.2.3.0/24:443"}, "1.2.3.77:443", nil, true},
		{[]string{"1.2.3.0/24"}, "1.2.4.1:443", nil, false},
		{[]string{"2606:4700::/32"}, "[2606:4700::1]:443", nil, true},
		{[]string{"api.example.com"}, "1.2.3.4:443", []string{"api.example.com"}, true},
		{[]string{"API.Example.com."}, "1.2.3.4:443", []string{"api.example.com"}, true},
		{[]string{"api.example.com"}, "1.2.3.4:443", nil, false},
		{[]string{"api.example.com"}, "1.2.3.4:443", []string{"other.example.com"}, false},
		{[]string{"api.example.com"}, "1.2.3.4:443", []string{"other.example.com", "api.example.com"}, true},
		{[]string{"api.example.com:443"}, "1.2.3.4:80", []string{"api.example.com"}, false},
		{[]string{"*.example.com"}, "1.2.3.4:443", []string{"a.b.example.com"}, true},
		{[]string{"*.example.com"}, "1.2.3.4:443", []string{"example.com"}, false},
		{[]string{"*.example.com"}, "1.2.3.4:443", []string{"notexample.com"}, false},
		{[]string{"a.example", "10.0.0.0/8"}, "10.1.1.1:5432", nil, false}, // narrows Public, never widens it
	}
	for _, tt := range tests {
		s := state{mode: Public, allow: mustList(t, tt.allow...), names: tt.names}
		got := decide(s, netip.MustParseAddrPort(tt.dst))
		if (got == "") != tt.want {
			t.Errorf("allow %q, %s known as %q: got %q, want allowed %v", tt.allow, tt.dst, tt.names, got, tt.want)
		}
	}
}

func mustList(t testing.TB, entries ...string) allowList {
	t.Helper()
	l, err := parseAllowList(entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
