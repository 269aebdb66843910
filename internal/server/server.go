package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api"
	"github.com/millicent-run/millicent/internal/async"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/budget"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/eventsource"
	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/meter"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/process"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sandbox"
	"github.com/millicent-run/millicent/internal/schedule"
	"github.com/millicent-run/millicent/internal/scheduler"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
	"github.com/millicent-run/millicent/internal/telemetry"
	"github.com/millicent-run/millicent/internal/wasm/worker"
)

// drainTime is how long running invocations get to end when the server stops.
const drainTime = 30 * time.Second

// heapSlack is memory that is asked for and never touched. The garbage
// collector lets the heap grow by as much again as it holds, and counts this as
// held: a server that holds 4 MB is collected once for each 36 MB of garbage,
// and not for each 4 MB.
const heapSlack = 32 << 20

// settleTime is how long after its start a server gives the start's garbage
// back to the machine: what was read to find where things stood is a multiple
// of what is kept, and a server that nobody calls would not collect it for two
// minutes.
const settleTime = time.Second

// Main must be the first call of a program that calls Run (tests: in
// TestMain): the program starts itself again inside of sandboxes, and such a
// start never returns from Main.
func Main() {
	sandbox.Main()
	worker.Main()
}

// Run runs a server until ctx ends, and returns once nothing of it is left:
// no goroutine, process, mount or file descriptor. Running invocations get
// drainTime to end, or until cfg.Abort is closed. The error says why the
// server could not start, or what failed while it ran or stopped; it is nil
// after a clean stop.
func Run(ctx context.Context, cfg Config) error {
	begin := time.Now()
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	slack := make([]byte, heapSlack)
	defer runtime.KeepAlive(slack)
	s := &server{cfg: cfg, log: cfg.Log, begin: begin, launches: make(chan struct{})}
	if err := s.build(ctx); err != nil {
		return s.abandon(err)
	}
	s.announce()
	defer time.AfterFunc(settleTime, debug.FreeOSMemory).Stop()
	return s.stop(s.wait(ctx))
}

// server is a server in the making, running, or on its way down: what build
// has built so far, and in built how to close it, in reverse.
type server struct {
	cfg   Config
	log   *slog.Logger
	begin time.Time
	built stack

	secret     []byte
	nats       *natsd.Server
	conn       *nats.Conn
	js         jetstream.JetStream
	store      *store.Store
	queues     *queue.Queues
	meter      *meter.Meter // nil with Config.Unmetered
	standing   usageLook    // other usage than invocations
	books      *billing.Books
	ledger     *ledger.Ledger // nil without a meter
	latest     rounds         // counts for answers about usage
	budgets    *budget.Service
	sqs        *sqs.Service
	mappings   *eventsource.Service
	schedules  *schedule.Service
	scheduling *schedule.Engine
	logs       *telemetry.Logs
	host       *sandbox.Host
	egress     *egress.Gateway
	runtimes   *process.Runtimes
	inside     door // the API, for calls from within sandboxes
	launcher   *process.Launcher
	launchers  *launchers
	launches   chan struct{} // closed when there is a launcher
	scheduler  *scheduler.Scheduler
	provider   *provider
	metrics    *telemetry.Metrics
	recent     telemetry.Recent
	rates      telemetry.Rates
	invoker    *invoke.Invoker
	events     *async.Events
	keys       api.FunctionKeys
	handler    *api.Handler
	listeners  *listeners
}

