package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// Bounds of what a function may ask of the platform's API at a time.
const (
	maxAPIConnections = 128
	apiHeaderTimeout  = time.Minute
)

// An uplink is an environment's way out: to the platform's own API, which
// knows the caller by the listener, and through the egress gateway to the
// world. It lives as long as the environment.
type uplink struct {
	api     *http.Server
	cancel  context.CancelFunc
	serving sync.WaitGroup

	mu     sync.Mutex
	caller millicent.Caller
}

// redirect returns the port that a sandbox's outbound connections arrive on;
// zero when there are to be none.
func (c *Config) redirect() uint16 {
	if c.Egress == nil || c.Egress.Mode() == egress.None {
		return 0
	}
	return portRedirect
}

// openUplink serves box until close. warn takes what the function's log
// should know.
func openUplink(cfg *Config, v *millicent.Version, box *sandbox.Sandbox, warn func(string), log *slog.Logger) (*uplink, error) {
	ctx, cancel := context.WithCancel(context.Background())
	u := &uplink{
		cancel: cancel,
		caller: millicent.Caller{Tenant: v.Tenant, Function: v.Function},
	}
	if err := u.serveAPI(cfg.API, box, log); err != nil {
		return nil, errors.Join(err, u.close())
	}
	if cfg.Egress == nil {
		return u, nil
	}
	port, err := listenEgress(box, cfg.redirect())
	if err != nil {
		return nil, errors.Join(err, u.close())
	}
	port.OnRefuse = func(dst netip.AddrPort, reason string) {
		warn(fmt.Sprintf("A connection to %s was refused: %s", dst, reason))
	}
	if cfg.Allow != nil {
		port.Allow = cfg.Allow(v)
	}
	u.serving.Go(func() {
		if err := cfg.Egress.Serve(ctx, port); err != nil && ctx.Err() == nil {
			log.Warn("egress ended", "error", err)
		}
	})
	return u, nil
}

func (u *uplink) serveAPI(api http.Handler, box *sandbox.Sandbox, log *slog.Logger) error {
	if api == nil {
		return nil
	}
	l, err := box.Listen(inside(portPlatform))
	if err != nil {
		return fmt.Errorf("listen for the platform's API: %w", err)
	}
	u.api = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			api.ServeHTTP(w, r.WithContext(millicent.WithCaller(r.Context(), u.lineage())))
		}),
		ReadHeaderTimeout: apiHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	u.serving.Go(func() {
		if err := u.api.Serve(netutil.LimitListener(l, maxAPIConnections)); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("platform API of a sandbox ended", "error", err)
		}
	})
	return nil
}

// listenEgress opens the ports that a sandbox's traffic arrives on. Without
// redirected connections there is still the name server, which refuses at
// once where silence would cost a function seconds.
func listenEgress(box *sandbox.Sandbox, redirect uint16) (port egress.Port, err error) {
	port.OriginalDst = sandbox.OriginalDst
	if redirect != 0 {
		// They arrive at whichever address the kernel rewrote them to.
		port.TCP, err = box.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), redirect))
	}
	if err == nil {
		port.DNS, err = box.ListenUDP(inside(portDNS))
	}
	if err == nil {
		port.DNSTCP, err = box.Listen(inside(portDNS))
	}
	if err == nil {
		return port, nil
	}
	err = fmt.Errorf("listen for egress: %w", err)
	for _, l := range []*net.TCPListener{port.TCP, port.DNSTCP} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if port.DNS != nil {
		err = errors.Join(err, port.DNS.Close())
	}
	return port, err
}

// invoking names the invocation whose calls the coming ones are: what a
// process left behind by it calls later still counts as its doing.
func (u *uplink) invoking(inv *millicent.Invocation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.caller.Root = inv.Root
	if u.caller.Root == "" {
		u.caller.Root = inv.ID
	}
	u.caller.Hops = inv.Hops // the invocations that it calls are one further
}

func (u *uplink) lineage() millicent.Caller {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.caller
}

// close ends all connections and returns once nothing serves any more.
func (u *uplink) close() error {
	u.cancel()
	var err error
	if u.api != nil {
		err = u.api.Close()
	}
	u.serving.Wait()
	return err
}
