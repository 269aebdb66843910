package queue

import (
	"cmp"
	"slices"
	"time"
)

// Stats is the state of a queue at a moment.
type Stats struct {
	Name     Name
	Ready    int // to be leased; of a group in flight, waiting for that
	Delayed  int // new or released, not due yet
	InFlight int // leased
	Bytes    int64
	Oldest   time.Time // when the oldest message was sent; zero without one
	NextDue  time.Time // of the delayed; zero without one
}

// Messages is the number of messages in the queue.
func (s Stats) Messages() int { return s.Ready + s.Delayed + s.InFlight }

// Stats returns the state of a queue; all zero for one without messages.
func (q *Queues) Stats(name Name) Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	if of := q.ix.queues[string(name.key())]; of != nil {
		return of.stats()
	}
	return Stats{Name: name}
}

func (q *queue) stats() Stats {
	s := Stats{Name: q.name, Ready: q.counts[phaseReady], Delayed: q.counts[phaseDelayed],
		InFlight: q.counts[phaseLeased] + q.counts[phaseSettling], Bytes: q.bytes}
	if q.all.head != nil {
		s.Oldest = timeOf(q.all.head.sent)
	}
	if len(q.delayed) > 0 {
		s.NextDue = timeOf(q.delayed.top().due)
	}
	return s
}

// List returns the state of the queues that have messages, of a kind and a
// tenant ("" for all), by name.
func (q *Queues) List(kind, tenant string) []Stats {
	q.mu.Lock()
	var out []Stats
	for _, of := range q.ix.queues {
		if of.all.n > 0 && (kind == "" || of.name.Kind == kind) && (tenant == "" || of.name.Tenant == tenant) {
			out = append(out, of.stats())
		}
	}
	q.mu.Unlock()
	slices.SortFunc(out, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Name.Kind, b.Name.Kind), cmp.Compare(a.Name.Tenant, b.Name.Tenant), cmp.Compare(a.Name.Name, b.Name.Name))
	})
	return out
}
