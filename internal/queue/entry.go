package queue

// phase is where a message is in its life.
//
//	ready ──lease──► leased ──settle──► settling ──durable──► gone
//	  ▲ ▲              │ │                 │
//	  │ └──visibility──┘ └─release─►delayed│
//	  └────────due─────────────────────┘   │
//	  ▲────────────────the log refused─────┘
type phase uint8

const (
	phaseReady phase = iota
	phaseDelayed
	phaseLeased
	phaseSettling // its settlement is on the way to the log
)

// An entry is what memory keeps of a message: some 150 bytes. The rest is in
// the log, at off in the pack with sequence pack.
type entry struct {
	num     uint64
	pack    uint64
	queue   *queue
	group   *group // nil without one
	all     link   // in queue.all
	order   link   // in queue.fresh, queue.returned, or group.list
	sent    int64  // ms
	expires int64  // ms, 0 for never
	due     int64  // ms: when phase is delayed or leased
	first   int64  // ms: first lease
	receipt uint64
	off     uint32
	length  uint32 // of the record in the log
	size    uint32 // counted against the bounds

	receives  uint32
	attempts  uint16
	throttles uint16
	heapPlace int32 // in queue.delayed or queue.leased
	phase     phase
	bound     bool // leased by this process, whose end ends the lease
	dirty     bool // its state is to be written
	file      bool // its body is in a file
}

func (e *entry) before(o *entry) bool { return e.due < o.due || e.due == o.due && e.num < o.num }
func (e *entry) place() *int32        { return &e.heapPlace }

// expired reports whether e is past its retention.
func (e *entry) expired(now int64) bool { return e.expires != 0 && e.expires <= now }

// state returns the part of e that is written with updates.
func (e *entry) state() state {
	s := state{first: e.first, receipt: e.receipt, receives: e.receives, attempts: e.attempts, throttles: e.throttles}
	switch {
	case e.phase == phaseDelayed:
		s.due = e.due
	case e.phase == phaseLeased && !e.bound:
		s.due, s.leased = e.due, true
	}
	return s
}

// setState takes in what state returned.
func (e *entry) setState(s state) {
	e.first, e.receipt, e.receives, e.attempts, e.throttles = s.first, s.receipt, s.receives, s.attempts, s.throttles
	e.due, e.phase = s.due, phaseReady
	switch {
	case s.leased:
		e.phase = phaseLeased
	case s.due != 0:
		e.phase = phaseDelayed
	}
}

// A link is an entry's place in a chain.
type link struct{ prev, next *entry }

// A chain is a doubly linked list of entries, through the link that it is for.
type chain struct {
	head, tail *entry
	n          int
}

// linkOf says which link of an entry a chain goes through.
type linkOf func(*entry) *link

func allLink(e *entry) *link   { return &e.all }
func orderLink(e *entry) *link { return &e.order }

func (l *chain) push(e *entry, of linkOf) {
	*of(e) = link{prev: l.tail}
	if l.tail == nil {
		l.head = e
	} else {
		of(l.tail).next = e
	}
	l.tail = e
	l.n++
}

func (l *chain) remove(e *entry, of linkOf) {
	at := of(e)
	if at.prev == nil {
		l.head = at.next
	} else {
		of(at.prev).next = at.next
	}
	if at.next == nil {
		l.tail = at.prev
	} else {
		of(at.next).prev = at.prev
	}
	*at = link{}
	l.n--
}
