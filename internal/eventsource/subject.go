package eventsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/millicent-run/millicent"
)

// Bounds of what has come from a subject and was not taken yet; what comes
// beyond is lost.
const (
	maxWaiting      = 10_000
	maxWaitingBytes = 32 << 20
)

// maxEvent bounds an Event invocation, in bytes.
const maxEvent = 1 << 20

// A subjectRun is an enabled mapping of a subject at work. What it takes become
// Event invocations, which are durable: from then on nothing is lost.
type subjectRun struct {
	*run

	conn    *nats.Conn // of our own; nil for the platform's
	sub     *nats.Subscription
	dropped int
}

func (r *subjectRun) turn() error {
	if r.sub == nil {
		if err := r.open(); err != nil {
			r.close()
			return err
		}
	}
	records, lineage, err := r.gather()
	if err != nil {
		r.close()
	}
	for _, b := range split(records, r.mapping.BatchSize, maxEvent) {
		if e := r.hand(b.event, lineage); e != nil {
			err = errors.Join(err, e)
		}
	}
	if n, e := r.dropping(); e == nil && n > 0 {
		err = errors.Join(err, fmt.Errorf("%d messages came faster than they could be taken, and are lost", n))
	}
	return err
}

// dropping returns how many messages were lost since it was last asked.
func (r *subjectRun) dropping() (n int, err error) {
	if r.sub == nil {
		return 0, nil
	}
	all, err := r.sub.Dropped()
	n, r.dropped = all-r.dropped, all
	return n, err
}

func (r *subjectRun) open() (err error) {
	subject, conn := r.source.Subject, r.service.cfg.Conn
	if r.source.Server == "" {
		subject = millicent.DestinationSubject(r.mapping.Tenant, subject)
	} else {
		if r.conn, err = r.connect(r.source.Server); err != nil {
			return err
		}
		conn = r.conn
	}
	// Of several servers with the mapping one gets a message.
	if r.sub, err = conn.QueueSubscribeSync(subject, consumerName(r.mapping)); err != nil {
		return err
	}
	r.dropped = 0
	return r.sub.SetPendingLimits(maxWaiting, maxWaitingBytes)
}

func (r *subjectRun) close() {
	if r.sub != nil {
		_ = r.sub.Unsubscribe() // of a connection that is gone there is nothing to end
	}
	hangUp(r.conn)
	r.conn, r.sub = nil, nil
}

// gather takes up to a batch of messages: what there is when the first has
// come, or what comes within the window. The lineage is that of the longest
// chain among them.
func (r *subjectRun) gather() (all []natsRecord, l millicent.Lineage, err error) {
	first, l, err := r.next(r.ctx)
	if err != nil || len(first.encoded) == 0 {
		return nil, l, err
	}
	all = append(all, first)
	ctx, cancel := context.WithTimeout(r.ctx, max(r.mapping.Window, time.Millisecond))
	defer cancel()
	for size := len(first.encoded); len(all) < r.mapping.BatchSize && size < maxEvent && ctx.Err() == nil; {
		rec, of, err := r.next(ctx)
		if err != nil {
			return all, l, err
		}
		if len(rec.encoded) == 0 {
			continue
		}
		if of.Hops > l.Hops || of.Loops(r.mapping.Tenant, r.mapping.Function) {
			l = of
		}
		all, size = append(all, rec), size+len(rec.encoded)
	}
	return all, l, nil
}

// next takes a message. The record is empty when ctx has ended, and for a
// message that is not for the function.
func (r *subjectRun) next(ctx context.Context) (rec natsRecord, l millicent.Lineage, err error) {
	m, err := r.sub.NextMsgWithContext(ctx)
	switch {
	case errors.Is(err, nats.ErrSlowConsumer): // it is counted
		return rec, l, nil
	case err != nil && ctx.Err() != nil:
		return rec, l, nil
	case err != nil:
		return rec, l, err
	}
	if r.source.Server == "" {
		l = takeLineage(m.Header)
	}
	rec, _, err = r.record(natsContent{
		Subject: r.shown(m.Subject), Timestamp: r.service.cfg.Now().UnixMilli(), Headers: m.Header, Data: m.Data,
	})
	if len(rec.encoded) > maxEvent-len(eventBegin)-len(eventEnd) {
		r.note(fmt.Errorf("a message of %d bytes is too large for an event, and lost", len(m.Data)))
		return natsRecord{}, l, nil
	}
	return rec, l, err
}

// shown returns a message's subject as the function knows it.
func (r *subjectRun) shown(subject string) string {
	if r.source.Server == "" {
		return subject[len(millicent.DestinationSubject(r.mapping.Tenant, "")):]
	}
	return subject
}

// hand has an event run. While too many wait, it waits.
func (r *subjectRun) hand(event []byte, l millicent.Lineage) error {
	inv := r.invocation(event)
	inv.Lineage = l
	ctx := context.WithoutCancel(r.ctx)
	if l.Loops(inv.Tenant, inv.Function) {
		// It would be refused, and what follows from that could be its own cause.
		inv.ID, inv.Received = uuid.NewString(), r.service.cfg.Now()
		return r.service.cfg.Events.Abandon(ctx, inv, millicent.Abandoned{
			Condition: "RecursiveInvocation", Message: "The function ran in a loop through the subject " + r.source.Subject + ".",
		})
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := r.service.cfg.Events.Enqueue(ctx, inv)
		if millicent.ErrorCode(err) != millicent.CodeThrottled || r.ctx.Err() != nil {
			if err == nil {
				r.ran(nil)
			}
			return err
		}
		r.note(err)
		r.sleep(pause)
	}
}
