package server

import (
	"slices"
	"strconv"
	"sync"

	"github.com/millicent-run/millicent"
)

// retirer closes environments; the scheduler is one.
type retirer interface {
	Retire(tenant, function string, keep func(*millicent.Version) bool)
}

// retire closes the environments that a change of a function made stale.
func retire(r retirer, before, after *millicent.Function) {
	if before == nil {
		return // a new function has none
	}
	r.Retire(before.Tenant, before.Name, func(v *millicent.Version) bool { return current(v, before, after) })
}

// current reports whether an environment of v may serve after the change: the
// version is still there and the same, and connects to the same places. An
// environment gets its allow-list when it starts.
func current(v *millicent.Version, before, after *millicent.Function) bool {
	if after == nil || !slices.Equal(before.Egress, after.Egress) {
		return false
	}
	if v.Number == millicent.Latest {
		return v.Revision == after.Draft.Revision
	}
	n, err := strconv.Atoi(v.Number)
	return err == nil && slices.Contains(after.Published, n)
}

// reservations knows the sum of what each tenant's functions claim of its
// concurrency, reserved or provisioned. It counts when it is asked for the first
// time after a change.
type reservations struct {
	functions func(tenant string) []*millicent.Function

	mu      sync.Mutex
	sums    map[string]int
	changes int // so that a count that a change overtook is not kept
}

func (r *reservations) of(tenant string) int {
	r.mu.Lock()
	sum, ok := r.sums[tenant]
	changes := r.changes
	r.mu.Unlock()
	if ok {
		return sum
	}
	for _, f := range r.functions(tenant) {
		sum += f.Claimed()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes == changes {
		if r.sums == nil {
			r.sums = map[string]int{}
		}
		r.sums[tenant] = sum
	}
	return sum
}

func (r *reservations) changed(before, after *millicent.Function) {
	if claimed(before) == claimed(after) {
		return
	}
	f := after
	if f == nil {
		f = before
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sums, f.Tenant)
	r.changes++
}

func claimed(f *millicent.Function) int {
	if f == nil {
		return 0
	}
	return f.Claimed()
}
