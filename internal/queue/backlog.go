package queue

import "math"

// never is a time that does not come.
const never = math.MaxInt64

// A queue is what memory keeps of one queue that has messages, waiting
// receivers, or deduplication ids to remember.
type queue struct {
	name Name
	key  string

	all      chain    // every message, by number
	fresh    chain    // ready, without a group, not leased before
	returned chain    // ready again, without a group
	avail    []*group // groups that may have a message to lease
	groups   map[string]*group
	delayed  heap[*entry]
	leased   heap[*entry]
	counts   [phaseSettling + 1]int
	turn     bool // fresh was last: it is returned's turn

	held    int    // messages, with those on the way to the log
	bytes   int64  // of held
	purging int    // purges on the way to the log: nothing is leased meanwhile
	purged  uint64 // messages with lower numbers are being purged

	packs      *ledger // of all queues: counts the deduplication ids
	dedup      map[string]*dedup
	dedupOrder []*dedup // by until

	waiters    []chan struct{} // receivers, first come first
	pulls      int             // receivers that use this queue
	eventPlace int32
	event      int64 // ms: when advance has something to do
}

// A group is the messages of a queue with the same group.
type group struct {
	id     string
	list   chain // by number
	busy   int   // leased or settling
	listed bool  // in queue.avail
}

// A dedup remembers a deduplication id.
type dedup struct {
	key   string // the deduplication id
	id    string // of the message
	num   uint64
	until int64  // ms
	pack  uint64 // that has the record
	batch *batch // that takes the message to the log; nil when it is there
}

func newQueue(name Name, key string, packs *ledger) *queue {
	return &queue{name: name, key: key, packs: packs, eventPlace: -1, event: never,
		groups: make(map[string]*group), dedup: make(map[string]*dedup)}
}

func (q *queue) before(o *queue) bool { return q.event < o.event }
func (q *queue) place() *int32        { return &q.eventPlace }

// idle reports whether nothing would be lost if q were forgotten.
func (q *queue) idle() bool {
	return q.held == 0 && q.all.n == 0 && q.pulls == 0 && q.purging == 0 && len(q.dedup) == 0
}

// add takes in a message whose phase is set. Numbers must rise within a queue.
func (q *queue) add(e *entry, groupID string) {
	e.queue, e.heapPlace = q, -1
	q.all.push(e, allLink)
	if groupID != "" {
		g := q.groups[groupID]
		if g == nil {
			g = &group{id: groupID}
			q.groups[groupID] = g
		}
		e.group = g
		g.list.push(e, orderLink)
	}
	q.enter(e)
}

// drop forgets a message.
func (q *queue) drop(e *entry) {
	q.leave(e)
	q.all.remove(e, allLink)
	if g := e.group; g != nil {
		g.list.remove(e, orderLink)
		q.offer(g)
		if g.list.n == 0 {
			delete(q.groups, g.id)
		}
	}
}

// set brings a message into another phase.
func (q *queue) set(e *entry, p phase, due int64) {
	q.leave(e)
	e.phase, e.due = p, due
	q.enter(e)
}

func (q *queue) enter(e *entry) {
	q.counts[e.phase]++
	switch e.phase {
	case phaseReady:
		switch {
		case e.group != nil:
			q.offer(e.group)
		case e.receives == 0:
			q.fresh.push(e, orderLink)
		default:
			q.returned.push(e, orderLink)
		}
		return
	case phaseDelayed:
		q.delayed.push(e)
		return
	case phaseLeased:
		q.leased.push(e)
	case phaseSettling:
	}
	if e.group != nil {
		e.group.busy++
	}
}

func (q *queue) leave(e *entry) {
	q.counts[e.phase]--
	switch e.phase {
	case phaseReady:
		switch {
		case e.group != nil: // offer and available look at the head's phase
		case e.receives == 0: // which only changes in other phases
			q.fresh.remove(e, orderLink)
		default:
			q.returned.remove(e, orderLink)
		}
		return
	case phaseDelayed:
		q.delayed.remove(e)
		return
	case phaseLeased:
		q.leased.remove(e)
	case phaseSettling:
	}
	if e.group != nil {
		e.group.busy--
		q.offer(e.group)
	}
}

