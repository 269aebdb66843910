package queue

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
)

// maxBrowse bounds the messages of one Browse.
const maxBrowse = 1000

// Browse returns up to limit messages of a queue, oldest first, whatever their
// state, beginning after a Sequence (0 for the first). It leases none of them:
// the deliveries have no Handle.
func (q *Queues) Browse(ctx context.Context, name Name, after uint64, limit int) ([]Delivery, error) {
	var out []Delivery
	for _, at := range q.browse(name, after, min(limit, maxBrowse)) {
		d, err := q.load(ctx, at)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, &millicent.Error{Code: millicent.CodeInternal, Message: "A message could not be read.", Err: err}
		}
		d.Handle = ""
		out = append(out, d)
	}
	return out, nil
}

func (q *Queues) browse(name Name, after uint64, limit int) (out []taken) {
	q.mu.Lock()
	defer q.mu.Unlock()
	of := q.ix.queues[string(name.key())]
	if of == nil {
		return nil
	}
	e := of.all.head
	if known := q.ix.entries[after]; known != nil && known.queue == of {
		e = known
	}
	for ; e != nil && len(out) < limit; e = e.all.next {
		if e.num > after {
			out = append(out, e.taken())
		}
	}
	return out
}

// Claim leases one message by its Sequence, out of turn: one that is ready, or
// waits for its time. It is for people who deal with single messages, such as
// dead letters.
//
// Errors: CodeGone, and CodeConflict while the message is in flight.
func (q *Queues) Claim(ctx context.Context, name Name, sequence uint64, visibility time.Duration) (Delivery, error) {
	at, err := q.claim(name, sequence, visibility)
	if err != nil {
		return Delivery{}, err
	}
	r := LeaseRequest{Queue: name}
	got, err := q.deliver(ctx, r, []taken{at})
	if err != nil {
		return Delivery{}, err
	}
	if len(got) == 0 {
		return Delivery{}, gone()
	}
	return got[0], nil
}

func (q *Queues) claim(name Name, sequence uint64, visibility time.Duration) (taken, error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return taken{}, err
	}
	e := q.ix.entries[sequence]
	switch {
	case e == nil || e.queue.name != name || e.phase == phaseSettling || e.num < e.queue.purged:
		return taken{}, gone()
	case e.phase == phaseLeased:
		return taken{}, millicent.Errorf(millicent.CodeConflict, "The message is in flight.")
	}
	now := q.now()
	q.ix.lease(e, newReceipt(), now, now+visibility.Milliseconds(), true)
	q.ix.touch(e.queue)
	return e.taken(), nil
}

func gone() error { return millicent.Errorf(CodeGone, "The message does not exist any more.") }
