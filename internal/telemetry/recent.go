package telemetry

import (
	"container/list"
	"strings"
	"sync"

	"github.com/millicent-run/millicent"
)

// Bounds of Recent.
const (
	maxRecent      = 4096
	maxRecentBytes = 4 << 20
	recentBytes    = 512 // what one takes beside its texts, roughly
)

// Recent keeps the latest invocations that something had to be started for,
// bounded in number and bytes. The zero value is ready. It is safe for
// concurrent use.
type Recent struct {
	mu    sync.Mutex
	order list.List // of *recent, the oldest first
	byID  map[string]*list.Element
	bytes int
}

type recent struct {
	tenant      string
	explanation millicent.Explanation
	bytes       int
}

// Invoked keeps an invocation with a start. It satisfies invoke.Observer.
func (r *Recent) Invoked(inv *millicent.Invocation, res *millicent.Result, _ error) {
	if res == nil || res.Start == nil {
		return
	}
	rec := &recent{tenant: strings.Clone(inv.Tenant), explanation: explained(inv, res)}
	e := &rec.explanation
	rec.bytes = recentBytes + len(rec.tenant) + len(e.Invocation) + len(e.Function) + len(e.Version) +
		len(e.Environment) + len(e.Delay.Start.For) + len(e.Report.ErrorType)

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[string]*list.Element)
	}
	r.drop(r.byID[e.Invocation])
	r.byID[e.Invocation] = r.order.PushBack(rec)
	r.bytes += rec.bytes
	for r.order.Len() > maxRecent || r.bytes > maxRecentBytes {
		r.drop(r.order.Front())
	}
}

// drop forgets el, unless nil. The lock is held.
func (r *Recent) drop(el *list.Element) {
	if el == nil {
		return
	}
	rec := r.order.Remove(el).(*recent)
	delete(r.byID, rec.explanation.Invocation)
	r.bytes -= rec.bytes
}

// explained returns the explanation of an invocation that has just ended. It
// holds on to none of its texts.
func explained(inv *millicent.Invocation, res *millicent.Result) millicent.Explanation {
	start := *res.Start
	u := res.Usage
	return millicent.Explanation{
		Invocation: strings.Clone(inv.ID), Function: strings.Clone(inv.Function), Version: res.Version,
		Environment: start.Environment, Time: u.Start.Add(u.Duration).UTC(),
		Report: &millicent.Report{
			DurationMs: float64(u.Duration.Microseconds()) / 1000, InitMs: float64(u.Init.Microseconds()) / 1000,
			MemoryMB: u.MemoryMB, PeakMemoryMB: u.PeakMemoryMB,
			Status: status(res), ErrorType: strings.Clone(res.ErrorType),
		},
		Delay: &millicent.Delay{Wait: inv.Wait, Start: &start},
	}
}

// status is an invocation's end by the words of its report.
func status(res *millicent.Result) string {
	switch {
	case res.FunctionError == "":
		return "success"
	case res.ErrorType == "Sandbox.Timedout":
		return "timeout"
	}
	return "error"
}

// Explain returns an invocation, of a function unless that is empty; false
// when it is not kept.
func (r *Recent) Explain(q InvocationQuery) (*millicent.Explanation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	el := r.byID[q.Invocation]
	if el == nil {
		return nil, false
	}
	rec := el.Value.(*recent)
	if rec.tenant != q.Tenant || q.Function != "" && q.Function != rec.explanation.Function {
		return nil, false
	}
	e := rec.explanation
	return &e, true
}

// List returns a tenant's, of a function unless that is empty, the latest
// first, at most limit.
func (r *Recent) List(tenant, function string, limit int) []millicent.Explanation {
	found := []millicent.Explanation{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for el := r.order.Back(); el != nil && len(found) < limit; el = el.Prev() {
		rec := el.Value.(*recent)
		if rec.tenant == tenant && (function == "" || function == rec.explanation.Function) {
			found = append(found, rec.explanation)
		}
	}
	return found
}
