package schedule

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

// adopt returns the consumer of a schedule's ticks.
func (e *Engine) adopt(name queue.Name) (queue.Consumer, bool) {
	return queue.Consumer{ID: name.String(), Queue: name, Handle: e.deliver}, true
}

// deliver takes ticks out of their queue: it calls their targets.
func (e *Engine) deliver(ctx context.Context, all []queue.Delivery) {
	for _, m := range all {
		t, err := decodeTick(m.Body)
		if err != nil {
			e.cfg.Log.Error("stored tick not understood, dropped", "queue", m.Queue.String(), "error", err)
			e.settle(ctx, m)
			continue
		}
		group, name, _ := cutKey(m.Queue.Name)
		d, err := e.cfg.Service.Schedule(m.Queue.Tenant, group, name)
		if err != nil || d.ID != t.Schedule || d.Paused {
			e.settle(ctx, m) // the schedule is gone or was paused since
			continue
		}
		e.attempt(ctx, m, d, t)
	}
}

// attempt calls the target of a tick and settles it, or has it come back.
// What it does not settle comes back a second later.
func (e *Engine) attempt(ctx context.Context, m queue.Delivery, d *millicent.Schedule, t tick) {
	log := e.cfg.Log.With("schedule", m.Queue.Name, "tenant", d.Tenant, "tick", t.Time)
	if err := e.record(ctx, d, t); err != nil {
		log.Error("tick not recorded, tried again", "error", err)
		return
	}
	c := call{schedule: d, tick: t, attempt: m.Progress.Attempts + 1, region: e.cfg.Region,
		settles: queue.Settled{Queue: m.Queue, Handle: m.Handle}}
	err := e.call(ctx, c)
	switch {
	case err == nil:
		e.finish(ctx, m, d)
		return
	case settledSince(err), ctx.Err() != nil:
		return // the server stops, and the tick is tried again when it is back
	}
	v := retry(d.Target, t.Time, c.attempt, err, e.cfg.Now())
	if !v.again.IsZero() {
		log.Debug("target not called, tried again", "attempt", c.attempt, "again", v.again, "error", err)
		if err := e.cfg.Messages.Release(m.Queue, m.Handle, v.again, queue.Progress{Attempts: c.attempt}); err != nil {
			log.Error("tick not released", "error", err)
		}
		return
	}
	log.Warn("target not called, given up", "attempts", c.attempt, "deadLetter", d.Target.DeadLetterARN != "", "error", err)
	code, message := reason(err)
	failed := func(st *State) { st.Failed = &Failure{Tick: t.Time, Code: code, Message: message} }
	if err := e.cfg.Service.setState(ctx, d, failed); err != nil {
		log.Error("failure of a tick not recorded", "error", err)
	}
	if err := e.bury(ctx, c, v, err); err != nil && !settledSince(err) {
		log.Error("dead letter not sent", "error", err)
		if !hopeless(err) {
			return
		}
		e.settle(ctx, m)
	}
	e.finish(ctx, m, d)
}

// settledSince reports whether an error means that a tick was no more there:
// its schedule was deleted or paused meanwhile.
func settledSince(err error) bool {
	code := millicent.ErrorCode(err)
	return code == queue.CodeGone || code == queue.CodeStaleHandle
}

// record makes durable that a tick is run, before it is. A start that does not
// find the tick in its queue finds it there.
func (e *Engine) record(ctx context.Context, d *millicent.Schedule, t tick) error {
	if st := e.cfg.Service.State(d); !t.Time.After(st.Last) {
		return nil // a later attempt, or ticks in another order
	}
	return e.cfg.Service.setState(ctx, d, func(st *State) {
		if t.Time.After(st.Last) {
			st.Last, st.Missed = t.Time, max(st.Missed, t.Missed)
		}
	})
}

// finish does what follows from a tick that is settled: after the schedule's
// last one the schedule goes, if it is to.
func (e *Engine) finish(ctx context.Context, m queue.Delivery, d *millicent.Schedule) {
	if !d.DeleteAfter || e.cfg.Messages.Stats(m.Queue).Messages() > 0 {
		return
	}
	if _, more := Next(d, e.cfg.Service.State(d).Last); !more {
		e.complete(ctx, d)
	}
}

// complete deletes a schedule that has nothing left to do, and its queue.
func (e *Engine) complete(ctx context.Context, d *millicent.Schedule) {
	err := e.cfg.Service.Delete(ctx, d.Tenant, d.Group, d.Name)
	if err != nil && millicent.ErrorCode(err) != millicent.CodeNotFound && ctx.Err() == nil {
		e.cfg.Log.Error("completed schedule not deleted", "schedule", key(d.Group, d.Name), "tenant", d.Tenant, "error", err)
	}
}

func (e *Engine) settle(ctx context.Context, m queue.Delivery) {
	err := e.cfg.Messages.Settle(ctx, m.Queue, m.Handle)
	if err := errors.Join(err...); err != nil && millicent.ErrorCode(err) != queue.CodeGone && ctx.Err() == nil {
		e.cfg.Log.Error("tick not settled", "queue", m.Queue.String(), "error", err)
	}
}

// reason returns an error's code and message for the schedule's owner.
func reason(err error) (code, message string) {
	var e *millicent.Error
	if errors.As(err, &e) {
		return e.Code, e.Message
	}
	return millicent.CodeInternal, "The server failed to call the target; its log says why."
}

// bury settles a tick and sends it to the dead-letter queue, if there is one,
// with what AWS says of dead letters.
func (e *Engine) bury(ctx context.Context, c call, v verdict, cause error) error {
	if c.schedule.Target.DeadLetterARN == "" {
		return errors.Join(e.cfg.Messages.Settle(ctx, c.settles.Queue, c.settles.Handle)...)
	}
	_, _, name, _ := millicent.ParseQueueARN(c.schedule.Target.DeadLetterARN) // it was checked
	code, message := reason(cause)
	attributes := map[string]string{
		"SCHEDULE_ARN": c.schedule.ARN(e.cfg.Region), "TARGET_ARN": c.schedule.Target.ARN,
		"SCHEDULED_TIME": timeOf(c.tick.Time), "EXECUTION_ID": c.tick.execution(),
		"ERROR_CODE": code, "ERROR_MESSAGE": message, "RETRY_ATTEMPTS": strconv.Itoa(c.attempt - 1),
		"EXHAUSTED_RETRY_CONDITION": v.exhausted, "IS_PAYLOAD_TRUNCATED": "false",
	}
	out := sqs.Outgoing{Body: c.input(), QueueMessage: millicent.QueueMessage{Sender: sender, Attributes: map[string]millicent.MessageAttribute{}}}
	for name, value := range attributes {
		if value != "" {
			out.Attributes[name] = millicent.MessageAttribute{Type: "String", Text: value}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return e.send(ctx, c, name, out)
}
