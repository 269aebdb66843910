package queue

import (
	"context"
	"slices"
	"time"
)

// tick does what is due: one goroutine and one timer for all queues.
func (q *Queues) tick(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, open := q.passTime()
		if !open {
			return
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-q.alarm:
		case <-timer.C:
		}
	}
}

// passTime does what is due now and returns how long there is nothing more to
// do; open is false when the queues are closed.
func (q *Queues) passTime() (wait time.Duration, open bool) {
	q.mu.Lock()
	defer q.unlock()
	if q.closed {
		return 0, false
	}
	now := q.now()
	var expired []*entry
	q.ix.advance(now, q.wake, func(e *entry) {
		e.queue.set(e, phaseSettling, 0)
		expired = append(expired, e)
	})
	q.settleExpired(expired)
	q.alarmAt = q.ix.nextEvent()
	return time.Duration(min(q.alarmAt-now, time.Hour.Milliseconds())) * time.Millisecond, true
}

// settleExpired settles messages past their retention, which nobody waits for.
// The lock is held.
func (q *Queues) settleExpired(expired []*entry) {
	for some := range slices.Chunk(expired, MaxLease) {
		q.batch(10*len(some) + 8).settle(some...)
	}
}

// wake tells one receiver and the dispatchers that q has a message to lease.
// The lock is held.
func (q *Queues) wake(of *queue) {
	if !of.leasable() {
		return
	}
	of.wakeOne()
	for _, d := range q.dispatchers {
		d.ready(of.name, of.counts[phaseReady])
	}
}

// wakeOne tells the receiver that waits longest.
func (q *queue) wakeOne() {
	if len(q.waiters) == 0 {
		return
	}
	signal(q.waiters[0])
	q.waiters[0] = nil
	q.waiters = q.waiters[1:]
}
