package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is a resolver with answers by "name type".
type zone map[string][]string

func (z zone) resolve(_ context.Context, q dns.Question) (*dns.Msg, error) {
	key := strings.ToLower(q.Name) + " " + dns.TypeToString[q.Qtype]
	records, ok := z[key]
	m := new(dns.Msg)
	if !ok {
		m.Rcode = dns.RcodeNameError
		return m, nil
	}
	for _, s := range records {
		if s == "fail" {
			return nil, errors.New("no server answers")
		}
		rr, err := dns.NewRR(s)
		if err != nil {
			return nil, err
		}
		m.Answer = append(m.Answer, rr)
	}
	return m, nil
}

func manyTXT(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("big.example. 60 IN TXT %q", strings.Repeat("x", 100)+fmt.Sprint(i)))
	}
	return out
}

var testZone = zone{
	"api.example. A":       {"api.example. 60 IN CNAME cdn.example.", "cdn.example. 5 IN A 93.184.215.14"},
	"api.example. TXT":     {`api.example. 60 IN TXT "v=1"`},
	"other.example. A":     {"other.example. 60 IN A 93.184.215.15"},
	"_x._tcp.example. SRV": {"_x._tcp.example. 60 IN SRV 1 2 443 api.example."},
	"example. MX":          {"example. 60 IN MX 10 mail.example."},
	"broken.example. A":    {"fail"},
	"big.example. TXT":     manyTXT(50),
	"empty.example. A":     {},
	"metadata.example. A":  {"metadata.example. 60 IN A 169.254.169.254"},
	"deep.sub.example. A":  {"deep.sub.example. 60 IN A 93.184.215.16"},
}

// nameServerFor serves a name server and returns how to ask it.
func nameServerFor(t *testing.T, mode Mode, allow ...string) func(network, name string, typ uint16) *dns.Msg {
	t.Helper()
	g, err := New(Config{Mode: mode, names: testZone})
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := listenDNS(t)
	serveFor(t, g, Port{DNS: udp, DNSTCP: tcp, Allow: allow})
	return func(network, name string, typ uint16) *dns.Msg {
		t.Helper()
		c := &dns.Client{Net: network, Timeout: 20 * time.Second}
		m := new(dns.Msg).SetQuestion(name, typ)
		got, _, err := c.Exchange(m, tcp.Addr().String())
		if err != nil {
			t.Fatalf("ask for %s %s: %v", name, dns.TypeToString[typ], err)
		}
		return got
	}
}

// serveFor serves p until the test ends.
func serveFor(t *testing.T, g *Gateway, p Port) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := g.Serve(ctx, p); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
}

func TestNameServer(t *testing.T) {
	tests := []struct {
		mode    Mode
		allow   []string
		name    string
		typ     uint16
		rcode   int
		answers int
	}{
		{Public, nil, "api.example.", dns.TypeA, dns.RcodeSuccess, 2},
		{Public, nil, "API.Example.", dns.TypeA, dns.RcodeSuccess, 2},
		{Public, nil, "api.example.", dns.TypeAAAA, dns.RcodeSuccess, 0},
		{Public, nil, "api.example.", dns.TypeTXT, dns.RcodeSuccess, 1},
		{Public, nil, "_x._tcp.example.", dns.TypeSRV, dns.RcodeSuccess, 1},
		{Public, nil, "example.", dns.TypeMX, dns.RcodeSuccess, 1},
		{Public, nil, "empty.example.", dns.TypeA, dns.RcodeSuccess, 0},
		{Public, nil, "no.example.", dns.TypeA, dns.RcodeNameError, 0},
		{Public, nil, "broken.example.", dns.TypeA, dns.RcodeServerFailure, 0},
		{Public, nil, "api.example.", dns.TypeANY, dns.RcodeRefused, 0},
		{Public, nil, "example.", dns.TypeAXFR, dns.RcodeRefused, 0},
		{Public, nil, "example.", dns.TypeIXFR, dns.RcodeRefused, 0},
		{All, nil, "api.example.", dns.TypeA, dns.RcodeSuccess, 2},
		{None, nil, "api.example.", dns.TypeA, dns.RcodeRefused, 0},
		{None, nil, "api.example.", dns.TypeAAAA, dns.RcodeRefused, 0},
		{None, []string{"api.example"}, "api.example.", dns.TypeA, dns.RcodeRefused, 0},
		{Public, []string{"api.example"}, "api.example.", dns.TypeA, dns.RcodeSuccess, 2},
		{Public, []string{"api.example:443"}, "api.example.", dns.TypeTXT, dns.RcodeSuccess, 1},
		{Public, []string{"api.example"}, "other.example.", dns.TypeA, dns.RcodeRefused, 0},
		{Public, []string{"*.example"}, "deep.sub.example.", dns.TypeA, dns.RcodeSuccess, 1},
		{Public, []string{"1.2.3.4"}, "api.example.", dns.TypeA, dns.RcodeRefused, 0},
		{Public, []string{"*:443"}, "api.example.", dns.TypeA, dns.RcodeSuccess, 2},
		{Public, []string{"none"}, "api.example.", dns.TypeA, dns.RcodeRefused, 0},
	}
	for _, tt := range tests {
		ask := nameServerFor(t, tt.mode, tt.allow...)
		for _, network := range []string{"udp", "tcp"} {
			got := ask(network, tt.name, tt.typ)
			if got.Rcode != tt.rcode || len(got.Answer) != tt.answers {
				t.Errorf("mode %s, allow %q, %s %s over %s: got %s with %d answers, want %s with %d", tt.mode, tt.allow,
					tt.name, dns.TypeToString[tt.typ], network,
					dns.RcodeToString[got.Rcode], len(got.Answer), dns.RcodeToString[tt.rcode], tt.answers)
			}
		}
	}
}

