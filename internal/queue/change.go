package queue

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

const (
	// inlineBody is the largest body that is kept in the log; larger ones go
	// to files.
	inlineBody = 256 << 10

	// inlineChange bounds the bodies in the log of one change.
	inlineChange = 4 << 20
)

// A Change puts and settles messages in one step: after a crash, all of it is
// done or nothing.
type Change struct {
	Put    []Message // at most MaxChange
	Settle []Settled // at most MaxLease; refused as a whole if one can't be settled
}

// Settled names a message that is done with.
type Settled struct {
	Queue  Name
	Handle Handle
}

// Put puts messages, all or none, and returns when they are durable, with one
// Receipt for each.
//
// Errors: CodeFull when a bound is reached, CodeInvalid for a message that is
// too large. When ctx ends, the messages may have been put or not.
func (q *Queues) Put(ctx context.Context, messages ...Message) ([]Receipt, error) {
	return q.Apply(ctx, Change{Put: messages})
}

// Apply makes a change and returns when it is durable. A change that settles
// at least as many messages as it puts is a move, which no bound refuses.
//
// Errors are those of Put, and of Settle for what can't be settled.
func (q *Queues) Apply(ctx context.Context, c Change) ([]Receipt, error) {
	if len(c.Settle) > MaxLease {
		return nil, millicent.Errorf(millicent.CodeInvalid, "%d messages can't be settled at once.", len(c.Settle))
	}
	p, err := q.prepare(c.Put)
	if err != nil {
		return nil, err
	}
	receipts, batches, err := q.enqueue(ctx, c, p)
	if err != nil {
		q.bodies.remove(p.files)
		return nil, err
	}
	for _, b := range batches {
		if err := await(ctx, b); err != nil {
			return nil, err
		}
	}
	return receipts, nil
}

// await waits until a batch is durable.
func await(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return &millicent.Error{Code: millicent.CodeServerUnavailable,
			Message: "The request was given up before it was known to be stored.", Err: ctx.Err()}
	}
}

// prepared is the messages of a change, checked and encoded.
type prepared struct {
	messages []Message // with ID and Sent
	fixed    [][]byte
	files    []bodyFile // by message; size 0 without one
	until    int64      // of deduplication ids
	bytes    int
}

// prepare does what needs no lock: it checks and encodes messages, and writes
// large bodies to files.
func (q *Queues) prepare(messages []Message) (p prepared, err error) {
	if len(messages) > MaxChange {
		return p, millicent.Errorf(millicent.CodeInvalid, "%d messages are too many for one change.", len(messages))
	}
	for i := range messages {
		if err := messages[i].check(); err != nil {
			return p, err
		}
	}
	now := q.cfg.Now()
	p = prepared{fixed: make([][]byte, len(messages)), files: make([]bodyFile, len(messages)),
		until: millis(now.Add(DedupWindow))}
	p.messages = append(p.messages, messages...)
	for i := range p.messages {
		m := &p.messages[i]
		if m.ID == "" {
			m.ID = uuid.NewString()
		}
		if m.Sent.IsZero() {
			m.Sent = now
		}
		if len(m.Body) > inlineBody || p.bytes+len(m.Body) > inlineChange {
			if p.files[i], err = q.bodies.write(m.Body); err != nil {
				q.bodies.remove(p.files)
				return p, fmt.Errorf("store the body of a message: %w", err)
			}
		}
		p.fixed[i] = appendFixed(nil, m, p.until, p.files[i])
		p.bytes += len(p.fixed[i])
	}
	if p.bytes > maxPack-packBytes {
		q.bodies.remove(p.files)
		return p, millicent.Errorf(millicent.CodeInvalid, "The messages of one change are too large together.")
	}
	return p, nil
}

