package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAllow(t *testing.T) {
	tests := []struct {
		in   string
		want allowEntry
	}{
		{"api.example.com", allowEntry{name: "api.example.com"}},
		{"API.Example.COM.:443", allowEntry{name: "api.example.com", port: 443}},
		{"db", allowEntry{name: "db"}},
		{"_sip._tcp.example.com", allowEntry{name: "_sip._tcp.example.com"}},
		{"xn--bcher-kva.example", allowEntry{name: "xn--bcher-kva.example"}},
		{"1e100.net", allowEntry{name: "1e100.net"}},
		{"*.example.com:8443", allowEntry{suffix: ".example.com", port: 8443}},
		{"*", allowEntry{any: true}},
		{"*:25", allowEntry{any: true, port: 25}},
		{"none", allowEntry{none: true}},
		{"1.2.3.4", allowEntry{prefix: netip.MustParsePrefix("1.2.3.4/32")}},
		{"1.2.3.4:80", allowEntry{prefix: netip.MustParsePrefix("1.2.3.4/32"), port: 80}},
		{"10.0.0.0/8:5432", allowEntry{prefix: netip.MustParsePrefix("10.0.0.0/8"), port: 5432}},
		{"::ffff:1.2.3.4", allowEntry{prefix: netip.MustParsePrefix("1.2.3.4/32")}},
		{"2001:db8::1", allowEntry{prefix: netip.MustParsePrefix("2001:db8::1/128")}},
		{"[2001:db8::1]:443", allowEntry{prefix: netip.MustParsePrefix("2001:db8::1/128"), port: 443}},
		{"[2001:db8::/32]:443", allowEntry{prefix: netip.MustParsePrefix("2001:db8::/32"), port: 443}},
		{"[2001:db8::1]", allowEntry{prefix: netip.MustParsePrefix("2001:db8::1/128")}},
	}
	for _, tt := range tests {
		got, err := parseAllow(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(allowEntry{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestCheckAllowRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "want a host name",
		":443":                    "want a host name",
		"a.example:":              "not a port",
		"a.example:0":             "not a port",
		"a.example:65536":         "not a port",
		"a.example:+80":           "not a port",
		"a.example:http":          "not a port",
		"none:80":                 "", // a host called so
		"a..example":              "not a label",
		"-a.example":              "not a label",
		"a-.example":              "not a label",
		"a b.example":             "letters, digits",
		"bücher.example":          "xn--",
		"*.":                      "host name",
		"*a.example":              "letters, digits",
		"a.*.example":             "letters, digits",
		"https://a.example":       "not a URL",
		"1.2.3":                   "not an IP address",
		"1.2.3.256":               "not an IP address",
		"256":                     "not an IP address",
		"10.0.0.1/8":              "10.0.0.0/8",
		"10.0.0.0/33":             "not a CIDR",
		"::ffff:10.0.0.0/104":     "write it as IPv4",
		"fe80::1%eth0":            "not an IP address",
		"[2001:db8::1":            "missing ]",
		"[2001:db8::1]443":        "want :port",
		"[a.example]:443":         "brackets",
		"2001:db8::1:99999":       "not an IP address",
		strings.Repeat("a", 64):   "not a label",
		strings.Repeat("a.", 140): "longer than",
	} {
		err := CheckAllow(in)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", in, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got error %v, want one with %q", in, err, want)
		}
	}
}

// FuzzCheckAllow shows that a good entry means one thing only, and that no
// entry lets a refused address through.
func FuzzCheckAllow(f *testing.F) {
	for _, s := range []string{"api.example.com:443", "*.example.com", "10.0.0.0/8:1", "[::1]:80", "::ffff:1.2.3.4", "*", "none", "[::/0]"} {
		f.Add(s)
	}
	refused := netip.MustParseAddrPort("169.254.169.254:80")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseAllow(s)
		if err != nil {
			return
		}
		set := 0
		for _, is := range []bool{e.any, e.none, e.name != "", e.suffix != "", e.prefix.IsValid()} {
			if is {
				set++
			}
		}
		if set != 1 {
			t.Errorf("%q means %d things: %+v", s, set, e)
		}
		if e.name != strings.ToLower(e.name) || e.suffix == "." {
			t.Errorf("%q: not normal: %+v", s, e)
		}
		if decide(state{mode: All, allow: allowList{e}, names: []string{e.name, "x" + e.suffix}}, refused) == "" {
			t.Errorf("%q opens %s", s, refused)
		}
	})
}