func TestNameServerTruncates(t *testing.T) {
	ask := nameServerFor(t, Public)
	if got := ask("udp", "big.example.", dns.TypeTXT); !got.Truncated || len(got.Answer) >= 50 {
		t.Errorf("over UDP: truncated %v, %d answers", got.Truncated, len(got.Answer))
	}
	if got := ask("tcp", "big.example.", dns.TypeTXT); got.Truncated || len(got.Answer) != 50 {
		t.Errorf("over TCP: truncated %v, %d answers", got.Truncated, len(got.Answer))
	}
}

// TestOddQueries covers what a program may send besides good questions.
func TestOddQueries(t *testing.T) {
	s := &nameServer{mode: Public, upstream: testZone, learned: newLearnedNames(1)}
	chaos := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	update := new(dns.Msg).SetUpdate("example.")
	two := new(dns.Msg).SetQuestion("api.example.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	for _, tt := range []struct {
		query *dns.Msg
		want  int
	}{
		{chaos, dns.RcodeRefused},
		{update, dns.RcodeNotImplemented},
		{two, dns.RcodeFormatError},
		{new(dns.Msg), dns.RcodeFormatError},
	} {
		if got := s.answer(t.Context(), tt.query); got.Rcode != tt.want || got.Id != tt.query.Id || !got.Response {
			t.Errorf("%v: got %v, want %s", tt.query, got, dns.RcodeToString[tt.want])
		}
	}
}

// TestNamesOpenAddresses shows an allow-list of names at work: an address is
// open once this sandbox was given it for a listed name.
func TestNamesOpenAddresses(t *testing.T) {
	server := outside(t, echo)
	cfg := world(Config{}, map[string]netip.AddrPort{
		"93.184.215.14:443": server, "93.184.215.14:80": server,
		"93.184.215.15:443": server, "169.254.169.254:443": server,
	})
	cfg.names = testZone
	tcp := listen(t)
	connect, _ := serve(t, cfg, Port{DNSTCP: tcp, Allow: []string{"api.example:443", "metadata.example"}})
	ask := func(name string) *dns.Msg {
		got, _, err := (&dns.Client{Net: "tcp", Timeout: 20 * time.Second}).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	wantReset(t, connect("93.184.215.14:443")) // not asked for yet
	ask("Api.Example.")
	ask("other.example.")
	ask("metadata.example.")
	c := connect("93.184.215.14:443")
	buf := []byte{7}
	if _, err := c.Write(buf); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Errorf("a listed name's address: %v", err)
	}
	wantReset(t, connect("93.184.215.14:80"))    // another port
	wantReset(t, connect("93.184.215.15:443"))   // another name
	wantReset(t, connect("169.254.169.254:443")) // never, by whatever name
}

