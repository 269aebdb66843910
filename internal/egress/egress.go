package egress

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

// Mode is a server's policy for outbound connections.
type Mode string

// The modes.
const (
	None   Mode = "none"   // nothing
	Public Mode = "public" // the internet: no loopback, link-local, private or host address
	All    Mode = "all"    // also private networks; never loopback, link-local, metadata or host addresses
)

// Bounds on what one sandbox, and all of them together, may hold.
const (
	maxConns    = 1000   // connections of one sandbox, as Lambda's 1,024 descriptors allow
	maxAllConns = 20_000 // connections of all sandboxes; see connLimit
	maxQueries  = 64     // name queries of one sandbox in flight
	maxDNSConns = 32     // TCP connections to one sandbox's name server
	maxLearned  = 4096   // addresses remembered for one sandbox's names
)

// Config configures a Gateway.
type Config struct {
	Mode Mode // zero means Public
	Log  *slog.Logger

	// Refuse lists further addresses that are refused in every mode, such as
	// a public address that leads back to this host.
	Refuse []netip.Prefix

	DialTimeout time.Duration // zero means 30 s
	IdleTimeout time.Duration // of a connection with no traffic either way; zero means 15 min

	// Parts of the machine that tests replace; nil means the real one.
	dial  func(ctx context.Context, dst netip.AddrPort) (*net.TCPConn, error)
	local func() ([]netip.Prefix, error)
	names resolver
}

// A Gateway carries the outbound connections of all sandboxes. It is safe for
// concurrent use.
type Gateway struct {
	mode   Mode
	log    *slog.Logger
	refuse []netip.Prefix
	idle   time.Duration
	dial   func(ctx context.Context, dst netip.AddrPort) (*net.TCPConn, error)
	local  *localSet
	names  resolver
	conns  *semaphore.Weighted // connections of all sandboxes

	telling budget // of refusals for want of conns, in the server's log
}

// filesPerConn are the descriptors that a connection takes: its two ends, and
// a pipe each way by which the kernel moves the bytes.
const filesPerConn = 6

// connLimit returns how many connections all sandboxes may have together in a
// process that may have so many descriptors: half of them are the platform's,
// to accept callers and to start environments with.
func connLimit(files uint64) int64 {
	return int64(min(maxAllConns, max(1, files/2/filesPerConn)))
}

// New returns a Gateway.
func New(cfg Config) (*Gateway, error) {
	switch cfg.Mode {
	case "":
		cfg.Mode = Public
	case None, Public, All:
	default:
		return nil, fmt.Errorf("egress mode %q: want none, public or all", cfg.Mode)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 30 * time.Second
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 15 * time.Minute
	}
	if cfg.dial == nil {
		cfg.dial = hostDialer(cfg.DialTimeout)
	}
	if cfg.local == nil {
		cfg.local = localPrefixes
	}
	if cfg.names == nil {
		cfg.names = newHostResolver("/etc/resolv.conf")
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("limit of descriptors: %w", err)
	}
	return &Gateway{
		mode:   cfg.Mode,
		log:    cfg.Log,
		refuse: cfg.Refuse,
		idle:   cfg.IdleTimeout,
		dial:   cfg.dial,
		local:  &localSet{read: cfg.local},
		names:  cfg.names,
		conns:  semaphore.NewWeighted(connLimit(files.Cur)),
	}, nil
}

// Mode returns the server's policy. In mode [None] a sandbox needs no
// redirected connections: only its name server is worth serving.
func (g *Gateway) Mode() Mode { return g.mode }

// Port carries one sandbox's traffic. A nil listener is not served.
type Port struct {
	TCP         *net.TCPListener                           // where redirected connections arrive
	OriginalDst func(*net.TCPConn) (netip.AddrPort, error) // where they wanted to go
	DNS         *net.UDPConn                               // name server, UDP
	DNSTCP      *net.TCPListener                           // name server, TCP
	Allow       []string                                   // the function's allow-list; empty allows what Mode allows

	// Traffic, when not nil, counts what the sandbox sends and receives.
	Traffic *Traffic

	// OnRefuse, when not nil, is told of refused connections so that the
	// function's log can say why: of the first ten, and then of one a second
	// at most. It must not block.
	OnRefuse func(dst netip.AddrPort, reason string)
}

// Serve carries a sandbox's traffic until ctx ends, then closes the listeners
// and connections and returns nil. A listener closed by somebody else ends it
// too. A Port with a bad allow-list is an error at once, and nothing is served.
func (g *Gateway) Serve(ctx context.Context, p Port) error {
	defer closePort(p)
	allow, err := parseAllowList(p.Allow)
	if err != nil {
		return err
	}
	if p.Traffic == nil {
		p.Traffic = new(Traffic)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	learned := newLearnedNames(maxLearned)
	px := &proxy{gw: g, port: p, allow: allow, learned: learned}
	ns := &nameServer{
		mode: g.mode, allow: allow, learned: learned, upstream: g.names,
		slots: make(chan struct{}, maxQueries),
	}

	// Each part runs until its listener closes, and the first to end takes
	// the others with it.
	var parts errgroup.Group
	part := func(run func(context.Context) error) {
		parts.Go(func() error {
			defer cancel()
			return run(ctx)
		})
	}
	if p.TCP != nil {
		part(px.serve)
	}
	if p.DNS != nil {
		part(func(ctx context.Context) error { return ns.serveUDP(ctx, p.DNS) })
	}
	if p.DNSTCP != nil {
		part(func(ctx context.Context) error { return ns.serveTCP(ctx, p.DNSTCP) })
	}
	<-ctx.Done()
	closePort(p)
	return parts.Wait()
}

// closePort closes a Port's listeners; closing twice is harmless.
func closePort(p Port) {
	if p.TCP != nil {
		p.TCP.Close()
	}
	if p.DNS != nil {
		p.DNS.Close()
	}
	if p.DNSTCP != nil {
		p.DNSTCP.Close()
	}
}
