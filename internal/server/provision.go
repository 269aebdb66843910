package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// moveAgain is the pause before an alias that could not be moved is moved
// again.
const moveAgain = time.Second

// A provider has the scheduler provide what functions have provisioned, and
// ends the moves of aliases whose environments are there.
type provider struct {
	store     provisionStore
	scheduler provisionScheduler
	log       *slog.Logger

	providing sync.Mutex                // held from a look at the store until the scheduler knows
	broke     map[functionName]struct{} // functions for which nothing is provided: their budgets are spent; guarded by it

	wake    chan struct{} // something has arrived
	mu      sync.Mutex
	arrived map[functionName]struct{} // functions that have got what they wanted
}

type functionName struct{ tenant, name string }

// provisionStore is what a provider needs of the store.
type provisionStore interface {
	Function(tenant, name string) (*millicent.Function, error)
	Version(tenant, name, number string) (*millicent.Version, error)
	Update(ctx context.Context, tenant, name string, change func(*millicent.Function) error) (*millicent.Function, error)
}

// provisionScheduler is what it needs of the scheduler.
type provisionScheduler interface {
	Provision(tenant, function string, all []scheduler.Provision)
	Allocation(v *millicent.Version) millicent.Allocation
}

func newProvider(store provisionStore, log *slog.Logger) *provider {
	return &provider{store: store, log: log, wake: make(chan struct{}, 1), arrived: map[functionName]struct{}{}}
}

// changed takes in a change of a function.
func (p *provider) changed(before, after *millicent.Function) {
	f := after
	if f == nil {
		f = before
	}
	if before != nil && len(before.Provisioned) > 0 || len(f.Provisioned) > 0 {
		p.provide(f.Tenant, f.Name)
	}
}

// provide tells the scheduler what a function has provisioned now. Versions
// that are being activated are left for when they are.
func (p *provider) provide(tenant, name string) {
	p.providing.Lock()
	defer p.providing.Unlock()
	var all []scheduler.Provision
	_, broke := p.broke[functionName{tenant, name}]
	if f, err := p.store.Function(tenant, name); err == nil && !broke {
		for number, want := range f.Provisions() {
			if v, err := p.store.Version(tenant, name, number); err == nil && v.State == millicent.StateActive {
				all = append(all, scheduler.Provision{Version: v, Provision: want})
			}
		}
	}
	p.scheduler.Provision(tenant, name, all)
}

// rein lets go of what is provisioned for functions whose budgets are spent, as
// of now, and has it provided again for those whose were.
func (p *provider) rein(functions []*millicent.Function, spent func(*millicent.Function) bool) {
	broke := map[functionName]struct{}{}
	for _, f := range functions {
		if len(f.Provisioned) > 0 && spent(f) {
			broke[functionName{f.Tenant, f.Name}] = struct{}{}
		}
	}
	p.providing.Lock()
	before := p.broke
	p.broke = broke
	p.providing.Unlock()
	for f := range broke {
		if _, known := before[f]; !known {
			p.log.Warn("provisioned environments let go: a budget is spent", "tenant", f.tenant, "function", f.name)
			p.provide(f.tenant, f.name)
		}
	}
	for f := range before {
		if _, still := broke[f]; !still {
			p.log.Info("provisioned environments are provided again", "tenant", f.tenant, "function", f.name)
			p.provide(f.tenant, f.name)
		}
	}
}

// fulfilled notes that a version of a function has got what it wanted. It does
// not block.
func (p *provider) fulfilled(tenant, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived[functionName{tenant, name}] = struct{}{}
	select {
	case p.wake <- struct{}{}:
	default: // it will look
	}
}

// run ends moves until ctx ends.
func (p *provider) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		p.mu.Lock()
		arrived := p.arrived
		p.arrived = map[functionName]struct{}{}
		p.mu.Unlock()
		for f := range arrived {
			if err := p.endMoves(ctx, f); err != nil && ctx.Err() == nil && millicent.ErrorCode(err) != millicent.CodeNotFound {
				p.log.Error("alias not moved", "tenant", f.tenant, "function", f.name, "error", err)
				time.AfterFunc(moveAgain, func() { p.fulfilled(f.tenant, f.name) })
			}
		}
	}
}

// endMoves has the aliases of a function arrive whose environments are there.
func (p *provider) endMoves(ctx context.Context, name functionName) error {
	f, err := p.store.Function(name.tenant, name.name)
	if err != nil {
		return err
	}
	for _, a := range f.Aliases {
		if !a.Moving || !p.ready(f, a) {
			continue
		}
		_, err := p.store.Update(ctx, f.Tenant, f.Name, func(f *millicent.Function) error {
			if now := f.Aliases[a.Name]; now != nil && now.Version == a.Version {
				now.Arrive()
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.log.Info("alias moved", "tenant", f.Tenant, "function", f.Name, "alias", a.Name, "version", a.Version)
	}
	return nil
}

// ready reports whether the version that an alias moves to has all its
// environments.
func (p *provider) ready(f *millicent.Function, a *millicent.Alias) bool {
	v, err := p.store.Version(f.Tenant, f.Name, a.Version)
	return err == nil && p.scheduler.Allocation(v).Available >= f.ProvisionsOf(a.Name)[a.Version].Environments
}
