package queue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
)

// MaxLease bounds the messages of one Lease.
const MaxLease = 10_000

// A LeaseRequest asks for messages of a queue.
type LeaseRequest struct {
	Queue      Name
	Max        int           // 1 to MaxLease
	Visibility time.Duration // how long the messages are hidden from others
	Wait       time.Duration // how long to wait for the first message

	// Bound ends the lease with this process too: after a crash the messages
	// are ready at once, instead of when their visibility ends. With a
	// Visibility of zero there is no other end.
	Bound bool

	// DeadLetter, with MaxReceives above zero, is where a message is moved
	// instead of being received for more than MaxReceives times.
	MaxReceives int
	DeadLetter  Name
}

// Lease hands out messages, oldest first but for those that come back, and
// those of a group in order. It returns what is ready, at most Max; if nothing
// is, it waits for the first. Without a message, and when ctx ends while it
// waits, it returns none and no error.
//
// Errors: CodeOverLimit when too many messages of the queue are in flight.
func (q *Queues) Lease(ctx context.Context, r LeaseRequest) ([]Delivery, error) {
	if err := r.Queue.check(); err != nil {
		return nil, err
	}
	if r.Max < 1 || r.Max > MaxLease {
		return nil, millicent.Errorf(millicent.CodeInvalid, "%d messages can't be leased at once.", r.Max)
	}
	deadline := time.Now().Add(r.Wait)
	for {
		taken, waiter, err := q.take(r)
		if err != nil {
			return nil, err
		}
		if len(taken) > 0 {
			deliveries, err := q.deliver(ctx, r, taken)
			if err != nil || len(deliveries) > 0 {
				return deliveries, err
			}
			continue // all were dead letters
		}
		if !q.awaitMessage(ctx, r.Queue, waiter, time.Until(deadline)) {
			return nil, nil
		}
	}
}

// taken is a leased message as it was when it was leased: where its record is,
// and what has changed since its Put.
type taken struct {
	num, pack   uint64
	off, length uint32
	state       state
}

func (e *entry) taken() taken {
	return taken{num: e.num, pack: e.pack, off: e.off, length: e.length, state: e.state()}
}

// take leases what is ready, or leaves a waiter.
func (q *Queues) take(r LeaseRequest) (out []taken, waiter chan struct{}, err error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return nil, nil, err
	}
	of, err := q.ix.queue(r.Queue.key())
	if err != nil {
		return nil, nil, err
	}
	defer q.ix.touch(of)
	limit := min(r.Max, q.ix.bounds.QueueInFlight-of.counts[phaseLeased])
	if limit <= 0 {
		return nil, nil, millicent.Errorf(CodeOverLimit, "Too many messages of the queue %s are in flight.", r.Queue.Name)
	}
	out = q.takeFrom(of, limit, r)
	if len(out) == 0 {
		waiter = make(chan struct{}, 1)
		of.waiters = append(of.waiters, waiter)
		of.pulls++
		return nil, waiter, nil
	}
	q.wake(of) // others wait for the rest
	return out, nil, nil
}

// takeNow leases what is ready, for a dispatcher. It returns how many messages
// are ready still if some of them can be leased.
func (q *Queues) takeNow(r LeaseRequest) (out []taken, left int) {
	q.mu.Lock()
	defer q.unlock()
	of := q.ix.queues[string(r.Queue.key())]
	if of == nil || q.usable() != nil {
		return nil, 0
	}
	defer q.ix.touch(of)
	out = q.takeFrom(of, r.Max, r)
	if of.leasable() {
		left = of.counts[phaseReady]
	}
	return out, left
}

func (q *Queues) takeFrom(of *queue, limit int, r LeaseRequest) (out []taken) {
	now := q.now()
	due := now + r.Visibility.Milliseconds()
	if r.Bound && r.Visibility == 0 {
		due = never
	}
	var expired []*entry
	of.take(limit, func(e *entry) bool {
		if e.expired(now) {
			of.set(e, phaseSettling, 0)
			expired = append(expired, e)
			return false
		}
		q.ix.lease(e, newReceipt(), now, due, r.Bound)
		out = append(out, e.taken())
		return true
	})
	q.settleExpired(expired)
	return out
}

// newReceipt returns a random number that is not zero.
func newReceipt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

// awaitMessage waits until there may be a message; it returns false when there
// is none within wait.
func (q *Queues) awaitMessage(ctx context.Context, name Name, waiter chan struct{}, wait time.Duration) bool {
	told := false
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-waiter:
			told = true
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	q.mu.Lock()
	defer q.unlock()
	of := q.ix.queues[string(name.key())] // is there: it has our pull
	of.pulls--
	if !told && !of.forgetWaiter(waiter) {
		q.wake(of) // it was told just now: that is for another
	}
	q.ix.touch(of)
	return told && !q.closed
}

// forgetWaiter reports whether the waiter was still waiting.
func (q *queue) forgetWaiter(waiter chan struct{}) bool {
	for i, w := range q.waiters {
		if w == waiter {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// deliver reads the messages that were leased. Those that were received too
// often are moved instead.
func (q *Queues) deliver(ctx context.Context, r LeaseRequest, leased []taken) ([]Delivery, error) {
	deliveries := make([]Delivery, 0, len(leased))
	for i, t := range leased {
		d, err := q.load(ctx, t)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			q.giveBack(r.Queue, leased[i:])
			if len(deliveries) > 0 {
				q.cfg.Log.Error("message could not be read", "queue", r.Queue.String(), "error", err)
				return deliveries, nil
			}
			return nil, &millicent.Error{Code: millicent.CodeInternal, Message: "A message could not be read.", Err: err}
		}
		if r.MaxReceives > 0 && d.Receives > r.MaxReceives {
			q.deadLetter(ctx, r, d)
			continue
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// giveBack makes leased messages ready again after a moment.
func (q *Queues) giveBack(name Name, leased []taken) {
	for _, t := range leased {
		// A message that is gone needs nothing.
		_ = q.Release(name, makeHandle(t.num, t.state.receipt), q.cfg.Now().Add(time.Second),
			Progress{int(t.state.attempts), int(t.state.throttles)})
	}
}

// deadLetter moves a message to its dead-letter queue. One that can't be moved
// stays leased and comes back.
func (q *Queues) deadLetter(ctx context.Context, r LeaseRequest, d Delivery) {
	m := d.Message
	m.Queue, m.From = r.DeadLetter, r.Queue
	m.Dedup, m.NotBefore, m.Progress = "", time.Time{}, Progress{}
	_, err := q.Apply(ctx, Change{Put: []Message{m}, Settle: []Settled{{r.Queue, d.Handle}}})
	if err != nil && ctx.Err() == nil {
		q.cfg.Log.Error("message not moved to its dead-letter queue", "queue", r.Queue.String(), "message", m.ID, "error", err)
	}
}
