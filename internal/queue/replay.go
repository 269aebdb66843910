package queue

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// A replay rebuilds the index from the log. Messages that were written again
// come after younger ones, so the lists are made at the end, in the order of
// numbers.
type replay struct {
	ix     *index
	seq    uint64 // of the pack being read
	groups map[uint64]string
}

// replay reads the log into the index.
func (q *Queues) replay(ctx context.Context) error {
	last, err := q.log.Last(ctx)
	if err != nil {
		return err
	}
	if last == nil {
		return nil
	}
	// The last pack says where the log begins: packs before that may be back
	// after a crash, without those that followed them.
	h, err := readPack(last, func(byte, int, []byte) error { return nil })
	if err != nil {
		return err
	}
	q.floor, q.ix.next = h.floor, max(h.next, 1)
	r := replay{ix: q.ix, groups: make(map[uint64]string)}
	err = q.log.Replay(ctx, 0, func(seq uint64, pack []byte) error {
		if seq < q.floor {
			return nil
		}
		r.seq = seq
		q.ix.packs.grow(seq, len(pack))
		_, err := readPack(pack, r.record)
		return err
	})
	if err != nil {
		return err
	}
	r.finish(q.now())
	return nil
}

// record takes in one record.
func (r *replay) record(kind byte, off int, payload []byte) error {
	switch kind {
	case recordPut:
		return r.put(off, payload)
	case recordSettle:
		return r.settle(payload)
	case recordUpdate:
		return r.update(payload)
	case recordPurge:
		return r.purge(payload)
	default:
		return r.mark(payload)
	}
}

func (r *replay) put(off int, payload []byte) error {
	p, err := decodePut(payload)
	if err != nil {
		return err
	}
	of, err := r.ix.queue(p.key)
	if err != nil {
		return err
	}
	if len(p.dedup) > 0 {
		r.remember(of, &dedup{key: string(p.dedup), id: string(p.id), num: p.num, until: p.until, pack: r.seq})
	}
	e := r.ix.entries[p.num]
	if e == nil {
		if p.size() > math.MaxUint32 {
			return errDamaged
		}
		e = &entry{num: p.num, queue: of, sent: p.sent, expires: p.expires, size: uint32(p.size()), file: p.file.size > 0}
		r.ix.entries[p.num] = e
		if len(p.group) > 0 {
			r.groups[p.num] = string(p.group)
		}
		if e.file {
			r.ix.files[e.num] = p.file
		}
	} else {
		r.ix.packs.sub(e.pack, e.length)
	}
	e.pack, e.off, e.length = r.seq, uint32(off), uint32(len(payload))
	r.ix.packs.add(e.pack, e.length)
	e.setState(p.state)
	r.ix.next = max(r.ix.next, p.num+1)
	return nil
}

func (r *replay) settle(payload []byte) error {
	in := reader{rest: payload}
	for len(in.rest) > 0 {
		r.forget(in.uvarint())
	}
	if in.bad {
		return fmt.Errorf("settle record: %w", errDamaged)
	}
	return nil
}

func (r *replay) forget(num uint64) {
	if e := r.ix.entries[num]; e != nil {
		delete(r.ix.entries, num)
		delete(r.ix.files, num)
		delete(r.groups, num)
		r.ix.packs.sub(e.pack, e.length)
	}
}

func (r *replay) update(payload []byte) error {
	in := reader{rest: payload}
	num, s := in.uvarint(), in.state()
	if in.bad || len(in.rest) > 0 {
		return fmt.Errorf("update record: %w", errDamaged)
	}
	if e := r.ix.entries[num]; e != nil {
		e.setState(s)
	}
	return nil
}

// purge notes which messages of a queue are gone: as their numbers are below
// that of any later message, finish can drop them.
func (r *replay) purge(payload []byte) error {
	in := reader{rest: payload}
	key, below, forget := in.bytes(), in.uvarint(), in.byte()
	if in.bad || len(in.rest) > 0 || forget > 1 {
		return fmt.Errorf("purge record: %w", errDamaged)
	}
	of, err := r.ix.queue(key)
	if err != nil {
		return err
	}
	of.purged = max(of.purged, below)
	if forget == 1 {
		clear(of.dedup)
	}
	return nil
}

func (r *replay) mark(payload []byte) error {
	in := reader{rest: payload}
	key := in.bytes()
	d := &dedup{key: string(in.bytes()), id: string(in.bytes()), num: in.uvarint(), until: int64(in.upTo(math.MaxInt64)), pack: r.seq}
	if in.bad || len(in.rest) > 0 {
		return fmt.Errorf("deduplication record: %w", errDamaged)
	}
	of, err := r.ix.queue(key)
	if err != nil {
		return err
	}
	r.remember(of, d)
	return nil
}

// remember keeps the younger of two messages with the same deduplication id:
// the older may have been written again after it.
func (r *replay) remember(of *queue, d *dedup) {
	if before := of.dedup[d.key]; before == nil || before.until <= d.until {
		of.dedup[d.key] = d
	}
}

// finish makes the lists and counts of what is left.
func (r *replay) finish(now int64) {
	ix := r.ix
	left := make([]*entry, 0, len(ix.entries))
	for _, e := range ix.entries {
		left = append(left, e)
	}
	slices.SortFunc(left, func(a, b *entry) int { return cmp.Compare(a.num, b.num) })
	for _, e := range left {
		if e.num < e.queue.purged {
			r.forget(e.num)
			continue
		}
		of := e.queue
		of.held++
		of.bytes += int64(e.size)
		ix.messages++
		ix.bytes += int64(e.size)
		if e.file {
			ix.refs[ix.files[e.num].id]++
		}
		of.add(e, r.groups[e.num])
	}
	for _, of := range ix.queues {
		of.purged = 0
		for _, d := range of.dedup {
			of.dedupOrder = append(of.dedupOrder, d)
			ix.packs.dedup += of.cost(d)
		}
		slices.SortFunc(of.dedupOrder, func(a, b *dedup) int { return cmp.Compare(a.until, b.until) })
		of.forgetDedup(now)
		ix.touch(of)
	}
}
