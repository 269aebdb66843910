package budget

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
)

// GateConfig gives a Gate what it needs. All of it is required.
type GateConfig struct {
	// Most returns the most that an invocation of a version can cost, without
	// what it sends out.
	Most func(*millicent.Version) millicent.Money

	Price func(*millicent.UsageRecord) millicent.Money // what a use cost

	// Egress returns the most that bytes can cost that a function sends out by
	// an invocation that is running. It is zero for all, or rises with them.
	Egress func(bytes int64) millicent.Money

	Currency func() string // of all amounts

	Now  func() time.Time
	News func(News) // is told what happened; it must not block
}

// News is that a part of a budget is spent, or that a function was paused.
type News struct {
	Status  millicent.BudgetStatus
	Percent int              // of the budget
	Storm   *millicent.Storm // nil when it is about the budget
}

// A Gate admits invocations by what their tenants' budgets have left. It is
// safe for concurrent use.
type Gate struct {
	cfg   GateConfig
	count func(*millicent.UsageRecord) // Count, made once

	tenants atomic.Pointer[map[string]*tenant] // never changed, only replaced; nil before the first budget

	mu sync.Mutex // held to replace tenants
}

// NewGate returns a Gate that admits all.
func NewGate(cfg GateConfig) *Gate {
	g := &Gate{cfg: cfg}
	g.count = g.Count
	return g
}

// tenant returns a tenant's accounts; nil when it never had a budget.
func (g *Gate) tenant(name string) *tenant {
	all := g.tenants.Load()
	if all == nil {
		return nil
	}
	return (*all)[name]
}

// Reserve admits an invocation and holds what it may cost, in every budget that
// covers it, until settle is called: once, with the record of what was used,
// or with nil when nothing ran. The Error of a refusal has the code
// CodeThrottled and a *BudgetRefusal as its cause.
func (g *Gate) Reserve(inv *millicent.Invocation, f *millicent.Function, v *millicent.Version) (settle func(*millicent.UsageRecord), err error) {
	t := g.tenant(inv.Tenant)
	if t == nil {
		return g.count, nil
	}
	h := &hold{gate: g, tenant: t, hops: inv.Hops}
	most := g.cfg.Most(v)
	r := t.reserve(h, use{inv.Function, alias(inv.Qualifier), inv.Key, f.Tags}, most, g.cfg.Now())
	if r != nil {
		return nil, r.err(most, g.cfg.Currency())
	}
	if h.stops && g.cfg.Egress(gigabyte) > 0 {
		inv.Pay = h.pay
	}
	return h.settle, nil
}

// Affords returns the error that Reserve would, and reserves nothing.
func (g *Gate) Affords(inv *millicent.Invocation, f *millicent.Function, v *millicent.Version) error {
	t := g.tenant(inv.Tenant)
	if t == nil {
		return nil
	}
	most := g.cfg.Most(v)
	var covering [inlined]*account
	t.mu.Lock()
	defer t.mu.Unlock()
	u := use{inv.Function, alias(inv.Qualifier), inv.Key, f.Tags}
	if r := t.refusal(t.covering(covering[:0], u), u, most, g.cfg.Now()); r != nil {
		return r.err(most, g.cfg.Currency())
	}
	return nil
}

// Exhausted reports whether a budget that stops covers all calls of a function,
// and is spent.
func (g *Gate) Exhausted(f *millicent.Function) bool {
	t := g.tenant(f.Tenant)
	if t == nil {
		return false
	}
	var covering [inlined]*account
	now := g.cfg.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.covering(covering[:0], use{function: f.Name, tags: f.Tags}), func(a *account) bool {
		return a.status(now).State == millicent.BudgetStopped
	})
}

// Count counts what was used that nothing was reserved for.
func (g *Gate) Count(rec *millicent.UsageRecord) {
	if rec == nil {
		return
	}
	if t := g.tenant(rec.Tenant); t != nil {
		cost, now := g.cfg.Price(rec), g.cfg.Now()
		t.mu.Lock()
		news := t.charge(rec, cost, 0, now)
		t.mu.Unlock()
		g.tell(news)
	}
}

// tell passes news on; no lock is held.
func (g *Gate) tell(all []News) {
	for _, n := range all {
		g.cfg.News(n)
	}
}

// gigabyte is as many bytes as have a price where bytes have one.
const gigabyte = 1 << 30

// inlined is how many budgets may cover one use without memory being allocated
// for that.
const inlined = 6

// A hold is what is reserved for one invocation.
type hold struct {
	gate   *Gate
	tenant *tenant
	hops   int
	stops  bool  // one of the budgets does
	sent   int64 // bytes that are paid for
	taken  []taking
	few    [inlined]taking
}

type taking struct {
	account *account
	amount  millicent.Money
}

