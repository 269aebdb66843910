package api

import (
	"sync"

	"github.com/millicent-run/millicent"
)

const (
	// maxInsideBodies is what calls from within sandboxes may use, of memory
	// of their own: what functions send keeps no caller outside from calling.
	maxInsideBodies = 256 << 20

	// maxFunctionBodies is one function's part of it, however many
	// environments it has.
	maxFunctionBodies = 64 << 20
)

// insideBodies are the budgets of functions that call the platform.
type insideBodies struct {
	whole budget

	mu   sync.Mutex
	part map[insideKey]*part
}

type insideKey struct{ tenant, function string }

// A part is one function's, as long as a call of it is served.
type part struct {
	budget
	calls int
}

// of returns the budget of a caller's function for one call. Call done when
// the call has given back what it took.
func (b *insideBodies) of(c millicent.Caller) (_ *budget, done func()) {
	key := insideKey{c.Tenant, c.Function}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part[key]
	if p == nil {
		if b.part == nil {
			b.part = map[insideKey]*part{}
		}
		p = &part{budget: budget{whole: &b.whole, limit: maxFunctionBodies}}
		b.part[key] = p
	}
	p.calls++
	return &p.budget, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if p.calls--; p.calls == 0 {
			delete(b.part, key)
		}
	}
}
