package queue

import (
	"encoding/binary"
)

const (
	// packBytes is how large a pack may grow before the next one is begun.
	packBytes = 512 << 10

	// headerRoom is the room at the start of a batch for the pack's header.
	headerRoom = 1 + 2*binary.MaxVarintLen64
)

// A batch is what becomes one pack: the records of many changes, and what is
// to be done in memory when they are durable. The lock of the Queues guards
// it until it is taken to be written.
type batch struct {
	buf     []byte // headerRoom, then records
	puts    []put
	moves   []move
	settles []*entry
	updates []*entry
	purges  []purge
	marks   []*dedup
	header  bool // to be written also without records
	size    int  // counted in Queues.pending

	done chan struct{} // closed when the batch was written or refused
	err  error         // valid when done is closed
}

// put is a message to take in; entry.off counts from the start of buf.
type put struct {
	entry *entry
	queue *queue
	group string
	file  bodyFile
	dedup *dedup // nil without one
}

// move is a record that was written again.
type move struct {
	entry       *entry
	off, length uint32
}

type purge struct {
	queue  *queue
	below  uint64
	forget bool // the deduplication ids too
}

func newBatch() *batch {
	return &batch{buf: make([]byte, headerRoom, 4<<10), done: make(chan struct{})}
}

// pack returns the batch as a pack, and by how much the offsets of records are
// less in it than in buf.
func (b *batch) pack(h packHeader) (pack []byte, shift uint32) {
	var head [headerRoom]byte
	header := appendHeader(head[:0], h)
	shift = uint32(headerRoom - len(header))
	copy(b.buf[shift:], header)
	return b.buf[shift:], shift
}

// record appends a record and returns where its payload is in buf.
func (b *batch) record(kind byte, parts ...[]byte) (off, length uint32) {
	b.buf = appendRecord(b.buf, kind, parts...)
	for _, p := range parts {
		length += uint32(len(p))
	}
	return uint32(len(b.buf)) - length, length
}

// put appends the record of a message with a number and a state.
func (b *batch) message(num uint64, s state, fixed []byte) (off, length uint32) {
	var room [96]byte
	return b.record(recordPut, appendState(binary.AppendUvarint(room[:0], num), s), fixed)
}

// add appends a new message.
func (b *batch) add(p put, fixed []byte) {
	p.entry.off, p.entry.length = b.message(p.entry.num, p.entry.state(), fixed)
	b.puts = append(b.puts, p)
}

// again appends the record of a message that is in the log already.
func (b *batch) again(e *entry, fixed []byte) {
	off, length := b.message(e.num, e.state(), fixed)
	b.moves = append(b.moves, move{entry: e, off: off, length: length})
}

// settle appends the settlement of messages, which must be in phase settling.
func (b *batch) settle(entries ...*entry) {
	if len(entries) == 0 {
		return
	}
	payload := make([]byte, 0, 64)
	for _, e := range entries {
		payload = binary.AppendUvarint(payload, e.num)
	}
	b.record(recordSettle, payload)
	b.settles = append(b.settles, entries...)
}

// update appends the state of a message.
func (b *batch) update(e *entry) {
	var room [96]byte
	b.record(recordUpdate, appendState(binary.AppendUvarint(room[:0], e.num), e.state()))
	b.updates = append(b.updates, e)
}

// purge appends that the messages of a queue with numbers below are gone.
func (b *batch) purge(p purge) {
	payload := appendBytes(nil, []byte(p.queue.key))
	payload = binary.AppendUvarint(payload, p.below)
	if p.forget {
		payload = append(payload, 1)
	} else {
		payload = append(payload, 0)
	}
	b.record(recordPurge, payload)
	b.purges = append(b.purges, p)
}

// mark appends a deduplication id, whose message may be gone.
func (b *batch) mark(q *queue, d *dedup) {
	payload := appendBytes(nil, []byte(q.key))
	payload = appendBytes(payload, []byte(d.key))
	payload = appendBytes(payload, []byte(d.id))
	payload = binary.AppendUvarint(payload, d.num)
	payload = binary.AppendUvarint(payload, uint64(d.until))
	b.record(recordDedup, payload)
	b.marks = append(b.marks, d)
}
