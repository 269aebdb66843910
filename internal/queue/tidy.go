package queue

import (
	"context"
	"errors"
)

// moveBytes bounds what is written again in one step, so that compaction
// comes between other changes in small pieces.
const moveBytes = 128 << 10

// tidy cuts useless packs off the front of the log, writes again what keeps
// too much of it, and removes the files of bodies that are no longer needed,
// until the queues are closed.
func (q *Queues) tidy(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.clean:
		}
		if q.isClosed() {
			return
		}
		q.removeOrphans()
		if err := q.shrink(ctx); err != nil && !errors.Is(err, errBlocked) && !q.isClosed() {
			q.cfg.Log.Error("the log of the queues could not be shortened", "error", err)
		}
	}
}

func (q *Queues) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *Queues) removeOrphans() {
	q.mu.Lock()
	orphans := q.orphans
	q.orphans = nil
	q.mu.Unlock()
	q.bodies.remove(orphans)
}

// shrink makes the log as short as it is worth. It goes through the log once
// at most.
func (q *Queues) shrink(ctx context.Context) error {
	q.mu.Lock()
	end := q.ix.packs.end()
	q.mu.Unlock()
	for {
		if err := q.cut(ctx); err != nil {
			return err
		}
		q.mu.Lock()
		below, _ := q.ix.packs.useless()
		crowded := q.ix.packs.crowded() && below < end
		q.mu.Unlock()
		if !crowded {
			return nil
		}
		if err := q.rewrite(ctx, below); err != nil {
			return err
		}
	}
}

// cut removes the useless packs at the front, if they are worth it.
func (q *Queues) cut(ctx context.Context) error {
	q.mu.Lock()
	below, worth := q.ix.packs.worthCutting()
	q.mu.Unlock()
	if !worth {
		return nil
	}
	// Deduplication ids outlive their messages.
	for {
		b, err := q.keepDedup(below)
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if err := await(ctx, b); err != nil {
			return err
		}
	}
	b, err := q.raiseFloor(below)
	if err != nil {
		return err
	}
	if err := await(ctx, b); err != nil {
		return err
	}
	q.mu.Lock()
	q.ix.packs.cut(below)
	q.mu.Unlock()
	return q.log.Cut(ctx, below)
}

// raiseFloor declares the packs below useless; what it returns makes that
// durable. Only then may they be removed: a crash may bring some of them back.
func (q *Queues) raiseFloor(below uint64) (*batch, error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return nil, err
	}
	q.floor = below
	b := q.batch(0)
	b.header = true
	return b, nil
}

// keepDedup writes again some deduplication ids that are in packs below; nil
// when there are none.
func (q *Queues) keepDedup(below uint64) (*batch, error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return nil, err
	}
	now := q.now()
	b := (*batch)(nil)
	start := 0
	for _, of := range q.ix.queues {
		of.forgetDedup(now)
		for _, d := range of.dedup {
			if d.batch != nil || d.pack >= below {
				continue
			}
			if b == nil {
				b = q.batch(moveBytes)
				start = len(b.buf)
			}
			b.mark(of, d)
			if len(b.buf)-start > moveBytes {
				return b, nil
			}
		}
	}
	return b, nil
}

// rewrite writes the messages of a pack again, at the end of the log.
func (q *Queues) rewrite(ctx context.Context, seq uint64) error {
	pack, err := q.log.Read(ctx, seq)
	if err != nil {
		return err
	}
	var records [][]byte
	var offs []int
	_, err = readPack(pack, func(kind byte, off int, payload []byte) error {
		if kind == recordPut {
			records, offs = append(records, payload), append(offs, off)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(records) > 0 {
		b, n, err := q.move(seq, records, offs)
		if err != nil {
			return err
		}
		if b != nil {
			if err := await(ctx, b); err != nil {
				return err
			}
		}
		records, offs = records[n:], offs[n:]
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ix.packs.records(seq) > 0 {
		return errBlocked
	}
	return nil
}

// errBlocked is the error of a rewrite that left messages which are on the
// way to being settled. When they are, the janitor is told again.
var errBlocked = errors.New("messages at the front of the log are being settled")

// move writes again some of the put records of a pack, as far as their
// messages are still there. It returns how many records it dealt with, and nil
// when there was nothing to write.
func (q *Queues) move(seq uint64, records [][]byte, offs []int) (b *batch, n int, err error) {
	q.mu.Lock()
	defer q.unlock()
	if err := q.usable(); err != nil {
		return nil, 0, err
	}
	written := 0
	for n < len(records) && written < moveBytes {
		p, err := decodePut(records[n])
		if err != nil {
			return nil, 0, err
		}
		off := uint32(offs[n])
		n++
		e := q.ix.entries[p.num]
		// One that is being settled must not follow its settlement in the log.
		if e == nil || e.pack != seq || e.off != off || e.phase == phaseSettling || e.num < e.queue.purged {
			continue
		}
		size := len(p.fixed) + 100
		b = q.batch(size) // if not the one before, then it is written after it
		b.again(e, p.fixed)
		written += size
	}
	return b, n, nil
}