func TestLearnedNames(t *testing.T) {
	now := time.Unix(1e9, 0)
	a, b, c := netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2.2.2.2"), netip.MustParseAddr("3.3.3.3")
	l := newLearnedNames(2)
	l.learn(now, "short", 0, []netip.Addr{a})
	l.learn(now, "long", 48*time.Hour, []netip.Addr{b})
	if got := l.of(now.Add(minLearned), a); len(got) != 1 || got[0] != "short" {
		t.Errorf("at the end of its life: %q", got)
	}
	if got := l.of(now.Add(minLearned+1), a); len(got) != 0 {
		t.Errorf("after its life: %q", got)
	}
	if got := l.of(now.Add(maxLearnedTTL+1), b); len(got) != 0 {
		t.Errorf("after the longest life: %q", got)
	}
	l.learn(now.Add(minLearned+1), "new", 0, []netip.Addr{c}) // in the place of the expired one
	if len(l.names) != 2 || len(l.of(now, b)) != 1 {
		t.Errorf("a full map forgot what had not expired: %v", l.names)
	}
	l.learn(now.Add(minLearned+1), "more", 0, []netip.Addr{a}) // none expired: any one goes
	if len(l.names) != 2 {
		t.Errorf("%d addresses remembered, limit 2", len(l.names))
	}
	for i := range 2 * namesPerAddr {
		l.learn(now, fmt.Sprint(i), time.Hour, []netip.Addr{a})
	}
	if got := len(l.of(now, a)); got != namesPerAddr {
		t.Errorf("%d names for one address, limit %d", got, namesPerAddr)
	}
}

// listenDNS returns sockets of both kinds with one port. The system knows which
// is free for one of them only.
func listenDNS(t *testing.T) (*net.UDPConn, *net.TCPListener) {
	t.Helper()
	loopback := net.IPv4(127, 0, 0, 1)
	for range 100 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback})
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback, Port: l.Addr().(*net.TCPAddr).Port})
		if err == nil {
			return u, l
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// TestHostResolver asks a real name server of the test's own.
func TestHostResolver(t *testing.T) {
	upstream, l := listenDNS(t)
	g, err := New(Config{names: testZone})
	if err != nil {
		t.Fatal(err)
	}
	serveFor(t, g, Port{DNS: upstream, DNSTCP: l})

	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions timeout:20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newHostResolver(conf)
	r.config(time.Now()).Port = fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	resolve := func(name string, typ uint16) (*dns.Msg, error) {
		r.read = time.Now() // the port above is kept
		return r.resolve(t.Context(), dns.Question{Name: name, Qtype: typ, Qclass: dns.ClassINET})
	}
	for _, tt := range []struct {
		name           string
		typ            uint16
		rcode, answers int
	}{
		{"localhost.", dns.TypeA, dns.RcodeSuccess, 1}, // from /etc/hosts
		{"api.example.", dns.TypeA, dns.RcodeSuccess, 2},
		{"big.example.", dns.TypeTXT, dns.RcodeSuccess, 50}, // over TCP in the end
		{"no.example.", dns.TypeA, dns.RcodeNameError, 0},
		{"broken.example.", dns.TypeA, dns.RcodeServerFailure, 0},
	} {
		got, err := resolve(tt.name, tt.typ)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Rcode != tt.rcode || len(got.Answer) != tt.answers {
			t.Errorf("%s: got %s with %d answers, want %s with %d", tt.name, dns.RcodeToString[got.Rcode], len(got.Answer), dns.RcodeToString[tt.rcode], tt.answers)
		}
	}
}

// TestResolveEndsWithContext: a name server that never answers holds nobody.
func TestResolveEndsWithContext(t *testing.T) {
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := ask(ctx, silent.LocalAddr().String(), dns.Question{Name: "a.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}, time.Hour)
		done <- err
	}()
	if _, err := silent.Read(make([]byte, 512)); err != nil { // the query is out
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer came from nowhere")
	}
}

// FuzzAnswer shows that no query, however odd, breaks the name server.
func FuzzAnswer(f *testing.F) {
	good, err := new(dns.Msg).SetQuestion("api.example.", dns.TypeA).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, packet []byte) {
		query := new(dns.Msg)
		if query.Unpack(packet) != nil {
			return
		}
		s := &nameServer{mode: Public, upstream: testZone, learned: newLearnedNames(8), allow: mustList(t, "*.example")}
		reply := s.answer(t.Context(), query)
		if !reply.Response || reply.Id != query.Id {
			t.Errorf("not an answer: %v", reply)
		}
		reply.Truncate(dns.MinMsgSize)
	})
}
