package scheduler

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// Config bounds what a Scheduler may use. Zero values take the defaults.
type Config struct {
	// Launcher returns the launcher for a runtime; an *Error when none serves it.
	Launcher func(runtime string) (millicent.Launcher, error)

	MaxEnvironments int // on this node; default 500
	MaxMemoryMB     int // sum of the environments' configured memory; default: the machine's
	Concurrency     int // invocations at a time for a tenant; default 1000

	// Reserved returns the sum of a tenant's reserved concurrency, which is
	// taken out of Concurrency for the functions that have none reserved. It
	// is asked at every Acquire and must answer from memory; default: 0.
	Reserved func(tenant string) int

	KeepAlive time.Duration // how long an idle environment is kept; default 10 minutes
	QueueWait time.Duration // how long an invocation waits for room; default 5 s, negative: not at all
	Log       *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxEnvironments == 0 {
		cfg.MaxEnvironments = 500
	}
	if cfg.MaxMemoryMB == 0 {
		cfg.MaxMemoryMB = machineMemoryMB()
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 1000
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

	life    context.Context // of the launches and the reaper; ends with Close
	endLife context.CancelFunc
	reaped  chan struct{} // closed when the reaper has ended
	drained chan struct{} // closed when no environment is left after Close

	mu        sync.Mutex
	drainOnce sync.Once
	closed    bool // no new leases
	broken    bool // nothing is waited for any more
	all       map[*environment]struct{}
	idle      idleList
	queue     *list.List // of *request
	functions map[functionKey]*function
	tenants   map[string]*tenant
	used      room // by all environments
	closing   room // of used: by those that are closing
	count     [states]int
}

// New returns a Scheduler. Close it.
func New(cfg Config) *Scheduler {
	cfg = cfg.withDefaults()
	s := &Scheduler{
		cfg:       cfg,
		limit:     room{cfg.MaxEnvironments, cfg.MaxMemoryMB},
		reaped:    make(chan struct{}),
		drained:   make(chan struct{}),
		all:       make(map[*environment]struct{}),
		queue:     list.New(),
		functions: make(map[functionKey]*function),
		tenants:   make(map[string]*tenant),
	}
	s.life, s.endLife = context.WithCancel(context.Background())
	go s.reap()
	return s
}

// Acquire returns an idle environment of v, the most recently used one first,
// or launches one, or waits a bounded time for room on the machine. reserved
// is the function's reserved concurrency, nil when it has none: beyond it the
// answer is an immediate throttle, as it is beyond the tenant's concurrency.
//
// Errors have CodeThrottled; CodeInvalid when v needs more memory than the
// machine may use; CodeServerUnavailable after Close; what the launcher
// returned; or they are the cause of ctx's end.
func (s *Scheduler) Acquire(ctx context.Context, v *millicent.Version, reserved *int) (*Lease, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if v.MemoryMB > s.limit.memoryMB {
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
	return s.wait(ctx, q, max(s.cfg.QueueWait, 0))
}

// admit gives v a slot and the idle environment that there is, else a place
// in the queue, from which it may have been served already.
func (s *Scheduler) admit(v *millicent.Version, reserved *int, pool int) (*Lease, *request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errStopping()
	}
	f := s.functionOf(v)
	if reason := refusal(f.active, reserved, f.tenant.unreserved, pool); reason != "" {
		s.forget(f)
		return nil, nil, millicent.Throttled(reason)
	}
	sl := s.takeSlot(f, reserved == nil)
	if ver := f.find(v); ver != nil && len(ver.idle) > 0 {
		return s.lease(ver.newest(), sl, false), nil, nil
	}
	q := s.enqueue(v, f.versionOf(v), sl)
	s.serve()
	return nil, q, nil
}

// A Lease is the use of one environment for one invocation.
type Lease struct {
	Environment millicent.Environment
	Cold        bool // the environment was started for this lease

	s        *Scheduler
	e        *environment
	slot     slot
	released bool
}

// lease makes e busy. The lock is held.
func (s *Scheduler) lease(e *environment, sl slot, cold bool) *Lease {
	s.enter(e, busy)
	return &Lease{Environment: e.Environment, Cold: cold, s: s, e: e, slot: sl}
}

// Release returns the environment for reuse; broken says that it cannot serve
// again and is closed instead. It never blocks, and only the first call
// counts.
func (l *Lease) Release(broken bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.release(l, broken)
}

func (s *Scheduler) release(l *Lease, broken bool) {
	if l.released {
		return
	}
	l.released = true
	s.freeSlot(l.slot)
	switch {
	case l.e.state != busy: // Close took it away
	case broken:
		s.close(l.e)
	default:
		s.rest(l.e)
	}
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
			s.close(e)
		}
	}
}

// A Load is what the environments of this node use at a moment.
type Load struct {
	Launching, Idle, Busy, Closing int // environments by state

	MemoryMB int // configured memory of all of these
	Waiting  int // invocations that wait for room
}

// Snapshot returns the load now, for metrics.
func (s *Scheduler) Snapshot() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Load{
		Launching: s.count[launching],
		Idle:      s.count[idle],
		Busy:      s.count[busy],
		Closing:   s.count[closing],
		MemoryMB:  s.used.memoryMB,
		Waiting:   s.queue.Len(),
	}
}

// Close refuses new leases and those that wait for room, waits for the
// running ones until ctx ends, and closes all environments. The error says
// how many invocations were cut off. It is idempotent.
func (s *Scheduler) Close(ctx context.Context) error {
	s.drain()
	var err error
	select {
	case <-s.drained:
	case <-ctx.Done():
		if n := s.breakOff(); n > 0 {
			err = fmt.Errorf("%d environments were in use at the end: %w", n, ctx.Err())
		}
		<-s.drained
	}
	s.endLife()
	<-s.reaped
	return err
}

// drain refuses all that is to come and closes what is idle.
func (s *Scheduler) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.queue.Len() > 0 {
		s.fail(s.queue.Front().Value.(*request), errStopping())
	}
	for s.idle.oldest != nil {
		s.close(s.idle.oldest)
	}
	if len(s.all) == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}

// breakOff ends all that still runs and returns how many environments that
// concerns.
func (s *Scheduler) breakOff() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	n := s.count[busy] + s.count[launching]
	for e := range s.all {
		if e.state == busy {
			s.close(e)
		}
	}
	s.endLife() // ends the launches
	return n
}

func errStopping() error {
	return millicent.Errorf(millicent.CodeServerUnavailable, "The server is stopping.")
}
