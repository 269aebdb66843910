package queue

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/packs"
)

// batch returns the batch that takes in the next records, of some size. The
// lock is held.
func (q *Queues) batch(size int) *batch {
	if n := len(q.batches); n > 0 {
		if b := q.batches[n-1]; len(b.buf) == headerRoom || len(b.buf)+size <= packBytes {
			b.size += size
			q.pending += size
			return b
		}
	}
	b := newBatch()
	b.size = size
	q.batches = append(q.batches, b)
	q.pending += size
	return b
}

// commit writes the batches, one after another: while one is on its way, the
// next takes in what comes. It ends when the queues are closed and everything
// is written.
func (q *Queues) commit(ctx context.Context) {
	for {
		b, wait, open := q.nextBatch()
		if b != nil {
			q.write(ctx, b)
			continue
		}
		if !open {
			return
		}
		q.await(wait)
	}
}

// await returns when there is work, or after wait if that is not zero.
func (q *Queues) await(wait time.Duration) {
	if wait == 0 {
		<-q.work
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-q.work:
	case <-timer.C:
	}
}

// nextBatch returns the batch to write next; nil means to wait for work, for
// as long as wait if that is not zero, or to end when not open.
func (q *Queues) nextBatch() (b *batch, wait time.Duration, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) > 0 {
		b = q.batches[0]
		q.batches[0] = nil
		q.batches = q.batches[1:]
	}
	if len(q.ix.dirty) > 0 {
		now := time.Now()
		if q.soiled.IsZero() {
			q.soiled = now
		}
		wait = max(q.soiled.Add(updateDelay).Sub(now), 0)
		if b == nil && (wait == 0 || q.closed) {
			b = newBatch()
		}
	}
	if b != nil {
		q.writeUpdates(b)
	}
	return b, wait, !q.closed
}

// writeUpdates appends the changed states of messages to a batch, as far as
// they fit. A message that is being settled needs none.
func (q *Queues) writeUpdates(b *batch) {
	dirty := q.ix.dirty
	for len(dirty) > 0 && (len(b.buf) < packBytes || len(b.updates) == 0) {
		e := dirty[0]
		dirty = dirty[1:]
		e.dirty = false
		if q.ix.entries[e.num] == e && e.phase != phaseSettling {
			b.update(e)
		}
	}
	q.ix.dirty = dirty
	if len(dirty) == 0 {
		q.ix.dirty = nil
		q.soiled = time.Time{}
	}
}

// write writes a batch and does what is to be done then.
func (q *Queues) write(ctx context.Context, b *batch) {
	q.mu.Lock()
	broken := q.broken
	wanted := b.header || len(b.buf) > headerRoom
	pack, shift := b.pack(packHeader{floor: q.floor, next: q.ix.next})
	q.mu.Unlock()
	var seq uint64
	err := broken
	if err == nil && wanted {
		seq, err = q.append(ctx, pack)
	}

	q.mu.Lock()
	q.pending -= b.size
	close(q.room)
	q.room = make(chan struct{})
	if err == nil && wanted {
		q.apply(b, seq, len(pack), shift)
	} else if err != nil {
		q.undo(b, err)
	}
	q.unlock()
	close(b.done)
}

// append appends a pack to the log. A log that refuses gets some rest.
func (q *Queues) append(ctx context.Context, pack []byte) (uint64, error) {
	seq, err := q.log.Append(ctx, pack)
	switch {
	case err == nil:
		q.cache.put(seq, pack)
	case errors.Is(err, packs.ErrRefused):
		q.cfg.Log.Warn("the log of the queues takes no more", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(refusedRest):
		}
	default:
		q.cfg.Log.Error("the queues can't be written any more", "error", err)
	}
	return seq, err
}

// apply takes a batch that is durable into memory.
func (q *Queues) apply(b *batch, seq uint64, size int, shift uint32) {
	q.ix.packs.grow(seq, size)
	for _, p := range b.puts {
		p.entry.pack, p.entry.off = seq, p.entry.off-shift
		q.ix.insert(p.queue, p.entry, p.group, p.file)
		if p.dedup != nil {
			p.dedup.pack, p.dedup.batch = seq, nil
		}
	}
	for _, m := range b.moves {
		if e := m.entry; q.ix.entries[e.num] == e {
			q.ix.packs.sub(e.pack, e.length)
			e.pack, e.off, e.length = seq, m.off-shift, m.length
			q.ix.packs.add(e.pack, e.length)
		}
	}
	for _, e := range b.settles {
		q.remove(e)
	}
	for _, p := range b.purges {
		q.applyPurge(p)
	}
	for _, d := range b.marks {
		d.pack = seq
	}
	for _, p := range b.puts {
		q.wake(p.queue)
		q.ix.touch(p.queue)
	}
	for _, e := range b.settles {
		q.wake(e.queue) // of a group, the next
		q.ix.touch(e.queue)
	}
	if _, worth := q.ix.packs.worthCutting(); worth || q.ix.packs.crowded() || len(q.orphans) > 0 {
		signal(q.clean)
	}
}

// remove forgets a message, if it is not forgotten already.
func (q *Queues) remove(e *entry) {
	if q.ix.entries[e.num] != e {
		return
	}
	if file, orphaned := q.ix.remove(e); orphaned {
		q.orphans = append(q.orphans, file)
	}
}

func (q *Queues) applyPurge(p purge) {
	for e := p.queue.all.head; e != nil && e.num < p.below; e = p.queue.all.head {
		q.remove(e)
	}
	if p.forget {
		p.queue.forgetDedup(never)
	}
	q.endPurge(p)
}

func (q *Queues) endPurge(p purge) {
	if p.queue.purging--; p.queue.purging == 0 {
		p.queue.purged = 0
		q.wake(p.queue)
	}
	q.ix.touch(p.queue)
}

// undo takes back what a batch that was not written had changed in memory.
func (q *Queues) undo(b *batch, err error) {
	b.err = &millicent.Error{Code: CodeFull, Message: "The queues are full.", Err: err}
	if !errors.Is(err, packs.ErrRefused) {
		q.broken = err
		b.err = &millicent.Error{Code: millicent.CodeServerUnavailable, Message: "The queues are out of order.", Err: err}
	}
	for _, p := range b.puts {
		q.ix.unreserve(p.queue, int64(p.entry.size))
		if p.dedup != nil {
			p.queue.forget(p.dedup)
		}
		if p.file.size > 0 {
			q.orphans = append(q.orphans, p.file)
		}
		q.ix.touch(p.queue)
	}
	for _, e := range b.settles {
		if q.ix.entries[e.num] == e {
			e.queue.set(e, phaseReady, 0)
			q.wake(e.queue)
			q.ix.touch(e.queue)
		}
	}
	for _, e := range b.updates {
		q.ix.soil(e)
	}
	for _, p := range b.purges {
		q.endPurge(p)
	}
}
