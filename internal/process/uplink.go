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
	traffic *egress.Traffic // nil without a way to elsewhere

	paying bool // somebody pays for what this invocation sends; of who invokes

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

// newUplink serves the ports of v's environment until close; it takes them
// over, but for that of the Runtime API. warn takes what the function's log
// should know.
func newUplink(cfg *Config, v *millicent.Version, p *ports, warn func(string), log *slog.Logger) *uplink {
	ctx, cancel := context.WithCancel(context.Background())
	u := &uplink{
		cancel: cancel,
		caller: millicent.Caller{Tenant: v.Tenant, Function: v.Function},
	}
	if p.api != nil {
		u.serveAPI(cfg.API, p.api, log)
	}
	if p.egress == nil {
		return u
	}
	port := *p.egress
	u.traffic = port.Traffic
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
	return u
}

func (u *uplink) serveAPI(api http.Handler, l net.Listener, log *slog.Logger) {
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
}

// invoking names the invocation whose calls the coming ones are: what a
// process left behind by it calls later still counts as its doing.
func (u *uplink) invoking(inv *millicent.Invocation) {
	if was := u.paying; u.traffic != nil && (was || inv.Pay != nil) {
		u.paying = inv.Pay != nil
		u.traffic.Begin(inv.Pay)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.caller.Invocation, u.caller.Lineage = inv.ID, inv.Lineage
	if u.caller.Root == "" {
		u.caller.Root = inv.ID
	}
}

// paid returns what sent does, once all is paid for that was sent since it
// returned before.
func (u *uplink) paid(before int64) int64 {
	if u.paying {
		return u.traffic.Settle(before)
	}
	return u.sent()
}

// sent returns the bytes that connections have sent to elsewhere.
func (u *uplink) sent() int64 {
	if u.traffic == nil {
		return 0
	}
	return u.traffic.Total()
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
