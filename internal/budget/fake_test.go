package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/scheduler"
)

const account1 = "000000000000"

// Prices of the tests: a request, and a millisecond of a MB.
const (
	perRequest millicent.Money = 200_000
	perMBms    millicent.Money = 16
)

func most(v *millicent.Version) millicent.Money {
	return perRequest + perMBms*millicent.Money(v.MemoryMB)*millicent.Money(v.Timeout.Milliseconds())
}

func price(rec *millicent.UsageRecord) millicent.Money {
	if rec.Kind != millicent.UsageInvocation {
		return millicent.Money(rec.Quantity)
	}
	return perRequest + perMBms*millicent.Money(rec.MemoryMB)*millicent.Money(rec.Billed.Milliseconds()) + egressPrice(rec.Egress)
}

// egressPrice is a unit for each byte.
func egressPrice(bytes int64) millicent.Money { return millicent.Money(bytes) }

// world is a Gate before a real Invoker and scheduler, with functions that
// take as long as an event says, and a count of its own of what they cost.
type world struct {
	*invoke.Invoker
	gate  *Gate
	sends bool // functions send out as much as somebody pays for

	mu        sync.Mutex
	functions map[string]*millicent.Function
	news      []News
	cost      map[string]millicent.Money // by function, since the world began
	runs      int
}

func newWorld(t *testing.T) *world {
	w := &world{functions: map[string]*millicent.Function{}, cost: map[string]millicent.Money{}}
	w.gate = NewGate(GateConfig{Most: most, Price: price, Egress: egressPrice, Currency: func() string { return "EUR" }, Now: time.Now, News: func(n News) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.news = append(w.news, n)
	}})
	s := scheduler.New(scheduler.Config{
		Launcher:    func(string) (millicent.Launcher, error) { return w, nil },
		MaxMemoryMB: 1 << 24, MaxEnvironments: 4096, Concurrency: 4096,
	})
	w.Invoker = invoke.New(invoke.Config{Store: w, Scheduler: s, Region: "us-east-1", Budget: w.gate})
	t.Cleanup(func() {
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// function makes a function.
func (w *world) function(name string, memoryMB int, timeout time.Duration) *millicent.Function {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &millicent.Function{Tenant: account1, Name: name, Draft: &millicent.Version{
		Tenant: account1, Function: name, Number: millicent.Latest, MemoryMB: memoryMB, Timeout: timeout, State: millicent.StateActive,
	}}
	w.functions[name] = f
	return f
}

// set has a budget hold that knows all.
func (w *world) set(b millicent.Budget) {
	if b.Tenant == "" {
		b.Tenant = account1
	}
	from, known := w.gate.put(&b, counting)
	if !known {
		w.gate.open(&b, from, 0, 0, 0)
	}
}

// call runs a function for as long as it says, and returns the cost.
func (w *world) call(name string, takes time.Duration) (millicent.Money, error) {
	return w.invoke(&millicent.Invocation{Tenant: account1, Function: name, Event: fmt.Append(nil, int64(takes))})
}

func (w *world) invoke(inv *millicent.Invocation) (millicent.Money, error) {
	res, err := w.Invoke(context.Background(), inv)
	if err != nil {
		return 0, err
	}
	return costOf(res), nil
}

func costOf(res *millicent.Result) millicent.Money {
	return perRequest + perMBms*millicent.Money(res.Usage.MemoryMB)*millicent.Money(res.Usage.Billed().Milliseconds()) + egressPrice(res.Usage.Egress)
}

func (w *world) status(t *testing.T) millicent.BudgetStatus {
	t.Helper()
	all := w.gate.Statuses(account1)
	if len(all) != 1 {
		t.Fatalf("got %d budgets, want 1", len(all))
	}
	return all[0]
}

func (w *world) Function(_, name string) (*millicent.Function, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.functions[name]; f != nil {
		return f, nil
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "Function not found: %s", name)
}

func (w *world) Resolve(tenant, name, _ string, _ float64) (*millicent.Version, error) {
	f, err := w.Function(tenant, name)
	if err != nil {
		return nil, err
	}
	return f.Draft, nil
}

// Launch implements millicent.Launcher.
func (w *world) Launch(_ context.Context, v *millicent.Version) (millicent.Environment, error) {
	return &environment{w, v}, nil
}

type environment struct {
	w *world
	v *millicent.Version
}

// Invoke sleeps as long as the event says, up to the timeout.
func (e *environment) Invoke(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	var takes int64
	_, _ = fmt.Sscan(string(inv.Event), &takes) // none is none
	d := min(time.Duration(takes), e.v.Timeout)
	res := &millicent.Result{Payload: []byte("1"), Usage: millicent.Usage{Start: time.Now(), Duration: d, MemoryMB: e.v.MemoryMB}}
	parts := time.Duration(1)
	if e.w.sends {
		parts = 3
	}
	for range parts { // all the time it sends, as much as somebody pays for
		time.Sleep(d / parts)
		if n := int64(d / time.Microsecond); e.w.sends && n > 0 && inv.Pay(n) {
			res.Usage.Egress += n
		}
	}
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.cost[inv.Function] += costOf(res)
	e.w.runs++
	return res, nil
}

func (e *environment) Close() error { return nil }

func wantRefusal(t *testing.T, err error, budget string) *millicent.Error {
	t.Helper()
	var e *millicent.Error
	var cause *millicent.BudgetRefusal
	if !errors.As(err, &e) || e.Code != millicent.CodeThrottled || !errors.As(err, &cause) || cause.Budget != budget {
		t.Fatalf("got %v, want a refusal by %s", err, budget)
	}
	return e
}
