package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	hostsTTL       = 10              // seconds that an answer from /etc/hosts may be reused
	resolvConfAge  = 5 * time.Second // how long a change of resolv.conf goes unnoticed
	upstreamUDP    = 1232            // bytes: passes every network unfragmented
	maxUpstreamTry = 4 * time.Second
)

// A hostResolver answers as the host itself would: names from /etc/hosts,
// all else from the name servers of resolv.conf, passed through unchanged.
type hostResolver struct {
	path  string
	hosts func(ctx context.Context, name string) []netip.Addr

	mu   sync.Mutex // guards what follows
	conf *dns.ClientConfig
	read time.Time
}

func newHostResolver(resolvConf string) *hostResolver {
	return &hostResolver{path: resolvConf, hosts: hostsFile()}
}

// hostsFile looks names up in /etc/hosts: the standard resolver, cut off from
// any name server.
func hostsFile() func(ctx context.Context, name string) []netip.Addr {
	r := &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.ErrUnsupported
		},
	}
	return func(ctx context.Context, name string) []netip.Addr {
		// An error says that the file does not have it.
		addrs, _ := r.LookupNetIP(ctx, "ip4", name)
		return addrs
	}
}

// resolve implements resolver.
func (r *hostResolver) resolve(ctx context.Context, q dns.Question) (*dns.Msg, error) {
	// A name that no hosts file can hold (binary labels) is not looked for.
	if q.Qtype == dns.TypeA && !strings.ContainsRune(q.Name, '\\') {
		if addrs := r.hosts(ctx, strings.TrimSuffix(q.Name, ".")); len(addrs) > 0 {
			return hostsAnswer(q, addrs), nil
		}
	}
	conf := r.config(time.Now())
	timeout := min(time.Duration(conf.Timeout)*time.Second, maxUpstreamTry)
	var errs []error
	var last *dns.Msg
	for _, server := range conf.Servers {
		got, err := ask(ctx, net.JoinHostPort(server, conf.Port), q, timeout)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if got.Rcode == dns.RcodeSuccess || got.Rcode == dns.RcodeNameError {
			return got, nil
		}
		last = got // another server may know better
	}
	if last != nil {
		return last, nil
	}
	return nil, fmt.Errorf("resolve %s: %w", q.Name, errors.Join(errs...))
}

// ask puts one question to one server, over TCP when UDP truncates.
func ask(ctx context.Context, server string, q dns.Question, timeout time.Duration) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.Id = dns.Id()
	query.RecursionDesired = true
	query.Question = []dns.Question{q}
	query.SetEdns0(upstreamUDP, false)
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: timeout, UDPSize: upstreamUDP}
		got, err := exchange(ctx, c, query, server)
		if err != nil {
			return nil, err
		}
		if len(got.Question) != 1 || !strings.EqualFold(got.Question[0].Name, q.Name) || got.Question[0].Qtype != q.Qtype {
			return nil, fmt.Errorf("name server %s answered another question", server)
		}
		if !got.Truncated {
			return got, nil
		}
	}
	return nil, fmt.Errorf("name server %s truncates over TCP", server)
}

// exchange sends a query and waits for its answer or for ctx.
func exchange(ctx context.Context, c *dns.Client, query *dns.Msg, server string) (*dns.Msg, error) {
	conn, err := c.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // the library watches its deadline only
	got, _, err := c.ExchangeWithConnContext(ctx, query, conn)
	return got, err
}

// config returns the host's resolver configuration, read again when old. Like
// the C library it falls back to a server on this host.
func (r *hostResolver) config(now time.Time) *dns.ClientConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conf != nil && now.Sub(r.read) < resolvConfAge {
		return r.conf
	}
	conf := &dns.ClientConfig{Port: "53", Timeout: 5}
	if f, err := os.Open(r.path); err == nil {
		if c, err := dns.ClientConfigFromReader(f); err == nil {
			conf = c
		}
		f.Close()
	}
	if len(conf.Servers) == 0 {
		conf.Servers = []string{"127.0.0.1"}
	}
	conf.Servers = conf.Servers[:min(len(conf.Servers), 3)] // as the C library does
	if conf.Timeout <= 0 {
		conf.Timeout = 5
	}
	r.conf, r.read = conf, now
	return conf
}

// hostsAnswer answers with addresses of the hosts file.
func hostsAnswer(q dns.Question, addrs []netip.Addr) *dns.Msg {
	m := new(dns.Msg)
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: hostsTTL},
				A:   a.AsSlice(),
			})
		}
	}
	return m
}
