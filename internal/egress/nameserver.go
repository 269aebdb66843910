package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Sizes and times of the name server.
const (
	maxUDPAnswer  = 4096             // bytes, whatever the client offers
	dnsIdle       = 10 * time.Second // of a TCP connection between queries
	answerTimeout = 15 * time.Second // for one query, upstream included
)

// A resolver answers questions as the host would. The error is nil whenever
// an answer came, also one that says that there is no such name.
type resolver interface {
	resolve(ctx context.Context, q dns.Question) (*dns.Msg, error)
}

// A nameServer answers one sandbox's queries.
type nameServer struct {
	mode     Mode
	allow    allowList
	learned  *learnedNames
	upstream resolver
	slots    chan struct{} // one per query in flight
}

// serveUDP answers queries until conn is closed and all are answered.
func (s *nameServer) serveUDP(ctx context.Context, conn *net.UDPConn) error {
	var queries sync.WaitGroup
	defer queries.Wait()
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // an ICMP error of an earlier answer
			if !pause(ctx, time.Millisecond) {
				return nil
			}
			continue
		}
		query := new(dns.Msg)
		if query.Unpack(buf[:n]) != nil || query.Response {
			continue
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.send(conn, from, query, refusal(query, dns.RcodeServerFailure))
			continue
		}
		queries.Go(func() {
			defer func() { <-s.slots }()
			s.send(conn, from, query, s.answer(ctx, query))
		})
	}
}

// send answers over UDP, truncated to what the client takes.
func (s *nameServer) send(conn *net.UDPConn, to netip.AddrPort, query, reply *dns.Msg) {
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = min(max(int(opt.UDPSize()), size), maxUDPAnswer)
	}
	reply.Truncate(size)
	packed, err := reply.Pack()
	if err != nil {
		packed, err = refusal(query, dns.RcodeServerFailure).Pack()
	}
	if err == nil {
		// A lost answer is asked for again, as over any network.
		_, _ = conn.WriteToUDPAddrPort(packed, to)
	}
}

// serveTCP answers queries over TCP until l is closed and all are answered.
func (s *nameServer) serveTCP(ctx context.Context, l *net.TCPListener) error {
	return acceptLoop(ctx, l, maxDNSConns, func(c *net.TCPConn) func() {
		return func() { s.serveConn(ctx, c) }
	})
}

// serveConn answers a connection's queries, one after the other.
func (s *nameServer) serveConn(ctx context.Context, c *net.TCPConn) {
	conn := &dns.Conn{Conn: c}
	for {
		if c.SetDeadline(time.Now().Add(dnsIdle)) != nil {
			return
		}
		query, err := conn.ReadMsg()
		if err != nil || query.Response {
			return
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		reply := s.answer(ctx, query)
		<-s.slots
		if c.SetDeadline(time.Now().Add(dnsIdle)) != nil || conn.WriteMsg(reply) != nil {
			return
		}
	}
}

// answer answers one query.
func (s *nameServer) answer(ctx context.Context, query *dns.Msg) *dns.Msg {
	name, rcode := s.judge(query)
	if rcode != dns.RcodeSuccess {
		return refusal(query, rcode)
	}
	q := query.Question[0]
	if q.Qtype == dns.TypeAAAA { // sandboxes have no IPv6
		return refusal(query, dns.RcodeSuccess)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	got, err := s.upstream.resolve(ctx, q)
	if err != nil {
		return refusal(query, dns.RcodeServerFailure)
	}
	reply := refusal(query, got.Rcode)
	reply.AuthenticatedData = got.AuthenticatedData
	reply.Answer, reply.Ns = got.Answer, got.Ns
	for _, rr := range got.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			reply.Extra = append(reply.Extra, rr)
		}
	}
	if q.Qtype == dns.TypeA && len(s.allow) > 0 {
		s.learn(name, reply.Answer)
	}
	return reply
}

// judge returns the name asked for, and how to answer without asking anyone.
func (s *nameServer) judge(query *dns.Msg) (name string, rcode int) {
	if query.Opcode != dns.OpcodeQuery {
		return "", dns.RcodeNotImplemented
	}
	if len(query.Question) != 1 {
		return "", dns.RcodeFormatError
	}
	q := query.Question[0]
	switch q.Qtype {
	case dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeMAILA, dns.TypeMAILB:
		return "", dns.RcodeRefused
	}
	name = strings.ToLower(strings.TrimSuffix(q.Name, "."))
	if s.mode == None || q.Qclass != dns.ClassINET || !s.allow.answers(name) {
		return "", dns.RcodeRefused
	}
	return name, dns.RcodeSuccess
}

// learn remembers the addresses that were answered for a name.
func (s *nameServer) learn(name string, answer []dns.RR) {
	var addrs []netip.Addr
	ttl := maxLearnedTTL
	for _, rr := range answer {
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	s.learned.learn(time.Now(), name, ttl, addrs)
}

// refusal returns an answer without records, and with the rcode given.
func refusal(query *dns.Msg, rcode int) *dns.Msg {
	reply := new(dns.Msg).SetRcode(query, rcode)
	reply.RecursionAvailable = true
	if query.IsEdns0() != nil {
		reply.SetEdns0(maxUDPAnswer, false)
	}
	return reply
}
