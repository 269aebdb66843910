package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const (
	maxBatches = 1000 // at a time, of one mapping
	maxTake    = 1000 // messages of one receive
)

// A queueRun is an enabled mapping of a queue at work.
type queueRun struct {
	*run
	finished chan struct{} // a batch has ended

	pacing sync.Mutex
	pace   pace
}

func newQueueRun(r *run) *queueRun {
	return &queueRun{run: r, pace: newPace(r.mapping.MaxConcurrency), finished: make(chan struct{}, 1)}
}

// turn takes messages and has them run, when one more batch may.
func (r *queueRun) turn() error {
	if err := r.refused(); err != nil {
		return err
	}
	if !r.awaitTurn() {
		return nil
	}
	return r.take()
}

// refused returns the refusal of a budget, if one would refuse a batch now, or
// why nothing is run: messages that are taken in vain come to their last receive.
func (r *queueRun) refused() error {
	m := r.mapping
	err := r.service.cfg.Invoker.Affords(r.ctx, &millicent.Invocation{Tenant: m.Tenant, Function: m.Function, Qualifier: m.Qualifier})
	if refusal := (*millicent.BudgetRefusal)(nil); errors.As(err, &refusal) || millicent.ErrorCode(err) == millicent.CodeServerUnavailable {
		return err
	}
	return nil // what else there is, a batch finds out
}

// close has nothing to do: batches that run go on.
func (r *queueRun) close() {}

// awaitTurn waits until one more batch may run.
func (r *queueRun) awaitTurn() bool {
	for {
		r.pacing.Lock()
		ok := r.pace.begin()
		r.pacing.Unlock()
		if ok {
			return true
		}
		select {
		case <-r.ctx.Done():
			return false
		case <-r.finished:
		}
	}
}

// end ends a turn.
func (r *queueRun) end(o outcome) {
	r.pacing.Lock()
	r.pace.end(o)
	r.pacing.Unlock()
	select {
	case r.finished <- struct{}{}:
	default: // one is enough
	}
}

// take takes one batch's messages and has them run. Its turn ends with them.
func (r *queueRun) take() error {
	_, tenant, name, _ := millicent.ParseQueueARN(r.mapping.Source)
	q, err := r.service.cfg.Queues.Queue(tenant, name)
	if err != nil {
		r.end(outcomeIdle)
		return err
	}
	messages, err := r.gather(q)
	if err != nil || len(messages) == 0 {
		r.end(outcomeIdle)
		return err
	}
	r.service.work.Go(func() { r.end(r.serve(q, messages)) })
	return nil
}

// gather receives up to a batch of messages: what there is when the first has
// come, or what comes within the window.
func (r *queueRun) gather(q *millicent.Queue) ([]received, error) {
	m := r.mapping
	wait := pollWait
	var all []received
	var until time.Time
	for {
		got, err := r.service.cfg.Queues.Receive(r.ctx, q, sqs.Receive{Max: min(m.BatchSize-len(all), maxTake), Wait: &wait, Bound: true})
		if err != nil {
			if len(all) > 0 {
				return all, nil
			}
			return nil, err
		}
		all = append(all, r.filter(q, got)...)
		now := r.service.cfg.Now()
		if until.IsZero() && len(all) > 0 {
			until = now.Add(m.Window)
		}
		if len(got) == 0 && len(all) == 0 || len(all) >= m.BatchSize || r.ctx.Err() != nil {
			return all, nil
		}
		if !until.IsZero() {
			if wait = until.Sub(now); wait <= 0 {
				return all, nil
			}
		}
	}
}

// filter returns the messages that the mapping wants, and deletes the others.
func (r *queueRun) filter(q *millicent.Queue, messages []sqs.Message) (kept []received) {
	var dropped []string
	for i := range messages {
		rec := recordOf(&messages[i], r.mapping.Source, r.service.cfg.Region, r.mapping.Tenant)
		if len(r.filters) > 0 && !wanted(r.filters, rec.view(), "body", rec.Body) {
			dropped = append(dropped, messages[i].Handle)
			continue
		}
		encoded, err := json.Marshal(rec)
		if err != nil { // texts and numbers always can be
			r.service.cfg.Log.Error("message not encoded, it comes again", "mapping", r.mapping.ID, "function", r.mapping.Function, "error", err)
			continue
		}
		kept = append(kept, received{messages[i], encoded})
	}
	r.delete(context.WithoutCancel(r.ctx), q, dropped)
	return kept
}

// delete deletes messages that are done with.
func (r *queueRun) delete(ctx context.Context, q *millicent.Queue, handles []string) {
	if len(handles) == 0 {
		return
	}
	for _, err := range r.service.cfg.Queues.Done(ctx, q, handles) {
		if err != nil {
			r.service.cfg.Log.Warn("a message that was handled could not be deleted: it will come again",
				"mapping", r.mapping.ID, "function", r.mapping.Function, "error", err)
		}
	}
}

// serve runs messages and deletes those that succeeded. It goes on when the
// run is stopped.
func (r *queueRun) serve(q *millicent.Queue, messages []received) outcome {
	ctx := context.WithoutCancel(r.ctx)
	worst := outcomeDone
	for _, b := range split(messages, r.mapping.BatchSize, maxPayload) {
		handles, o := r.invoke(ctx, q, b)
		worst = max(worst, o)
		r.delete(ctx, q, handles)
		if q.FIFO() && o != outcomeDone {
			break // what follows may be of the same group, and must not be done before
		}
	}
	return worst
}

// invoke runs one batch and returns the handles of what succeeded. A batch
// that is throttled is tried again for as long as its messages surely stay
// hidden.
func (r *queueRun) invoke(ctx context.Context, q *millicent.Queue, b batch[received]) (handles []string, o outcome) {
	m := r.mapping
	patience := time.Now().Add(q.Visibility / 4)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		res, err := r.service.cfg.Invoker.Invoke(ctx, &millicent.Invocation{
			Tenant: m.Tenant, Function: m.Function, Qualifier: m.Qualifier, Event: b.event,
			Lineage: lineageOf(b.records, m.Tenant, m.Function), Attempt: 1,
		})
		switch {
		case err == nil && res.FunctionError != "":
			return nil, outcomeFailed
		case err == nil && !m.PartialFailures:
			return done(b.records, nil), outcomeDone
		case err == nil:
			failed := failures(messageIDs(b.records), res.Payload)
			if len(failed) > 0 {
				o = outcomeFailed
			}
			return done(b.records, failed), o
		case millicent.ErrorCode(err) != millicent.CodeThrottled:
			r.note(err)
			return nil, outcomeFailed
		case time.Now().Add(pause).After(patience):
			return nil, outcomeThrottled
		}
		select {
		case <-r.ctx.Done():
			return nil, outcomeThrottled
		case <-time.After(pause):
		}
	}
}
