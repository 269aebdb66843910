package async

import (
	"context"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// Abandon keeps what an event source mapping gave up, and returns when that is
// durable: it sends a.Record to a.Target or, without a target or when that
// takes nothing, keeps the event as a dead letter of the function. inv is the
// invocation with the event, and is complete.
func (e *Events) Abandon(ctx context.Context, inv *millicent.Invocation, a millicent.Abandoned) error {
	ev := eventOf(inv)
	if a.Target != "" {
		m, err := e.messageTo(a.Target, ev, a.Record)
		if err == nil {
			_, err = e.cfg.Queues.Put(ctx, m)
		}
		if err == nil || lost(err) {
			return err
		}
		e.tell(ev, "undelivered").Warn("end of records not delivered, kept as a dead letter", "to", a.Target, "error", err)
	}
	e.tell(ev, "failed").Warn("records of an event source given up", "condition", a.Condition, "attempts", a.Runs)
	return e.bury(ctx, func() (queue.Message, error) {
		dead := *ev
		dead.Failure = &failure{Condition: a.Condition, Message: clip(a.Message), Attempts: a.Runs, Time: e.cfg.Now()}
		return e.grave(&dead)
	}, nil)
}
