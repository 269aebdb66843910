package scheduler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// A fakeLauncher launches environments that do nothing, and watches that
// there are never more of them than allowed.
type fakeLauncher struct {
	launchTime time.Duration
	cores      int // launches beyond these slow one another; 0: any number
	closeTime  time.Duration
	fail       func(v *millicent.Version) error // nil: never
	stubborn   bool                             // Launch ignores its context
	failAhead  func(v *millicent.Version) error // instead of fail, for what is provisioned

	launchOf   func(v *millicent.Version) time.Duration // instead of launchTime; nil: that
	light      bool                                     // environments say so, and those after the first take a hundredth of launchTime
	freezeTime time.Duration
	freeze     func(e *fakeEnv) (bool, error) // nil: always

	mu        sync.Mutex
	ahead     int // of launches, the provisioned ones
	freezes   int
	givenBack []int // by serial
	launches  int
	launching int
	maxAtOnce int               // launches
	live      map[*fakeEnv]bool // launching ones too
	memory    int
	maxLive   int
	maxMemory int
}

func (l *fakeLauncher) Launch(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	e := &fakeEnv{launcher: l, version: v, start: millicent.StartFrom(ctx), closed: make(chan struct{})}
	l.mu.Lock()
	l.launches++
	e.serial = l.launches
	if l.live == nil {
		l.live = make(map[*fakeEnv]bool)
	}
	l.live[e] = true
	l.memory += v.MemoryMB
	l.maxLive = max(l.maxLive, len(l.live))
	l.maxMemory = max(l.maxMemory, l.memory)
	l.launching++
	l.maxAtOnce = max(l.maxAtOnce, l.launching)
	took := l.launchTime
	if l.launchOf != nil {
		took = l.launchOf(v)
	}
	if l.light && len(l.live) > 1 {
		took /= 100
	}
	if l.cores > 0 {
		took = took * time.Duration(max(l.launching, l.cores)) / time.Duration(l.cores)
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.launching--
	}()

	if l.stubborn {
		ctx = context.WithoutCancel(ctx)
	}
	err := pause(ctx, took)
	if err == nil && l.fail != nil {
		err = l.fail(v)
	}
	if err != nil {
		l.remove(e)
		return nil, err
	}
	return e, nil
}

func (l *fakeLauncher) Provision(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	l.mu.Lock()
	l.ahead++
	l.mu.Unlock()
	env, err := l.Launch(ctx, v)
	if err != nil {
		return nil, err
	}
	if l.failAhead != nil {
		if err = l.failAhead(v); err != nil {
			l.remove(env.(*fakeEnv))
			return nil, err
		}
	}
	env.(*fakeEnv).provisioned = true
	return env, nil
}

func (l *fakeLauncher) remove(e *fakeEnv) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, e)
	l.memory -= e.version.MemoryMB
}

func (l *fakeLauncher) counts() (launches, live int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.launches, len(l.live)
}

type fakeEnv struct {
	start    millicent.StartRecord // as the launcher was told
	launcher *fakeLauncher
	version  *millicent.Version
	serial   int

	ended       atomic.Bool // its runtime has
	provisioned bool

	once   sync.Once
	closed chan struct{}
}

func (e *fakeEnv) Initialised() bool { return !e.ended.Load() }

func (e *fakeEnv) Light() bool { return e.launcher.light }

func (e *fakeEnv) Invoke(ctx context.Context, _ *millicent.Invocation) (*millicent.Result, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-e.closed:
		return nil, errors.New("closed")
	}
}

func (e *fakeEnv) Close() error {
	e.once.Do(func() {
		close(e.closed)
		_ = pause(context.Background(), e.launcher.closeTime) // never ends early
		e.launcher.remove(e)
	})
	return nil
}

// Freeze and GiveBack make it a millicent.Freezer.
func (e *fakeEnv) Freeze(ctx context.Context) (bool, error) {
	l := e.launcher
	l.mu.Lock()
	l.freezes++
	l.mu.Unlock()
	if err := pause(ctx, l.freezeTime); err != nil {
		return false, err
	}
	if l.freeze == nil {
		return true, nil
	}
	return l.freeze(e)
}

func (e *fakeEnv) GiveBack() (int64, error) {
	l := e.launcher
	l.mu.Lock()
	defer l.mu.Unlock()
	l.givenBack = append(l.givenBack, e.serial)
	return 1000, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func fakeVersion(function string, memoryMB int) *millicent.Version {
	return &millicent.Version{
		Tenant: "000000000000", Function: function, Number: millicent.Latest, Revision: "r1", MemoryMB: memoryMB,
	}
}

// start returns a Scheduler upon l, closed at the end of the test with a check
// that nothing is left. What cfg leaves open is that of a machine with two
// cores and enough memory, whatever the tests run on.
func start(t testing.TB, l *fakeLauncher, cfg Config) *Scheduler {
	t.Helper()
	cfg.Launcher = func(string) (millicent.Launcher, error) { return l, nil }
	if cfg.MaxLaunches == 0 {
		cfg.MaxLaunches = 4
	}
	if cfg.Memory == nil {
		cfg.Memory = func() Memory { return Memory{Total: 64 << 30, Available: 60 << 30} }
	}
	s := New(cfg)
	s.mu.Lock()
	s.cores = 2
	s.mu.Unlock()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		checkEmpty(t, s, l)
	})
	return s
}

// checkEmpty checks that a closed Scheduler, whose leases are all released,
// has kept nothing.
func checkEmpty(t testing.TB, s *Scheduler, l *fakeLauncher) {
	t.Helper()
	if load := s.Snapshot(); load != (Load{}) {
		t.Errorf("after Close: %+v", load)
	}
	if len(s.provisions.wants) != 0 || s.provisions.held != (room{}) || len(s.provisions.launches) != 0 {
		t.Errorf("after Close %d wants, %v held", len(s.provisions.wants), s.provisions.held)
	}
	if len(s.functions) != 0 || len(s.tenants) != 0 || len(s.all) != 0 ||
		s.idle.oldest != nil || s.closing != (room{}) || s.used != (room{}) {
		t.Errorf("after Close %d functions, %d tenants, %d environments are in the books",
			len(s.functions), len(s.tenants), len(s.all))
	}
	if _, live := l.counts(); live != 0 {
		t.Errorf("%d environments are still open", live)
	}
}

func acquire(t *testing.T, s *Scheduler, v *millicent.Version) *Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), v, nil)
	if err != nil {
		t.Fatalf("acquire %s: %v", v.Function, err)
	}
	return l
}

// later is an Acquire in the background.
type later struct {
	lease *Lease
	err   error
	took  time.Duration
	done  chan struct{}
}

func acquireLater(ctx context.Context, s *Scheduler, v *millicent.Version) *later {
	a := &later{done: make(chan struct{})}
	begin := time.Now()
	go func() {
		defer close(a.done)
		a.lease, a.err = s.Acquire(ctx, v, nil)
		a.took = time.Since(begin)
	}()
	return a
}

func (a *later) isDone() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func serial(l *Lease) int { return l.Environment.(*fakeEnv).serial }

func wantThrottle(t *testing.T, err error, reason string) {
	t.Helper()
	var e *millicent.Error
	if !errors.As(err, &e) || e.Code != millicent.CodeThrottled || e.Detail["Reason"] != reason {
		t.Errorf("got error %v, want a throttle with reason %s", err, reason)
	}
}
