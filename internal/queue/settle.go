package queue

import (
	"context"
	"time"

	"github.com/millicent-run/millicent"
)

// CodeNotInFlight is the code of the error of Extend and Release for a message
// whose lease has ended.
const CodeNotInFlight = "MessageNotInflight"

// Settle declares messages done with, each by itself, and returns when that is
// durable: none of them comes back. The errors are by handle, nil if all went
// well. There may be MaxLease handles.
//
// Errors: CodeInvalidHandle, CodeStaleHandle, CodeGone. A handle is good until
// the message is leased again, also after its visibility has ended.
func (q *Queues) Settle(ctx context.Context, name Name, handles ...Handle) []error {
	errs, b := q.settle(name, handles)
	if b != nil {
		if err := await(ctx, b); err != nil {
			for i := range errs {
				if errs[i] == nil {
					errs[i] = err
				}
			}
		}
	}
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}

func (q *Queues) settle(name Name, handles []Handle) (errs []error, b *batch) {
	errs = make([]error, len(handles))
	q.mu.Lock()
	defer q.unlock()
	unusable := q.usable()
	if len(handles) > MaxLease {
		unusable = millicent.Errorf(millicent.CodeInvalid, "%d messages can't be settled at once.", len(handles))
	}
	var entries []*entry
	for i, h := range handles {
		if errs[i] = unusable; unusable != nil {
			continue
		}
		e, err := q.ix.find(name, h)
		if errs[i] = err; err != nil {
			continue
		}
		e.queue.set(e, phaseSettling, 0)
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return errs, nil
	}
	q.ix.touch(entries[0].queue)
	b = q.batch(10*len(entries) + 8)
	b.settle(entries...)
	return errs, b
}

// Extend hides a leased message from others for d from now on. It does not
// wait for the disk: a crash within the next 50 ms forgets it.
//
// Errors: those of Settle, and CodeNotInFlight.
func (q *Queues) Extend(name Name, h Handle, d time.Duration) error {
	return q.change(name, h, func(e *entry, now int64) {
		e.queue.set(e, phaseLeased, now+max(d.Milliseconds(), 0))
	})
}

// Release gives a leased message back, to be leased again at notBefore (zero
// means at once), with the consumer's progress. It does not wait for the disk:
// a crash within the next 50 ms forgets it. The handle stays good for Settle
// until the next lease.
//
// Errors: those of Settle, and CodeNotInFlight.
func (q *Queues) Release(name Name, h Handle, notBefore time.Time, p Progress) error {
	return q.change(name, h, func(e *entry, now int64) {
		e.attempts, e.throttles, e.bound = clamp16(p.Attempts), clamp16(p.Throttles), false
		if due := millis(notBefore); due > now {
			e.queue.set(e, phaseDelayed, due)
			return
		}
		e.queue.set(e, phaseReady, 0)
	})
}

// change changes a leased message.
func (q *Queues) change(name Name, h Handle, f func(e *entry, now int64)) error {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return err
	}
	e, err := q.ix.find(name, h)
	if err != nil {
		return err
	}
	if e.phase != phaseLeased {
		return millicent.Errorf(CodeNotInFlight, "The message is not in flight.")
	}
	f(e, q.now())
	q.ix.soil(e)
	q.wake(e.queue)
	q.ix.touch(e.queue)
	return nil
}

// Purge removes all messages of a queue, those in flight too, and returns when
// that is durable.
func (q *Queues) Purge(ctx context.Context, name Name) error { return q.purge(ctx, name, false) }

// Drop removes a queue: it purges it, and forgets its deduplication ids.
func (q *Queues) Drop(ctx context.Context, name Name) error { return q.purge(ctx, name, true) }

func (q *Queues) purge(ctx context.Context, name Name, forget bool) error {
	if err := name.check(); err != nil {
		return err
	}
	b, err := q.enqueuePurge(name, forget)
	if err != nil {
		return err
	}
	return await(ctx, b)
}

func (q *Queues) enqueuePurge(name Name, forget bool) (*batch, error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return nil, err
	}
	of, err := q.ix.queue(name.key())
	if err != nil {
		return nil, err
	}
	of.purging++
	of.purged = q.ix.next
	b := q.batch(64 + len(of.key))
	b.purge(purge{queue: of, below: of.purged, forget: forget})
	return b, nil
}
