package queue

import (
	"github.com/millicent-run/millicent"
)

// Bounds is how much the queues may hold.
type Bounds struct {
	Messages      int   // in all
	Bytes         int64 // of bodies and attributes, in all
	QueueMessages int   // in one queue
	QueueBytes    int64 // in one queue
	QueueInFlight int   // leased to receivers, in one queue
	QueueDedup    int   // deduplication ids remembered, in one queue
}

// index is the state machine of all queues: what is in the log, by number and
// by queue, and what is on its way there. It does no I/O and takes no lock;
// times are given.
type index struct {
	bounds   Bounds
	entries  map[uint64]*entry
	queues   map[string]*queue // by key
	events   heap[*queue]
	next     uint64 // number of the next message
	messages int    // held by all queues
	bytes    int64
	files    map[uint64]bodyFile // bodies in files, by number
	refs     map[[16]byte]int    // messages that refer to a file
	dirty    []*entry            // whose state is to be written
	packs    ledger
}

func newIndex(b Bounds) *index {
	return &index{bounds: b, next: 1, entries: make(map[uint64]*entry), queues: make(map[string]*queue),
		files: make(map[uint64]bodyFile), refs: make(map[[16]byte]int),
		packs: ledger{cutBytes: cutBytes, slackBytes: slackBytes}}
}

// queue returns the queue with a key, which is made if need be.
func (ix *index) queue(key []byte) (*queue, error) {
	if q := ix.queues[string(key)]; q != nil {
		return q, nil
	}
	name, err := parseName(key)
	if err != nil {
		return nil, err
	}
	q := newQueue(name, string(key), &ix.packs)
	ix.queues[q.key] = q
	return q, nil
}

// touch brings the time of q's next event up to date, or forgets q when there
// is nothing to remember. It must follow each change of q.
func (ix *index) touch(q *queue) {
	if q.idle() {
		if q.eventPlace >= 0 {
			ix.events.remove(q)
		}
		if ix.queues[q.key] == q {
			delete(ix.queues, q.key)
		}
		return
	}
	at := q.nextEvent()
	switch {
	case at == q.event && (at == never) == (q.eventPlace < 0):
	case at == never:
		q.event = at
		ix.events.remove(q)
	case q.eventPlace < 0:
		q.event = at
		ix.events.push(q)
	default:
		q.event = at
		ix.events.fix(q)
	}
}

// nextEvent returns when advance has something to do, never if not.
func (ix *index) nextEvent() int64 {
	if len(ix.events) == 0 {
		return never
	}
	return ix.events.top().event
}

// advance does what is due at now: it calls wake with each queue that has
// messages that became ready, and expire with those past their retention,
// which it must bring into another phase.
func (ix *index) advance(now int64, wake func(*queue), expire func(*entry)) {
	for len(ix.events) > 0 && ix.events.top().event <= now {
		q := ix.events.top()
		if q.advance(now, expire) {
			wake(q)
		}
		ix.touch(q)
	}
}

// reserve counts a message that is on its way to the log, and refuses it when
// a bound is reached, unless the change is a move.
func (ix *index) reserve(q *queue, size int64, move bool) error {
	b := ix.bounds
	switch {
	case move:
	case q.held >= b.QueueMessages || q.bytes+size > b.QueueBytes:
		return millicent.Errorf(CodeFull, "The queue %s is full.", q.name.Name)
	case ix.messages >= b.Messages || ix.bytes+size > b.Bytes:
		return millicent.Errorf(CodeFull, "The queues are full.")
	}
	q.held++
	q.bytes += size
	ix.messages++
	ix.bytes += size
	return nil
}

// unreserve takes back what reserve counted.
func (ix *index) unreserve(q *queue, size int64) {
	q.held--
	q.bytes -= size
	ix.messages--
	ix.bytes -= size
}

// insert takes in a message that is in the log and was reserved.
func (ix *index) insert(q *queue, e *entry, groupID string, file bodyFile) {
	ix.entries[e.num] = e
	if e.file {
		ix.files[e.num] = file
		ix.refs[file.id]++
	}
	ix.packs.add(e.pack, e.length)
	q.add(e, groupID)
}

// remove forgets a message. It returns the file of its body when no other
// message refers to it.
func (ix *index) remove(e *entry) (file bodyFile, orphaned bool) {
	delete(ix.entries, e.num)
	e.queue.drop(e)
	ix.packs.sub(e.pack, e.length)
	ix.unreserve(e.queue, int64(e.size))
	if !e.file {
		return bodyFile{}, false
	}
	file = ix.files[e.num]
	delete(ix.files, e.num)
	if ix.refs[file.id]--; ix.refs[file.id] > 0 {
		return bodyFile{}, false
	}
	delete(ix.refs, file.id)
	return file, true
}

// lease brings a ready message into the hands of a receiver until due.
func (ix *index) lease(e *entry, receipt uint64, now, due int64, bound bool) {
	e.queue.set(e, phaseLeased, due)
	e.receipt, e.bound = receipt, bound
	e.receives++
	if e.first == 0 {
		e.first = now
	}
	ix.soil(e)
}

// soil notes that e's state is to be written.
func (ix *index) soil(e *entry) {
	if !e.dirty {
		e.dirty = true
		ix.dirty = append(ix.dirty, e)
	}
}

// find returns the message that a handle of a queue refers to.
func (ix *index) find(name Name, h Handle) (*entry, error) {
	num, receipt, ok := h.parse()
	if !ok {
		return nil, millicent.Errorf(CodeInvalidHandle, "The receipt handle %q is not valid.", string(h))
	}
	e := ix.entries[num]
	if e == nil || e.phase == phaseSettling || e.num < e.queue.purged {
		return nil, gone()
	}
	if e.queue.name != name {
		return nil, millicent.Errorf(CodeInvalidHandle, "The receipt handle %q is not one of this queue.", string(h))
	}
	if e.receipt != receipt {
		return nil, millicent.Errorf(CodeStaleHandle, "The message was received again since.")
	}
	return e, nil
}