// build builds the server, each part on those before it.
func (s *server) build(ctx context.Context) error {
	// Asking interpreters for their versions takes the longest and needs
	// nothing: it goes along with the rest.
	runtimes := findRuntimes(ctx)
	s.built.push("runtimes", func(context.Context) error { runtimes.wait(); return nil })

	for _, step := range []struct {
		name  string
		build func(context.Context) error
	}{
		// The data directory and its lock: from here on, everything in it is ours alone.
		{"data directory", s.openData},
		{"state engine", s.startNATS},
		// The address, before the costly parts: a client that comes early waits
		// instead of being refused, and an address in use is found at once.
		{"listeners", s.listen},
		// Functions and packages, which all that follows reads.
		{"store", s.openStore},
		{"queues", s.openQueues},
		// The ledger, before anything is run that it is to have.
		{"price books", s.openPrices},
		{"ledger", s.openMeter},
		{"sums of usage", s.openLedger},
		// Logs, before anything runs that could write one.
		{"logs", s.openLogs},
		// The sandbox host sweeps what a killed server left behind, so it
		// comes before anything new is started.
		{"sandbox host", s.openHost},
		{"egress", s.openEgress},
		{"runtimes", func(context.Context) (err error) { s.runtimes, err = runtimes.get(); return err }},
		// From launcher to invoker: the path of an invocation, from its end.
		{"launcher", s.newLauncher},
		{"package sweep", s.startSweep},
		{"scheduler", s.newScheduler},
		{"pool", s.expect},
		{"compiler", s.compileAhead},
		// What was spent is known before anything spends more.
		{"budgets", s.openBudgets},
		{"invoker", s.newInvoker},
		// What was accepted before the last stop runs from now on.
		{"events", s.startEvents},
		{"warnings of budgets", func(context.Context) error { s.budgets.Start(); return nil }},
		{"event source mappings", s.newMappings},
		{"schedules", s.startSchedules},
		// The API, on all of it; calls from within sandboxes have waited for it.
		{"api", s.newAPI},
		// What is provisioned is launched while the first calls come.
		{"provisioned concurrency", s.provision},
		{"standing usage", s.meterStanding},
		// Last, when every answer can be given.
		{"serving", s.serve},
	} {
		if err := step.build(ctx); err != nil {
			return fmt.Errorf("start %s: %w", step.name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) openData(context.Context) error {
	return makeData(s.cfg.Data)
}

func (s *server) startNATS(context.Context) (err error) {
	if s.nats, err = natsd.Start(filepath.Join(s.cfg.Data, "standalone"), s.log); err != nil {
		return err
	}
	s.built.push("state engine", func(context.Context) error { return s.nats.Close() })
	s.secret, err = loadSecret(s.cfg.Data)
	s.keys = api.FunctionKeys{Secret: s.secret}
	return err
}

func (s *server) openStore(ctx context.Context) (err error) {
	if s.conn, err = s.nats.Connect(); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	s.store, err = store.Open(ctx, s.js, store.Config{
		Dir: filepath.Join(s.cfg.Data, "packages"), Region: s.cfg.Region, Log: s.log,
		Initialise: s.initialise, Compiles: s.compiles,
	})
	if err != nil {
		return err
	}
	s.built.push("store", func(context.Context) error { return s.store.Close() })
	return nil
}

func (s *server) openLogs(context.Context) (err error) {
	s.logs, err = telemetry.NewLogs(telemetry.LogsConfig{Dir: filepath.Join(s.cfg.Data, "logs"), Log: s.log})
	if err != nil {
		return err
	}
	s.built.push("logs", func(context.Context) error { return s.logs.Close() })
	return nil
}

func (s *server) openHost(context.Context) (err error) {
	s.host, err = sandbox.Open(sandbox.Config{
		Name: hostName(s.cfg.Data), Dir: filepath.Join(s.cfg.Data, "run", "sandbox"), Log: s.log,
	})
	if err != nil {
		return err
	}
	s.built.push("sandbox host", func(context.Context) error { return s.host.Close() })
	return nil
}

func (s *server) openEgress(context.Context) (err error) {
	s.egress, err = egress.New(egress.Config{Mode: egress.Mode(s.cfg.Egress), Log: s.log})
	return err
}

func (s *server) newLauncher(context.Context) (err error) {
	code := func(ctx context.Context, v *millicent.Version) (string, error) {
		return s.store.PackageDir(ctx, v.Package)
	}
	s.launcher, err = process.NewLauncher(process.Config{
		Host: s.host, Egress: s.egress, Region: s.cfg.Region,
		Dir:         filepath.Join(s.cfg.Data, "run", "process"),
		Code:        code,
		Compiled:    s.store,
		Allow:       s.allow,
		Credentials: s.credentials,
		API:         &s.inside,
		Pool:        process.PoolConfig{Max: s.cfg.Pool},
		Runtimes:    s.runtimes,
		Strict:      s.cfg.StrictRuntimes,
		Logs:        s.logs,
		Log:         s.log,
	})
	if err != nil {
		return err
	}
	s.built.push("launcher", func(context.Context) error { return s.launcher.Close() })
	if err := s.newWasm(code); err != nil {
		return err
	}
	close(s.launches)
	return nil
}

func (s *server) newScheduler(context.Context) error {
	reserved := &reservations{functions: s.store.Functions}
	s.provider = newProvider(s.store, s.log)
	s.scheduler = scheduler.New(scheduler.Config{
		Launcher:        func(string) (millicent.Launcher, error) { return s.launchers, nil },
		Size:            s.launchers.size,
		MaxEnvironments: s.cfg.MaxEnvironments,
		MaxMemoryMB:     s.cfg.MaxMemoryMB,
		Memory:          s.memory,
		Reserved:        reserved.of,
		Provisioned:     s.provider.fulfilled,
		KeepAlive:       s.cfg.KeepAlive,
		Log:             s.log,
	})
	s.built.push("scheduler", s.scheduler.Close)
	s.provider.scheduler = s.scheduler
	s.store.OnChange(func(before, after *millicent.Function) {
		reserved.changed(before, after)
		s.provider.changed(before, after)
		retire(s.scheduler, before, after)
		s.retain(before, after)
	})
	return nil
}

// memory is what there is of it for environments and all else.
func (s *server) memory() scheduler.Memory {
	total, available := s.host.Memory()
	return scheduler.Memory{Total: total, Available: available}
}

// expect has a sandbox prepared for each runtime that some function has, from
// now on and for those to come.
func (s *server) expect(context.Context) error {
	s.store.OnChange(func(_, after *millicent.Function) {
		if after != nil {
			s.launcher.Expect(after.Draft.Runtime)
		}
	})
	s.store.EachFunction(func(f *millicent.Function) { s.launcher.Expect(f.Draft.Runtime) })
	return nil
}

// provision has all that is provisioned launched, and aliases moved from now
// on.
func (s *server) provision(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // until the server stops
		defer close(done)
		s.provider.run(ctx)
	}()
	s.built.push("provisioned concurrency", func(context.Context) error { cancel(); <-done; return nil })
	s.rein()
	var all []functionName
	s.store.EachFunction(func(f *millicent.Function) {
		if len(f.Provisioned) > 0 {
			all = append(all, functionName{f.Tenant, f.Name})
		}
	})
	for _, f := range all {
		s.provider.provide(f.tenant, f.name)
	}
	return nil
}

// rein holds budgets against what is provisioned.
func (s *server) rein() {
	var all []*millicent.Function
	s.store.EachFunction(func(f *millicent.Function) { all = append(all, f) })
	s.provider.rein(all, s.budgets.Exhausted)
}

func (s *server) newInvoker(context.Context) error {
	s.metrics = telemetry.NewMetrics(func() telemetry.Load { return telemetry.Load(s.scheduler.Snapshot()) })
	s.metrics.CountProvisioned(func() telemetry.Provisioned { return telemetry.Provisioned(s.scheduler.Provisioned()) })
	s.metrics.CountStock(func() telemetry.Stock { return telemetry.Stock(s.launcher.Stock()) })
	s.metrics.CountWaits(func() telemetry.Waits { return telemetry.Waits(s.scheduler.Waits()) })
	if s.ledger != nil {
		s.metrics.CountUsage(s.usageTotals)
	}
	s.metrics.CountReclaims(func() telemetry.Reclaims { return telemetry.Reclaims(s.scheduler.Reclaims()) })
	if s.meter != nil {
		s.metrics.Also(s.meter)
	}
	s.invoker = invoke.New(invoke.Config{
		Store: s.store, Scheduler: s.scheduler, Region: s.cfg.Region,
		Meter: s.metering(), Book: s.book, Budget: s.budgets,
		Observer: &failures{next: observers{s.metrics, &s.recent, &s.rates}, log: s.log, now: time.Now, told: map[failing]*telling{}},
	})
	s.built.push("the last events", s.endEvents)
	s.built.push("invoker", s.invoker.Close)
	return nil
}

// allow returns a function's egress allow-list.
func (s *server) allow(v *millicent.Version) []string {
	f, err := s.store.Function(v.Tenant, v.Function)
	if err != nil {
		return nil // deleted meanwhile: it will not run
	}
	return f.Egress
}

func (s *server) credentials(v *millicent.Version) (id, secret, token string) {
	c := s.keys.For(v.Tenant, v.Function)
	return c.ID, c.Secret, c.Token
}

// announce says that the server is ready, and what it cannot do here.
func (s *server) announce() {
	for _, l := range s.host.Limitations() {
		s.log.Warn("limitation", "detail", l)
	}
	s.log.Info("runtimes", "installed", installed(s.runtimes.List()))
	addr := s.listeners.address()
	s.log.Info("ready", "address", addr, "data", s.cfg.Data, "region", s.cfg.Region, "account", s.cfg.Account,
		"auth", s.cfg.Auth, "egress", s.cfg.Egress, "functions", len(s.store.Functions(s.cfg.Account)),
		"took", time.Since(s.begin).Round(time.Millisecond/10))
	if s.cfg.Ready != nil {
		s.cfg.Ready(addr)
	}
}
