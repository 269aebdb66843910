package eventsource

import (
	"context"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const (
	pollWait   = 20 * time.Second // for the first message, then again
	minPause   = 200 * time.Millisecond
	maxPause   = 30 * time.Second
	maxBatches = 1000 // at a time, of one mapping
	maxTake    = 1000 // messages of one receive
)

// A run is an enabled mapping at work.
type run struct {
	service  *Service
	mapping  *millicent.Mapping
	filters  []*Pattern
	ctx      context.Context // ends when nothing is taken any more
	stop     context.CancelFunc
	finished chan struct{} // a batch has ended

	mu      sync.Mutex
	pace    pace
	trouble string
}

func newRun(s *Service, m *millicent.Mapping) *run {
	r := &run{service: s, mapping: m, pace: newPace(m.MaxConcurrency), finished: make(chan struct{}, 1)}
	r.ctx, r.stop = context.WithCancel(s.life)
	r.filters, _ = parseFilters(m.Filters) // they were checked when they were stored
	return r
}

func (r *run) problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// poll takes messages and has them run, until the run is stopped.
func (r *run) poll() {
	pause := minPause
	for r.ctx.Err() == nil {
		if !r.awaitTurn() {
			return
		}
		err := r.take()
		r.note(err)
		if err == nil {
			pause = minPause
			continue
		}
		select { // the queue or the function is not there: they may come back
		case <-r.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// note keeps what was wrong the last time.
func (r *run) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = ""
	if err != nil && r.ctx.Err() == nil {
		if r.trouble = "PROBLEM: " + err.Error(); millicent.ErrorCode(err) != millicent.CodeInternal {
			r.service.cfg.Log.Debug("event source mapping waits", "mapping", r.mapping.ID, "function", r.mapping.Function, "error", err)
		}
	}
}

// awaitTurn waits until one more batch may run.
func (r *run) awaitTurn() bool {
	for {
		r.mu.Lock()
		ok := r.pace.begin()
		r.mu.Unlock()
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
func (r *run) end(o outcome) {
	r.mu.Lock()
	r.pace.end(o)
	r.mu.Unlock()
	select {
	case r.finished <- struct{}{}:
	default: // one is enough
	}
}

// take takes one batch's messages and has them run. Its turn ends with them.
func (r *run) take() error {
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
func (r *run) gather(q *millicent.Queue) ([]sqs.Message, error) {
	m := r.mapping
	wait := pollWait
	var all []sqs.Message
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
func (r *run) filter(q *millicent.Queue, messages []sqs.Message) (kept []sqs.Message) {
	if len(r.filters) == 0 {
		return messages
	}
	var dropped []string
	for i := range messages {
		rec := recordOf(&messages[i], r.mapping.Source, r.service.cfg.Region, r.mapping.Tenant)
		if filtered(&rec, r.filters) {
			kept = append(kept, messages[i])
		} else {
			dropped = append(dropped, messages[i].Handle)
		}
	}
	r.delete(context.WithoutCancel(r.ctx), q, dropped)
	return kept
}

// delete deletes messages that are done with.
func (r *run) delete(ctx context.Context, q *millicent.Queue, handles []string) {
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
func (r *run) serve(q *millicent.Queue, messages []sqs.Message) outcome {
	ctx := context.WithoutCancel(r.ctx)
	all, err := batches(messages, r.mapping.Source, r.service.cfg.Region, r.mapping.Tenant)
	if err != nil {
		r.service.cfg.Log.Error("messages could not be encoded", "mapping", r.mapping.ID, "function", r.mapping.Function, "error", err)
		return outcomeFailed
	}
	worst := outcomeDone
	for _, b := range all {
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
func (r *run) invoke(ctx context.Context, q *millicent.Queue, b batch) (handles []string, o outcome) {
	m := r.mapping
	patience := time.Now().Add(q.Visibility / 4)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		res, err := r.service.cfg.Invoker.Invoke(ctx, &millicent.Invocation{
			Tenant: m.Tenant, Function: m.Function, Qualifier: m.Qualifier, Event: b.event,
			Lineage: lineageOf(b.messages, m.Tenant, m.Function), Attempt: 1,
		})
		switch {
		case err == nil && res.FunctionError != "":
			return nil, outcomeFailed
		case err == nil && !m.PartialFailures:
			return done(b.messages, nil), outcomeDone
		case err == nil:
			failed := failures(b.messages, res.Payload)
			if len(failed) > 0 {
				o = outcomeFailed
			}
			return done(b.messages, failed), o
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