// pay takes what it costs to send so many bytes more, from all budgets or from
// none.
func (h *hold) pay(bytes int64) bool {
	h.tenant.mu.Lock()
	defer h.tenant.mu.Unlock()
	if h.taken == nil {
		return false // it has ended
	}
	now := h.gate.cfg.Now()
	cost := h.gate.cfg.Egress(h.sent+bytes) - h.gate.cfg.Egress(h.sent)
	for _, t := range h.taken {
		if !t.account.affords(cost, now) {
			return false
		}
	}
	for i := range h.taken {
		h.taken[i].amount += h.taken[i].account.hold(cost)
	}
	h.sent += bytes
	return true
}

// settle gives back what is held, and counts what was used.
func (h *hold) settle(rec *millicent.UsageRecord) {
	var cost millicent.Money
	if rec != nil {
		cost = h.gate.cfg.Price(rec)
	}
	now := h.gate.cfg.Now()
	h.tenant.mu.Lock()
	for _, t := range h.taken {
		t.account.release(t.amount)
	}
	h.taken = nil
	var news []News
	if rec != nil {
		news = h.tenant.charge(rec, cost, h.hops, now)
	}
	h.tenant.mu.Unlock()
	h.gate.tell(news)
}

// A use is what budgets are found by.
type use struct {
	function, alias, key string
	tags                 map[string]string
}

// alias returns the alias that a qualifier is, or "".
func alias(qualifier string) string {
	if qualifier == millicent.Latest || millicent.IsNumber(qualifier) {
		return ""
	}
	return qualifier
}

// put has a budget hold from now on. p says what it does until it is opened.
// It returns the begin of the period of which it does not know all; known is
// true when it does.
func (g *Gate) put(b *millicent.Budget, p phase) (from time.Time, known bool) {
	t := g.ensure(b.Tenant)
	now := g.cfg.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accounts[b.ID()]
	if a == nil {
		a = newAccount(b, p, now)
		t.accounts[a.id] = a
	} else {
		a.change(b, p, now)
	}
	t.index()
	return a.from, a.phase == open
}

// open tells a budget what was spent in the period that began at a time, up to a
// record that is no earlier than any of before the budget was put, and the
// percentage that was told of.
func (g *Gate) open(b *millicent.Budget, from time.Time, before millicent.Money, read uint64, told int) {
	t := g.ensure(b.Tenant)
	now := g.cfg.Now()
	var news []News
	t.mu.Lock()
	if a := t.accounts[b.ID()]; a != nil && a.phase != open && a.from.Equal(from) {
		news = a.news(a.opened(before, read, told), now)
	}
	t.mu.Unlock()
	g.tell(news)
}

// drop ends a budget.
func (g *Gate) drop(b *millicent.Budget) {
	t := g.ensure(b.Tenant)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.accounts, b.ID())
	t.index()
}

func (g *Gate) ensure(name string) *tenant {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]*tenant{}
	if old := g.tenants.Load(); old != nil {
		if t := (*old)[name]; t != nil {
			return t
		}
		for name, t := range *old {
			all[name] = t
		}
	}
	t := newTenant(name)
	all[name] = t
	g.tenants.Store(&all)
	return t
}

// Statuses returns how a tenant's budgets stand, by ID; those of all tenants
// for "".
func (g *Gate) Statuses(name string) []millicent.BudgetStatus {
	all := []millicent.BudgetStatus{}
	now := g.cfg.Now()
	g.each(name, func(t *tenant) {
		for _, a := range t.accounts {
			all = append(all, a.status(now))
		}
	})
	slices.SortFunc(all, func(a, b millicent.BudgetStatus) int { return millicent.CompareBudgets(&a.Budget, &b.Budget) })
	return all
}

// Storms returns the functions of a tenant that are paused, or of all tenants.
func (g *Gate) Storms(name string) []millicent.Storm {
	all := []millicent.Storm{}
	now := g.cfg.Now()
	g.each(name, func(t *tenant) {
		for _, f := range t.flows {
			if s := f.paused(now); s != nil {
				all = append(all, *s)
			}
		}
	})
	slices.SortFunc(all, func(a, b millicent.Storm) int { return a.Began.Compare(b.Began) })
	return all
}

// Resume ends a function's pause; false when there is none.
func (g *Gate) Resume(name, function string) bool {
	t := g.tenant(name)
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[function]
	if f == nil || f.paused(g.cfg.Now()) == nil {
		return false
	}
	f.resume()
	return true
}

// each calls f for a tenant, or for all, under their locks.
func (g *Gate) each(name string, f func(*tenant)) {
	all := g.tenants.Load()
	if all == nil {
		return
	}
	for of, t := range *all {
		if name == "" || of == name {
			t.mu.Lock()
			f(t)
			t.mu.Unlock()
		}
	}
}
