package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// A Consumer handles the messages of a queue.
type Consumer struct {
	ID          string        // unique within a Dispatcher
	Queue       Name          // several consumers may share one
	Concurrency int           // handlers at once; 0 means 1
	Batch       int           // messages for one handler at most; 0 means 1
	Window      time.Duration // how long to wait for a whole batch

	// Visibility, MaxReceives and DeadLetter are those of a LeaseRequest. With
	// a Visibility of zero, what the handler neither settled nor released when
	// it returns is released, to come back a second later.
	Visibility  time.Duration
	MaxReceives int
	DeadLetter  Name

	// Handle handles at least one message. What it does not settle comes
	// back. The context ends when the Dispatcher is closed; what was done by
	// then should be settled all the same, with context.WithoutCancel.
	Handle func(context.Context, []Delivery)
}

// DispatcherConfig configures a Dispatcher.
type DispatcherConfig struct {
	Concurrency int // handlers at once in all; 0 means 1

	// Kind and Adopt make consumers as they are needed: Adopt is asked for one
	// when a queue of the kind, without a consumer, has a message, and the
	// consumer leaves when the queue has none. Adopt's answer of false is
	// final for that message. It must not block. Without a Kind there are only
	// the consumers of Set.
	Kind  string
	Adopt func(Name) (Consumer, bool)
}

// A Dispatcher hands messages to consumers, a handler a batch, fairly: see
// turns. A consumer whose queue is empty costs memory only. It is safe for
// concurrent use.
type Dispatcher struct {
	cfg    DispatcherConfig
	queues *Queues
	life   context.Context
	stop   context.CancelFunc
	tasks  sync.WaitGroup // the loop and the handlers
	work   chan struct{}

	mu      sync.Mutex // after Queues.mu
	turns   turns
	byID    map[string]*member
	byQueue map[Name][]*member
	unknown []Name        // queues to adopt
	asked   map[Name]bool // in unknown
	windows heap[*member] // whose window ends, the first on top
	closed  bool
	log     *slog.Logger
}

// A member is a consumer of a dispatcher.
type member struct {
	Consumer
	turn
	adopted bool
	held    int64 // ms: gets no handler before
	open    int64 // ms: end of its window, or held; in windows then
	window  int32 // place in windows, or -1
}

func (m *member) before(o *member) bool { return m.open < o.open }
func (m *member) place() *int32         { return &m.window }

// Dispatch starts a dispatcher. The caller must Close it before the queues.
func (q *Queues) Dispatch(cfg DispatcherConfig) *Dispatcher {
	cfg.Concurrency = max(cfg.Concurrency, 1)
	life, stop := context.WithCancel(context.Background())
	d := &Dispatcher{cfg: cfg, queues: q, life: life, stop: stop, work: make(chan struct{}, 1), log: q.cfg.Log,
		turns: turns{limit: cfg.Concurrency}, byID: make(map[string]*member), byQueue: make(map[Name][]*member),
		asked: make(map[Name]bool)}
	q.mu.Lock()
	q.dispatchers = append(q.dispatchers, d)
	for _, of := range q.ix.queues {
		if of.leasable() {
			d.ready(of.name, of.counts[phaseReady])
		}
	}
	q.mu.Unlock()
	d.tasks.Go(d.run)
	return d
}

// Set adds a consumer, or changes the one with its ID: handlers that are
// running are not disturbed.
func (d *Dispatcher) Set(c Consumer) error {
	if err := c.Queue.check(); err != nil {
		return err
	}
	if c.ID == "" || c.Handle == nil {
		return millicent.Errorf(millicent.CodeInvalid, "A consumer needs an ID and a handler.")
	}
	d.Remove(c.ID)
	d.queues.mu.Lock()
	defer d.queues.mu.Unlock()
	d.mu.Lock()
	d.add(c, false)
	d.mu.Unlock()
	if of := d.queues.ix.queues[string(c.Queue.key())]; of != nil && of.leasable() {
		d.ready(c.Queue, of.counts[phaseReady])
	}
	return nil
}

// add adds a consumer. d.mu is held.
func (d *Dispatcher) add(c Consumer, adopted bool) {
	c.Concurrency, c.Batch = max(c.Concurrency, 1), min(max(c.Batch, 1), MaxLease)
	m := &member{Consumer: c, turn: turn{tenant: c.Queue.Tenant, limit: c.Concurrency}, adopted: adopted, window: -1}
	m.member = m
	d.byID[c.ID] = m
	d.byQueue[c.Queue] = append(d.byQueue[c.Queue], m)
}

// Remove removes a consumer, if it is there: it gets no further messages.
// Handlers that are running are not disturbed.
func (d *Dispatcher) Remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.byID[id]; m != nil {
		d.forget(m)
	}
}

// forget forgets a consumer. d.mu is held.
func (d *Dispatcher) forget(m *member) {
	d.turns.leave(&m.turn)
	if m.window >= 0 {
		d.windows.remove(m)
	}
	delete(d.byID, m.ID)
	of := d.byQueue[m.Queue]
	for i := range of {
		if of[i] == m {
			of = append(of[:i:i], of[i+1:]...)
			break
		}
	}
	if len(of) == 0 {
		delete(d.byQueue, m.Queue)
	} else {
		d.byQueue[m.Queue] = of
	}
}

