package invoke

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

const tenant = "000000000000"

// fakeStore holds functions whose draft is all there is, unless an alias says
// otherwise.
type fakeStore struct {
	mu        sync.Mutex
	functions map[string]*millicent.Function
}

func newStore(names ...string) *fakeStore {
	s := &fakeStore{functions: make(map[string]*millicent.Function)}
	for _, name := range names {
		s.functions[name] = &millicent.Function{Tenant: tenant, Name: name, Draft: &millicent.Version{
			Tenant: tenant, Function: name, Number: millicent.Latest, MemoryMB: 128, State: millicent.StateActive,
		}}
	}
	return s
}

func (s *fakeStore) change(name string, f func(*millicent.Function)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.functions[name].Clone()
	f(c)
	s.functions[name] = c
}

func (s *fakeStore) Function(_, name string) (*millicent.Function, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.functions[name]; f != nil {
		return f, nil
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s", name)
}

func (s *fakeStore) Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error) {
	f, err := s.Function(tenant, name)
	if err != nil {
		return nil, err
	}
	number := qualifier
	if a := f.Aliases[qualifier]; a != nil {
		number = a.Pick(draw)
	}
	v := f.Draft.Clone()
	switch {
	case number == "" || number == millicent.Latest:
	case millicent.IsNumber(number):
		v.Number = number
	default:
		return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s:%s", name, qualifier)
	}
	return v, nil
}

// fakeLauncher launches environments that do what serve says.
type fakeLauncher struct {
	serve func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)

	mu       sync.Mutex
	launched int
	live     int
}

func (l *fakeLauncher) Launch(context.Context, *millicent.Version) (millicent.Environment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.launched++
	l.live++
	return &fakeEnv{l: l}, nil
}

func (l *fakeLauncher) counts() (launched, live int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.launched, l.live
}

type fakeEnv struct {
	l    *fakeLauncher
	once sync.Once
}

func (e *fakeEnv) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	return e.l.serve(ctx, inv)
}

func (e *fakeEnv) Close() error {
	e.once.Do(func() {
		e.l.mu.Lock()
		defer e.l.mu.Unlock()
		e.l.live--
	})
	return nil
}

func echo(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	return &millicent.Result{Payload: inv.Event}, nil
}

// fakeObserver writes down what it sees.
type fakeObserver struct {
	mu   sync.Mutex
	seen []string
}

func (o *fakeObserver) Invoked(inv *millicent.Invocation, res *millicent.Result, err error) {
	line := inv.Function + " " + millicent.ErrorCode(err)
	if res != nil {
		line = inv.Function + " " + res.Version
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, line)
}

// refused counts what was refused with a code.
func (o *fakeObserver) refused(code string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.seen {
		if strings.HasSuffix(line, " "+code) {
			n++
		}
	}
	return n
}

// world is an Invoker upon the real scheduler and a fake launcher and store.
type world struct {
	*Invoker
	store    *fakeStore
	launcher *fakeLauncher
	observer *fakeObserver
}

func newWorld(t testing.TB, cfg Config, sched scheduler.Config, functions ...string) *world {
	t.Helper()
	w := &world{store: newStore(functions...), launcher: &fakeLauncher{serve: echo}, observer: &fakeObserver{}}
	sched.Launcher = func(string) (millicent.Launcher, error) { return w.launcher, nil }
	if sched.MaxMemoryMB == 0 {
		sched.MaxMemoryMB = 1 << 20
	}
	s := scheduler.New(sched)
	cfg.Store, cfg.Scheduler, cfg.Region, cfg.Observer = w.store, s, "us-east-1", w.observer
	ids := 0
	var mu sync.Mutex
	cfg.NewID = func() string {
		mu.Lock()
		defer mu.Unlock()
		ids++
		return "id-" + strconv.Itoa(ids)
	}
	w.Invoker = New(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(w.Close(ctx), s.Close(ctx)); err != nil {
			t.Error(err)
		}
		if load := s.Snapshot(); load != (scheduler.Load{}) {
			t.Errorf("environments are left: %+v", load)
		}
		if _, live := w.launcher.counts(); live != 0 {
			t.Errorf("%d environments are open", live)
		}
	})
	return w
}

func call(function, event string) *millicent.Invocation {
	return &millicent.Invocation{Tenant: tenant, Function: function, Event: []byte(event)}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := millicent.ErrorCode(err); got != code {
		t.Errorf("got code %q (%v), want %q", got, err, code)
	}
}

func wantMessage(t *testing.T, err error, message string) {
	t.Helper()
	var e *millicent.Error
	if !errors.As(err, &e) || e.Message != message {
		t.Errorf("got %v, want the message %q", err, message)
	}
}

var errDead = fmt.Errorf("the launcher says: %w", millicent.Errorf(millicent.CodeEnvironmentDead, "gone"))
