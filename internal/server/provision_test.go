package server

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// provisioning is a store with one function, f, and a scheduler that has what
// available says.
type provisioning struct {
	mu        sync.Mutex
	function  *millicent.Function // nil when it is deleted
	pending   map[string]bool     // versions that are being activated
	failures  int                 // of Update, to come
	provided  map[string]millicent.Provision
	available map[string]int
}

func (p *provisioning) Function(string, string) (*millicent.Function, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.function == nil {
		return nil, millicent.Errorf(millicent.CodeNotFound, "gone")
	}
	return p.function, nil
}

func (p *provisioning) Version(_, _, number string) (*millicent.Version, error) {
	v := version(number, "r")
	v.State = millicent.StateActive
	if p.pending[number] {
		v.State = millicent.StatePending
	}
	return v, nil
}

func (p *provisioning) Update(_ context.Context, _, _ string, change func(*millicent.Function) error) (*millicent.Function, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 {
		p.failures--
		return nil, errors.New("not now")
	}
	next := p.function.Clone()
	err := change(next)
	p.function = next
	return next, err
}

func (p *provisioning) Provision(_, _ string, all []scheduler.Provision) {
	p.provided = map[string]millicent.Provision{}
	for _, want := range all {
		p.provided[want.Version.Number] = want.Provision
	}
}

func (p *provisioning) Allocation(v *millicent.Version) millicent.Allocation {
	return millicent.Allocation{Available: p.available[v.Number]}
}

// moving is a function whose alias is on its way from version 1 to 2.
func moving() *millicent.Function {
	a := &millicent.Alias{Name: "live", Version: "1"}
	a.MoveTo("2")
	return &millicent.Function{
		Tenant: "t", Name: "f", Draft: version("$LATEST", "r"), Aliases: map[string]*millicent.Alias{"live": a},
		Provisioned: map[string]*millicent.Provisioned{"live": {Concurrency: 3}},
	}
}

func TestProviderTellsWhatIsProvisioned(t *testing.T) {
	f := moving()
	fake := &provisioning{function: f, pending: map[string]bool{"2": true}}
	p := newProvider(fake, slog.New(slog.DiscardHandler))
	p.scheduler = fake
	old := millicent.Provision{Environments: 3, Leaving: true}
	for name, step := range map[string]struct {
		function *millicent.Function
		pending  bool
		want     map[string]millicent.Provision
	}{
		"version 2 is being activated": {f, true, map[string]millicent.Provision{"1": old}},
		"both are active":              {f, false, map[string]millicent.Provision{"1": old, "2": {Environments: 3}}},
		"it is gone":                   {nil, false, map[string]millicent.Provision{}},
	} {
		fake.function, fake.pending["2"] = step.function, step.pending
		p.changed(f, step.function)
		if diff := cmp.Diff(step.want, fake.provided); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	fake.provided = nil
	none := &millicent.Function{Tenant: "t", Name: "f"}
	p.changed(nil, none)
	p.changed(none, none)
	if fake.provided != nil {
		t.Error("the scheduler is bothered about a function with nothing provisioned")
	}
}

// What is provisioned for a function whose budget is spent is let go, and comes
// back when it is not any more.
func TestProviderHoldsBudgets(t *testing.T) {
	f := moving()
	fake := &provisioning{function: f}
	p := newProvider(fake, slog.New(slog.DiscardHandler))
	p.scheduler = fake
	p.provide("t", "f")
	none := &millicent.Function{Tenant: "t", Name: "none"}
	for _, step := range []struct {
		spent, told bool
		want        int
	}{{false, false, 2}, {true, true, 0}, {true, false, 0}, {false, true, 2}, {false, false, 2}} {
		if fake.provided = nil; !step.told {
			fake.provided = map[string]millicent.Provision{"1": {}, "2": {}}
			if step.want == 0 {
				fake.provided = nil
			}
		}
		p.rein([]*millicent.Function{f, none}, func(f *millicent.Function) bool {
			if f == none {
				t.Error("asked about a function with nothing provisioned")
			}
			return step.spent
		})
		if len(fake.provided) != step.want {
			t.Errorf("%+v: provided %v", step, fake.provided)
		}
		p.changed(f, f)
		if len(fake.provided) != step.want {
			t.Errorf("%+v, after a change: provided %v", step, fake.provided)
		}
	}
}

func TestProviderEndsMoves(t *testing.T) {
	for name, c := range map[string]struct {
		available map[string]int
		failures  int
		arrives   bool
	}{
		"all are there":         {map[string]int{"1": 3, "2": 3}, 0, true},
		"one is missing":        {map[string]int{"1": 3, "2": 2}, 0, false},
		"the store fails twice": {map[string]int{"2": 3}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := &provisioning{function: moving(), available: c.available, failures: c.failures}
				p := newProvider(fake, slog.New(slog.DiscardHandler))
				p.scheduler = fake
				ctx, cancel := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { p.run(ctx) })
				p.fulfilled("t", "f")
				time.Sleep(time.Duration(c.failures) * moveAgain)
				synctest.Wait()
				f, _ := fake.Function("t", "f")
				want := map[string]float64{"1": 1}
				if c.arrives {
					want = nil
				}
				if a := f.Aliases["live"]; !maps.Equal(a.Weights, want) || a.Moving == c.arrives || a.Version != "2" {
					t.Errorf("got %+v", a)
				}
				cancel()
				run.Wait()
			})
		})
	}
}
