package async

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

const (
	// throttlePause is how long a throttled function's other events wait, too.
	throttlePause = 250 * time.Millisecond

	// unreadablePause is for what cannot be read: a newer version of this
	// program may know it.
	unreadablePause = 5 * time.Minute

	latestDraw = 1 // chooses what an alias names first
)

// An attempt is how an event was tried.
type attempt struct {
	outcome outcome
	result  *millicent.Result // nil when the function did not run
	err     error             // the platform's
}

// handle tries one event and does what follows.
func (e *Events) handle(ctx context.Context, deliveries []queue.Delivery) {
	d := deliveries[0]
	ev, err := decode(&d.Message)
	if err != nil {
		e.cfg.Log.Error("stored event not understood", "error", err)
		e.release(d, e.cfg.Now().Add(unreadablePause), d.Progress)
		return
	}
	f, err := e.cfg.Store.Function(ev.tenant, ev.function)
	if err != nil || f.Created.After(ev.Received) {
		e.drop(ctx, d, ev)
		return
	}
	id := d.Queue.String()
	e.running.Limit(id, e.concurrencyOf(f))
	t := termsOf(f.EventConfigOf(ev.Qualifier))
	a := e.try(ctx, f, ev, t, ev.Before+d.Progress.Attempts+1)
	now := e.cfg.Now()
	v := decide(a.outcome, d.Progress, now.Sub(ev.Received), t)
	if v.condition != "" {
		e.finish(context.WithoutCancel(ctx), d, ev, a, v)
		return
	}
	e.release(d, now.Add(v.after), v.progress)
	switch a.outcome {
	case failed:
		e.cfg.Observer.EventEnded(Retry, now.Sub(ev.Received))
	case refused:
		if millicent.ErrorCode(a.err) != millicent.CodeThrottled {
			e.tell(ev, "refused").Warn("event not run, it is tried again", "after", v.after, "error", a.err)
		}
		e.running.Hold(id, now.Add(throttlePause))
		e.cfg.Observer.EventEnded(Throttle, now.Sub(ev.Received))
	case changing, unavailable:
		e.running.Hold(id, now.Add(v.after))
	default: // the server stops
	}
}

// release gives an event back, to be tried again. One that is gone was purged.
func (e *Events) release(d queue.Delivery, at time.Time, p queue.Progress) {
	if err := e.cfg.Queues.Release(d.Queue, d.Handle, at, p); err != nil && millicent.ErrorCode(err) != queue.CodeGone {
		e.cfg.Log.Error("event not given back, it comes back by itself", "queue", d.Queue.String(), "id", d.ID, "error", err)
	}
}

// drop forgets the event of a function that was deleted.
func (e *Events) drop(ctx context.Context, d queue.Delivery, ev *event) {
	age := e.cfg.Now().Sub(ev.Received)
	e.tell(ev, "deleted").Warn("event dropped: its function was deleted", "age", age)
	e.cfg.Observer.EventEnded(Deleted, age)
	if err := errors.Join(e.cfg.Queues.Settle(context.WithoutCancel(ctx), d.Queue, d.Handle)...); err != nil {
		e.cfg.Log.Error("event not dropped", "id", ev.id, "error", err)
	}
}

// try runs an event for the nth time, unless something speaks against that.
func (e *Events) try(ctx context.Context, f *millicent.Function, ev *event, t terms, n int) attempt {
	switch {
	case ctx.Err() != nil:
		return attempt{outcome: stopping}
	case f.Reserved != nil && *f.Reserved == 0:
		return attempt{outcome: off, err: millicent.Throttled(millicent.ReasonReservedConcurrency)}
	case e.cfg.Now().Sub(ev.Received) > t.maxAge:
		return attempt{outcome: tooOld, err: millicent.Errorf(millicent.CodeThrottled, "The event was not run within its maximum age.")}
	}
	version, err := e.cfg.Store.Resolve(ev.tenant, ev.function, ev.Qualifier, latestDraw)
	switch {
	case err != nil:
		return attempt{outcome: missing, err: err}
	case version.State == millicent.StatePending || version.LastUpdate == millicent.UpdateInProgress:
		return attempt{outcome: changing}
	}
	res, err := e.cfg.Invoker.Invoke(ctx, ev.invocation(e.cfg.Region, n))
	return attempt{e.judge(ctx, res, err), res, err}
}