// Limit changes how many handlers a consumer may have at once, if it is there.
func (d *Dispatcher) Limit(id string, concurrency int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.byID[id]; m != nil && m.limit != concurrency {
		m.Concurrency, m.limit = concurrency, concurrency
		d.turns.sort(&m.turn)
		signal(d.work)
	}
}

// Hold starts no handler of a consumer before a time, if it is there.
func (d *Dispatcher) Hold(id string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.byID[id]
	if m == nil {
		return
	}
	m.held = millis(until)
	m.ready = false
	d.turns.sort(&m.turn)
	d.hold(m)
	signal(d.work)
}

// hold has a consumer asked when it is held no more. d.mu is held.
func (d *Dispatcher) hold(m *member) {
	if m.window >= 0 {
		d.windows.remove(m)
	}
	m.open = m.held
	d.windows.push(m)
}

// Close hands out no more messages, ends the handlers' context and returns
// when they have returned. It is idempotent.
func (d *Dispatcher) Close() {
	q := d.queues
	q.mu.Lock()
	for i := range q.dispatchers {
		if q.dispatchers[i] == d {
			q.dispatchers = append(q.dispatchers[:i:i], q.dispatchers[i+1:]...)
			break
		}
	}
	q.mu.Unlock()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.tasks.Wait()
}

// ready says that a queue has a number of messages that are ready, of which
// some can be leased. The lock of the queues is held.
func (d *Dispatcher) ready(name Name, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	members := d.byQueue[name]
	if len(members) == 0 && d.cfg.Adopt != nil && name.Kind == d.cfg.Kind && !d.asked[name] {
		d.asked[name] = true
		d.unknown = append(d.unknown, name)
		signal(d.work)
	}
	for _, m := range members {
		d.offer(m, n)
	}
}

// offer tells a consumer that there are n messages. d.mu is held.
func (d *Dispatcher) offer(m *member, n int) {
	switch {
	case m.ready:
		return
	case m.held > d.queues.now():
		d.hold(m)
	case m.Window <= 0 || n >= m.Batch:
		if m.window >= 0 {
			d.windows.remove(m)
		}
		d.turns.want(&m.turn)
	case m.window < 0:
		m.open = d.queues.now() + m.Window.Milliseconds()
		d.windows.push(m)
	default:
		return
	}
	signal(d.work)
}

// run starts handlers until the dispatcher is closed.
func (d *Dispatcher) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		d.adopt()
		m, wait := d.next()
		if m != nil {
			d.start(m)
			continue
		}
		timer.Reset(wait)
		select {
		case <-d.life.Done():
			return
		case <-d.work:
		case <-timer.C:
		}
	}
}

// adopt makes consumers for the queues that need one.
func (d *Dispatcher) adopt() {
	d.mu.Lock()
	names := d.unknown
	d.unknown = nil
	d.mu.Unlock()
	for _, name := range names {
		c, ok := d.cfg.Adopt(name)
		c.ID, c.Queue = name.String(), name
		d.mu.Lock()
		delete(d.asked, name)
		if ok && c.Handle != nil && d.byID[c.ID] == nil {
			d.add(c, true)
			d.offer(d.byID[c.ID], c.Batch)
		}
		d.mu.Unlock()
	}
}

// next returns the consumer to start a handler for; nil when there is none,
// with how long that lasts unless work comes.
func (d *Dispatcher) next() (m *member, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, time.Hour
	}
	now := d.queues.now()
	for len(d.windows) > 0 && d.windows.top().open <= now {
		m := d.windows.top()
		d.windows.remove(m)
		d.turns.want(&m.turn)
	}
	if t := d.turns.next(); t != nil {
		return t.member, 0
	}
	if len(d.windows) > 0 {
		return nil, time.Duration(d.windows.top().open-now) * time.Millisecond
	}
	return nil, time.Hour
}

// start leases a batch for a consumer and starts its handler.
func (d *Dispatcher) start(m *member) {
	r := LeaseRequest{Queue: m.Queue, Max: m.Batch, Visibility: m.Visibility, Bound: true,
		MaxReceives: m.MaxReceives, DeadLetter: m.DeadLetter}
	leased, left := d.queues.takeNow(r)
	d.mu.Lock()
	if left > 0 && d.byID[m.ID] == m {
		d.offer(m, left)
	}
	if len(leased) == 0 {
		d.end(m)
	}
	d.mu.Unlock()
	if len(leased) == 0 {
		return
	}
	d.tasks.Go(func() {
		d.handle(m, r, leased)
		d.mu.Lock()
		d.end(m)
		d.mu.Unlock()
	})
}

// end notes that a handler has ended. d.mu is held.
func (d *Dispatcher) end(m *member) {
	d.turns.done(&m.turn)
	if m.adopted && m.active == 0 && !m.ready && m.window < 0 && d.byID[m.ID] == m {
		d.forget(m)
	}
	signal(d.work)
}

func (d *Dispatcher) handle(m *member, r LeaseRequest, leased []taken) {
	deliveries, err := d.queues.deliver(d.life, r, leased)
	if err != nil {
		d.log.Error("messages could not be read", "queue", m.Queue.String(), "error", err)
		return
	}
	if len(deliveries) > 0 {
		m.Handle(d.life, deliveries)
	}
	if m.Visibility == 0 {
		d.queues.giveBack(m.Queue, leased)
	}
}