// offer lists a group that has a message to lease.
func (q *queue) offer(g *group) {
	if !g.listed && g.available() {
		g.listed = true
		q.avail = append(q.avail, g)
	}
}

// available reports whether the group's first message can be leased.
func (g *group) available() bool {
	return g.busy == 0 && g.list.head != nil && g.list.head.phase == phaseReady
}

// leasable reports whether a message can be leased.
func (q *queue) leasable() bool {
	if q.purging > 0 {
		return false
	}
	for len(q.avail) > 0 && !q.avail[0].available() {
		q.unlist()
	}
	return q.fresh.n > 0 || q.returned.n > 0 || len(q.avail) > 0
}

func (q *queue) unlist() {
	q.avail[0].listed = false
	q.avail[0] = nil
	q.avail = q.avail[1:]
}

// take calls lease with up to limit messages, which it must bring into another
// phase; lease reports whether the message counts against limit. Messages
// without a group come in the order of their Puts; those that came back
// alternate with them, so that neither holds up the other. Of a group, as many
// come as are ready in a row.
func (q *queue) take(limit int, lease func(*entry) bool) {
	for limit > 0 && q.leasable() {
		e := q.first()
		if e != nil {
			if lease(e) {
				limit--
			}
			continue
		}
		g := q.avail[0]
		q.unlist()
		for e := g.list.head; e != nil && e.phase == phaseReady && limit > 0; e = e.order.next {
			if lease(e) {
				limit--
			}
		}
	}
}

// first returns the next ready message without a group, nil for none.
func (q *queue) first() *entry {
	if q.returned.n > 0 && (q.turn || q.fresh.n == 0) {
		q.turn = false
		return q.returned.head
	}
	q.turn = true
	return q.fresh.head
}

// advance brings what is due at now into the ready phase. It returns true when
// something was, and calls expire with messages past their retention.
func (q *queue) advance(now int64, expire func(*entry)) (woken bool) {
	for _, h := range []*heap[*entry]{&q.delayed, &q.leased} {
		for len(*h) > 0 && h.top().due <= now {
			e := h.top()
			e.bound = false
			q.set(e, phaseReady, 0)
			woken = true
		}
	}
	for e := q.all.head; e != nil && e.expired(now); e = e.all.next {
		if e.phase != phaseSettling {
			expire(e)
		}
	}
	q.forgetDedup(now)
	return woken
}

// forgetDedup forgets the deduplication ids whose window is over.
func (q *queue) forgetDedup(now int64) {
	for len(q.dedupOrder) > 0 && q.dedupOrder[0].until <= now {
		d := q.dedupOrder[0]
		q.dedupOrder[0] = nil
		q.dedupOrder = q.dedupOrder[1:]
		q.forget(d)
	}
}

// forget forgets a deduplication id, unless a later message has it.
func (q *queue) forget(d *dedup) {
	if q.dedup[d.key] == d {
		delete(q.dedup, d.key)
		q.packs.dedup -= q.cost(d)
	}
}

// cost is about the bytes of a deduplication id in the log.
func (q *queue) cost(d *dedup) int64 { return int64(len(q.key) + len(d.key) + len(d.id) + 24) }

// remember adds a deduplication id. Windows must end in the order of adding,
// but for a replay.
func (q *queue) remember(d *dedup) {
	if before := q.dedup[d.key]; before != nil {
		q.forget(before)
	}
	q.dedup[d.key] = d
	q.packs.dedup += q.cost(d)
	q.dedupOrder = append(q.dedupOrder, d)
}

// nextEvent returns when advance has something to do.
func (q *queue) nextEvent() int64 {
	at := int64(never)
	if len(q.delayed) > 0 {
		at = min(at, q.delayed.top().due)
	}
	if len(q.leased) > 0 {
		at = min(at, q.leased.top().due)
	}
	if e := q.all.head; e != nil && e.expires != 0 && e.phase != phaseSettling {
		at = min(at, e.expires)
	}
	if len(q.dedupOrder) > 0 {
		at = min(at, q.dedupOrder[0].until)
	}
	return at
}