// judge returns the outcome that a result or an error is.
func (e *Events) judge(ctx context.Context, res *millicent.Result, err error) outcome {
	switch code := millicent.ErrorCode(err); {
	case err == nil && res.FunctionError == "":
		return succeeded
	case err == nil:
		return failed
	case code == millicent.CodeRecursive:
		return looped
	case code == millicent.CodeNotFound:
		return missing
	case endedByBudget(err):
		return unaffordable
	case ctx.Err() != nil:
		return stopping
	case code == millicent.CodeServerUnavailable:
		return unavailable
	}
	return refused
}

// endedByBudget reports whether a budget refused an event that is not to wait.
func endedByBudget(err error) bool {
	var refusal *millicent.BudgetRefusal
	return errors.As(err, &refusal) && refusal.EndEvents
}

// finish ends an event: it and what follows from its end are one change.
func (e *Events) finish(ctx context.Context, d queue.Delivery, ev *event, a attempt, v verdict) {
	age := e.cfg.Now().Sub(ev.Received)
	settle := []queue.Settled{{Queue: d.Queue, Handle: d.Handle}}
	puts, err := e.consequences(ev, a, v)
	if err == nil {
		_, err = e.cfg.Queues.Apply(ctx, queue.Change{Put: puts, Settle: settle})
	}
	if err != nil && !lost(err) {
		// What can't go where it should stays with us.
		e.tell(ev, "undelivered").Warn("event's end not delivered, kept as a dead letter", "error", err)
		err = e.bury(ctx, e.undeliverable(ev, a, v, err), settle)
	}
	if err != nil {
		e.cfg.Log.Error("event not ended, it runs again", "tenant", ev.tenant, "function", ev.function, "id", ev.id, "error", err)
		return
	}
	if v.condition != conditionSuccess {
		args := []any{"condition", v.condition, "attempts", v.progress.Attempts, "age", age}
		if a.err != nil {
			args = append(args, "error", a.err)
		}
		e.tell(ev, "failed").Warn("event failed", args...)
	}
	e.cfg.Observer.EventEnded(v.condition, age)
	for _, m := range puts {
		switch m.Queue.Kind {
		case KindEvent:
			e.cfg.Observer.EventReceived()
			e.cfg.Observer.EventDelivered(millicent.ToFunction, true)
		case KindDelivery, KindDead:
		default:
			e.cfg.Observer.EventDelivered(millicent.ToQueue, true)
		}
	}
}

// lost reports whether an error means that the message is no more ours, or that
// the queues take nothing.
func lost(err error) bool {
	switch millicent.ErrorCode(err) {
	case queue.CodeGone, queue.CodeStaleHandle, millicent.CodeServerUnavailable:
		return true
	}
	return false
}

// consequences returns what the end of an event puts into queues.
func (e *Events) consequences(ev *event, a attempt, v verdict) ([]queue.Message, error) {
	f, err := e.cfg.Store.Function(ev.tenant, ev.function)
	if err != nil {
		return nil, nil // deleted meanwhile, and its configuration with it
	}
	config := f.EventConfigOf(ev.Qualifier)
	if config == nil {
		config = &millicent.EventConfig{}
	}
	if v.condition == conditionSuccess {
		if config.OnSuccess == "" {
			return nil, nil
		}
		m, err := e.recordFor(config.OnSuccess, ev, a, v)
		return []queue.Message{m}, err
	}
	var puts []queue.Message
	if config.OnFailure != "" {
		m, err := e.recordFor(config.OnFailure, ev, a, v)
		if err != nil {
			return nil, err
		}
		puts = append(puts, m)
	}
	if arn := e.deadLetterQueue(ev); arn != "" {
		m, err := e.deadLetterFor(arn, ev, a)
		if err != nil {
			return nil, err
		}
		puts = append(puts, m)
	}
	if len(puts) > 0 {
		return puts, nil
	}
	m, err := e.deadLetter(ev, a, v, nil)
	if err == nil {
		err = e.makeRoom(context.Background(), m)
	}
	return []queue.Message{m}, err
}

// deadLetterQueue returns the ARN that the version's DeadLetterConfig names.
func (e *Events) deadLetterQueue(ev *event) string {
	v, err := e.cfg.Store.Resolve(ev.tenant, ev.function, ev.Qualifier, latestDraw)
	if err != nil {
		return ""
	}
	var config struct{ TargetArn string }
	if text := v.Extra["DeadLetterConfig"]; text == "" || json.Unmarshal([]byte(text), &config) != nil {
		return "" // what was checked when it was set can be read
	}
	return config.TargetArn
}