// enqueue brings a change on its way. It returns the batches to wait for.
func (q *Queues) enqueue(ctx context.Context, c Change, p prepared) ([]Receipt, []*batch, error) {
	if err := q.lockWithRoom(ctx); err != nil {
		return nil, nil, err
	}
	defer q.unlock()
	settles, err := q.settling(c.Settle)
	if err != nil {
		return nil, nil, err
	}
	puts, receipts, firsts, err := q.accept(p, len(c.Settle) >= len(c.Put))
	if err != nil {
		return nil, nil, err
	}
	b := q.batch(p.bytes + 32*len(puts) + 10*len(settles))
	for i, put := range puts {
		if put.entry == nil {
			q.orphan(p.files[i]) // a duplicate
			continue
		}
		if put.dedup != nil {
			put.dedup.batch = b
		}
		b.add(put, p.fixed[i])
	}
	for _, e := range settles {
		e.queue.set(e, phaseSettling, 0)
		q.ix.touch(e.queue)
	}
	b.settle(settles...)
	return receipts, append(firsts, b), nil
}

// lockWithRoom takes the lock when the log has room for another change.
func (q *Queues) lockWithRoom(ctx context.Context) error {
	for {
		q.mu.Lock()
		if err := q.usable(); err != nil {
			q.mu.Unlock()
			return err
		}
		if q.pending < maxPending {
			return nil
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return &millicent.Error{Code: millicent.CodeServerUnavailable,
				Message: "The disk does not keep up.", Err: ctx.Err()}
		}
	}
}

// settling returns the messages to settle.
func (q *Queues) settling(settle []Settled) ([]*entry, error) {
	var entries []*entry
	for _, s := range settle {
		e, err := q.ix.find(s.Queue, s.Handle)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// accept numbers and counts messages. A duplicate has no entry; its first may
// be in a batch of firsts.
func (q *Queues) accept(p prepared, move bool) (puts []put, receipts []Receipt, firsts []*batch, err error) {
	now := q.now()
	next := q.ix.next
	for i := range p.messages {
		m := &p.messages[i]
		of, err := q.ix.queue(m.Queue.key())
		if err != nil {
			return nil, nil, nil, err
		}
		if d := of.dedup[m.Dedup]; m.Dedup != "" && d != nil && d.until > now {
			puts = append(puts, put{})
			receipts = append(receipts, Receipt{ID: d.id, Sequence: d.num, Duplicate: true})
			if d.batch != nil {
				firsts = append(firsts, d.batch)
			}
			continue
		}
		one, err := q.acceptOne(of, m, p.files[i], p.until, move)
		if err != nil {
			q.ix.touch(of)
			q.unaccept(puts)
			q.ix.next = next
			return nil, nil, nil, err
		}
		puts = append(puts, one)
		receipts = append(receipts, Receipt{ID: m.ID, Sequence: one.entry.num})
	}
	return puts, receipts, firsts, nil
}

// acceptOne numbers and counts a message that is no duplicate.
func (q *Queues) acceptOne(of *queue, m *Message, file bodyFile, until int64, move bool) (put, error) {
	if m.Dedup != "" && len(of.dedup) >= q.ix.bounds.QueueDedup {
		return put{}, millicent.Errorf(CodeFull, "The queue %s remembers too many deduplication ids.", of.name.Name)
	}
	if err := q.ix.reserve(of, m.size(), move); err != nil {
		return put{}, err
	}
	e := &entry{num: q.ix.next, sent: millis(m.Sent), expires: millis(m.Expires), size: uint32(m.size()), file: file.size > 0}
	e.setState(state{due: millis(m.NotBefore), attempts: clamp16(m.Progress.Attempts), throttles: clamp16(m.Progress.Throttles)})
	q.ix.next++
	p := put{entry: e, queue: of, group: m.Group, file: file}
	if m.Dedup != "" {
		p.dedup = &dedup{key: m.Dedup, id: m.ID, num: e.num, until: until}
		of.remember(p.dedup)
	}
	return p, nil
}

// unaccept takes back what accept did.
func (q *Queues) unaccept(puts []put) {
	for _, p := range puts {
		if p.entry == nil {
			continue
		}
		q.ix.unreserve(p.queue, int64(p.entry.size))
		if p.dedup != nil {
			p.queue.forget(p.dedup)
		}
		q.ix.touch(p.queue)
	}
}

// orphan lets the file of a body be removed, if there is one.
func (q *Queues) orphan(file bodyFile) {
	if file.size > 0 {
		q.orphans = append(q.orphans, file)
		signal(q.clean)
	}
}

// clamp16 returns n within the bounds of a uint16.
func clamp16(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }
