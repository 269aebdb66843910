package queue

import (
	"context"
	"errors"
)

// MaxBrowse bounds the messages of one Browse.
const MaxBrowse = 1000

// Browse returns messages of a queue without leasing them, oldest first: those
// with a Sequence above after, at most max of them. They have no Handle.
func (q *Queues) Browse(ctx context.Context, name Name, after uint64, max int) ([]Delivery, error) {
	var found []Delivery
	for _, t := range q.glance(name, after, min(max, MaxBrowse)) {
		d, err := q.load(ctx, t)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		d.Handle = ""
		found = append(found, d)
	}
	return found, nil
}

// glance returns where messages of a queue are.
func (q *Queues) glance(name Name, after uint64, max int) []taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	of := q.ix.queues[string(name.key())]
	if of == nil {
		return nil
	}
	now := q.now()
	e := of.all.head
	if last := q.ix.entries[after]; last != nil && last.queue == of {
		e = last
	}
	var out []taken
	for ; e != nil && len(out) < max; e = e.all.next {
		if e.num > after && e.phase != phaseSettling && e.num >= of.purged && !e.expired(now) {
			out = append(out, e.taken())
		}
	}
	return out
}
