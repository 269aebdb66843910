package scheduler

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// Config bounds what a Scheduler may use. Zero values take the defaults.
type Config struct {
	// Launcher returns the launcher for a runtime; an *Error when none serves it.
	Launcher func(runtime string) (millicent.Launcher, error)

	MaxEnvironments int // on this node; default 500
	MaxLaunches     int // in progress at a time, not counting the slow; default twice the processors
	MaxMemoryMB     int // sum of the environments' configured memory; default: the machine's but for 512 MB or a tenth
	Concurrency     int // invocations at a time for a tenant; default 1000

	// Reserved returns the sum of a tenant's reserved concurrency, which is
	// taken out of Concurrency for the functions that have none reserved. It
	// is asked at every Acquire and must answer from memory; default: 0.
	Reserved func(tenant string) int

	// Size returns how much of MaxMemoryMB an environment of a version takes,
	// in MB. It is asked when one is about to start, must answer from memory,
	// and not call the Scheduler; default: the configured memory.
	Size func(v *millicent.Version) int

	Memory func() Memory // of the machine, now; must not block; default: nothing is known

	// Provisioned is told of a function when a version of it has got all its
	// provisioned environments. It must neither block nor call the Scheduler;
	// default: nobody is told.
	Provisioned func(tenant, function string)

	KeepAlive time.Duration // how long an idle environment is kept; default 10 minutes
	QueueWait time.Duration // how long an invocation waits for room; default 5 s, negative: not at all
	Log       *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxEnvironments == 0 {
		cfg.MaxEnvironments = 500
	}
	if cfg.MaxLaunches <= 0 {
		cfg.MaxLaunches = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.Memory == nil {
		cfg.Memory = func() Memory { return Memory{} }
	}
	if cfg.MaxMemoryMB == 0 {
		cfg.MaxMemoryMB = cfg.Memory().forEnvironments()
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 1000
	}
	if cfg.Size == nil {
		cfg.Size = func(v *millicent.Version) int { return v.MemoryMB }
	}
	if cfg.Reserved == nil {
		cfg.Reserved = func(string) int { return 0 }
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 10 * time.Minute
	}
	if cfg.QueueWait == 0 {
		cfg.QueueWait = 5 * time.Second
	}
	cfg.QueueWait = max(cfg.QueueWait, 0)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Scheduler places invocations into environments. It is safe for concurrent
// use.
type Scheduler struct {
	cfg   Config
	limit room
	cores int

	life    context.Context // of the launches and of watch; ends with Close
	endLife context.CancelFunc
	watched chan struct{} // closed when watch has ended
	rested  chan struct{} // closed when keepRest has ended
	drained chan struct{} // closed when no environment is left after Close

	mu        sync.Mutex
	drainOnce sync.Once
	closed    bool // no new leases
	broken    bool // nothing is waited for any more

	functions map[functionKey]*function
	tenants   map[string]*tenant
	history   *history
	starts    starts

	all      map[*environment]struct{}
	launches []*environment // in progress, the oldest first
	idle     idleList
	rests    rests
	used     room // by all environments
	closing  room // of used: by those that are closing
	count    [states]int

	lines   []*version // with requests that wait
	waiting int        // requests
	serial  uint64     // of the latest request
	hungry  *version   // the first that waits for room, as plan found last
	alarm   *time.Timer
	scratch []candidate

	provisions provisions
}

// New returns a Scheduler. Close it.
func New(cfg Config) *Scheduler {
	cfg = cfg.withDefaults()
	s := &Scheduler{
		cfg:       cfg,
		limit:     room{cfg.MaxEnvironments, cfg.MaxMemoryMB},
		cores:     runtime.GOMAXPROCS(0),
		watched:   make(chan struct{}),
		rested:    make(chan struct{}),
		rests:     rests{wake: make(chan struct{}, 1)},
		drained:   make(chan struct{}),
		functions: make(map[functionKey]*function),
		tenants:   make(map[string]*tenant),
		history:   newHistory(),
		starts:    starts{runtimes: make(map[string]*average)},
		all:       make(map[*environment]struct{}),
		alarm:     time.NewTimer(cfg.KeepAlive),
	}
	s.alarm.Stop() // until plan says when
	s.life, s.endLife = context.WithCancel(context.Background())
	s.provisions = newProvisions(s.life)
	go s.watch()
	go s.keepRest()
	return s
}

// Acquire returns an idle environment of v, the most recently used one first,
// or else the next that is free: one that is released, or one that is launched
// where that is sooner and there is room. It waits a bounded time for room on
// the machine. reserved is the function's reserved concurrency, nil when it
// has none: beyond it the answer is an immediate throttle, as it is beyond the
// tenant's concurrency.
//
// Errors have CodeThrottled; CodeInvalid when v needs more memory than the
// machine may use; CodeServerUnavailable after Close; what the launcher
// returned; or they are the cause of ctx's end.
func (s *Scheduler) Acquire(ctx context.Context, v *millicent.Version, reserved *int) (*Lease, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s.cfg.Size(v) > s.limit.memoryMB {
		return nil, millicent.Errorf(millicent.CodeInvalid,
			"The function is configured with %d MB of memory, but this server runs functions in %d MB altogether.",
			v.MemoryMB, s.limit.memoryMB)
	}
	pool := s.cfg.Concurrency
	if reserved == nil {
		pool -= s.cfg.Reserved(v.Tenant)
	}
	lease, q, err := s.admit(v, reserved, pool)
	if q == nil {
		return lease, err
	}
	return s.wait(ctx, q)
}

// admit gives v a slot and the idle environment that there is, else a place
// in the line of its version.
func (s *Scheduler) admit(v *millicent.Version, reserved *int, pool int) (*Lease, *request, error) {
	now := time.Now() // not while others wait for the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errStopping()
	}
	f := s.functionOf(v)
	covered := reserved == nil && f.provides(v)
	if reason := refusal(f.active, reserved, f.tenant.unreserved, pool); reason != "" && !covered {
		s.forget(f)
		return nil, nil, millicent.Throttled(reason)
	}
	sl := s.takeSlot(f, reserved == nil && !covered)
	if ver := f.find(v); ver != nil && len(ver.idle) > 0 {
		return s.lease(ver.idle[len(ver.idle)-1], sl, false, now), nil, nil
	}
	q := s.enqueue(v, s.versionOf(f, v), sl, now)
	s.plan()
	return nil, q, nil
}

// Retire closes the idle environments of a function whose version keep
// reports false for; busy and launching ones are closed when released. A nil
// keep keeps none. keep must neither block nor call the Scheduler.
func (s *Scheduler) Retire(tenant, function string, keep func(*millicent.Version) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := functionKey{tenant, function}
	for e := range s.all {
		if e.of.function.key != key || keep != nil && keep(e.spec) {
			continue
		}
		e.retired = true
		if e.state == idle {
			s.close(e, millicent.StartUpdated)
		} else {
			s.disown(e)
		}
	}
}

// A Load is what the environments of this node use at a moment.
type Load struct {
	Launching, Idle, Busy, Closing int // environments by state
	Frozen                         int // of the idle ones

	MemoryMB int // that all of these take; see Config.Size
	Waiting  int // invocations that wait for an environment
}

// Snapshot returns the load now, for metrics.
func (s *Scheduler) Snapshot() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Load{
		Launching: s.count[launching] + s.count[provisioning],
		Idle:      s.count[idle],
		Frozen:    s.rests.count,
		Busy:      s.count[busy],
		Closing:   s.count[closing],
		MemoryMB:  s.used.memoryMB,
		Waiting:   s.waiting,
	}
}

// Waits is how many invocations wait for an environment, by what they wait
// for.
type Waits struct {
	Launch int // that is in progress
	Lease  int // to end, which will be sooner than a launch
	Slot   int // for a launch, of which enough are in progress
	Room   int // on this machine
}

// Waits returns who waits now, for metrics.
func (s *Scheduler) Waits() (w Waits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ver := range s.lines {
		covered := min(ver.line.length, ver.count[launching])
		w.Launch += covered
		switch rest := ver.line.length - covered; ver.why {
		case forSlot:
			w.Slot += rest
		case forRoom, forClosing:
			w.Room += rest
		default:
			w.Lease += rest
		}
	}
	return w
}
