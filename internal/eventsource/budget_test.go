package eventsource

import (
	"context"
	"testing"

	"github.com/millicent-run/millicent"
)

func (f *fakeInvoker) Affords(context.Context, *millicent.Invocation) error {
	select {
	case f.asked <- struct{}{}:
	default:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broke
}

// TestBudgetHoldsBatches: nothing is taken while a budget would refuse it, so
// that nothing comes to its last receive.
func TestBudgetHoldsBatches(t *testing.T) {
	w := newWorld(t, func(*millicent.Invocation, event) (*millicent.Result, error) { return &millicent.Result{}, nil })
	refusal := millicent.Throttled(millicent.ReasonBudget)
	refusal.Err = &millicent.BudgetRefusal{Budget: "tenant/day"}
	w.invoker.broke, w.invoker.asked = refusal, make(chan struct{})
	dead := w.queue("dead", nil)
	q := w.queue("q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead.ARN(testRegion) + `","maxReceiveCount":1}`})
	w.send(q, "", "held")
	w.mapping(q, millicent.Mapping{})
	for range 3 {
		<-w.invoker.asked
	}
	if n := w.queues.Stats(q).Ready; n != 1 {
		t.Errorf("%d messages are ready, want 1", n)
	}
	w.invoker.mu.Lock()
	w.invoker.broke = nil
	w.invoker.mu.Unlock()
	w.run(1)
	w.empty(q)
	if n := w.queues.Stats(dead).Ready; n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
