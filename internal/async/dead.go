package async

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// deadRetention is how long dead letters are kept.
const deadRetention = 14 * 24 * time.Hour

// deadLetter returns an event that failed as a dead letter. cause, if not nil,
// is why it did not go elsewhere.
func (e *Events) deadLetter(ev *event, a attempt, v verdict, cause error) (queue.Message, error) {
	dead := *ev
	dead.Failure = &failure{Condition: v.condition, Attempts: v.progress.Attempts, Time: e.cfg.Now()}
	switch {
	case cause != nil:
		dead.Failure.Code, dead.Failure.Message = millicent.ErrorCode(cause), messageOf(cause)
	case a.result != nil:
		_, dead.Failure.Message = a.told()
	case a.err != nil:
		dead.Failure.Code, dead.Failure.Message = millicent.ErrorCode(a.err), messageOf(a.err)
	}
	return e.grave(&dead)
}

// grave returns the message of a dead letter.
func (e *Events) grave(dead *event) (queue.Message, error) {
	m, err := dead.message(KindDead)
	m.Sent = dead.Failure.Time
	m.Expires = m.Sent.Add(deadRetention)
	return m, err
}

// messageOf returns what an error says to callers.
func messageOf(err error) string {
	var known *millicent.Error
	if errors.As(err, &known) {
		return clip(known.Message)
	}
	return "The platform failed."
}

// undeliverable returns the dead letter of an event whose end could not be told
// to its destination: of a success the record, of a failure the event.
func (e *Events) undeliverable(ev *event, a attempt, v verdict, cause error) func() (queue.Message, error) {
	return func() (queue.Message, error) {
		if v.condition != conditionSuccess {
			return e.deadLetter(ev, a, v, cause)
		}
		dead := *ev
		if f, err := e.cfg.Store.Function(ev.tenant, ev.function); err == nil {
			if c := f.EventConfigOf(ev.Qualifier); c != nil {
				dead.Target = c.OnSuccess
			}
		}
		if body, err := newRecord(ev, a, v, e.cfg.Region, e.cfg.Now()); err == nil {
			dead.body = body
		}
		dead.Failure = &failure{
			Condition: v.condition, Code: millicent.ErrorCode(cause), Message: messageOf(cause), Attempts: v.progress.Attempts, Time: e.cfg.Now(),
		}
		return e.grave(&dead)
	}
}

// bury settles messages and keeps a dead letter of them.
func (e *Events) bury(ctx context.Context, letter func() (queue.Message, error), settle []queue.Settled) error {
	m, err := letter()
	if err != nil {
		return err
	}
	if err := e.makeRoom(ctx, m); err != nil {
		return err
	}
	_, err = e.cfg.Queues.Apply(ctx, queue.Change{Put: []queue.Message{m}, Settle: settle})
	return err
}

// makeRoom lets the oldest dead letters of a function go while it has as many
// as it may have.
func (e *Events) makeRoom(ctx context.Context, m queue.Message) error {
	for {
		s := e.cfg.Queues.Stats(m.Queue)
		if s.Messages() < e.cfg.DeadLetters && s.Bytes+int64(len(m.Body)) <= e.cfg.DeadBytes || s.Messages() == 0 {
			return nil
		}
		oldest, err := e.cfg.Queues.Browse(ctx, m.Queue, 0, 1)
		if err != nil || len(oldest) == 0 {
			return err
		}
		switch err := e.cfg.Queues.Remove(ctx, m.Queue, oldest[0].Sequence); millicent.ErrorCode(err) {
		case "", queue.CodeGone:
		case millicent.CodeConflict:
			return nil // somebody deals with it: one more is not too many
		default:
			return err
		}
		e.tell(&event{id: oldest[0].ID, tenant: m.Queue.Tenant, function: m.Queue.Name}, "dead letter dropped").
			Warn("dead letter dropped: the function has too many")
	}
}
