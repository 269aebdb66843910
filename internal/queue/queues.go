package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

const (
	// DedupWindow is how long a deduplication id is remembered.
	DedupWindow = 5 * time.Minute

	// updateDelay is how long the state of a leased or released message may
	// wait for other records before it is written by itself.
	updateDelay = 50 * time.Millisecond

	// maxPending bounds the bytes on their way to the log; beyond it, changes
	// wait.
	maxPending = 32 << 20

	// refusedRest is how long a log that refuses is left alone.
	refusedRest = 100 * time.Millisecond

	// closeTimeout bounds how long Close waits for the log.
	closeTimeout = 10 * time.Second
)

// Config configures the queues. The zero value of a bound means its default.
type Config struct {
	Dir    string           // directory of the bodies that are kept in files
	Bounds Bounds           // see defaultBounds
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means none
}

// defaultBounds are the bounds that a Config does not give.
var defaultBounds = Bounds{
	Messages:      4_000_000,
	Bytes:         8 << 30,
	QueueMessages: 2_000_000,
	QueueBytes:    4 << 30,
	QueueInFlight: 120_000,
	QueueDedup:    1_000_000,
}

// Queues is all the queues of this node. It is safe for concurrent use.
type Queues struct {
	cfg    Config
	log    journal
	bodies *bodies
	cache  *packCache
	stop   context.CancelFunc // ends what a Close waited for in vain
	tasks  sync.WaitGroup
	work   chan struct{} // tells the committer
	alarm  chan struct{} // tells the clock
	clean  chan struct{} // tells the janitor

	mu          sync.Mutex
	ix          *index
	batches     []*batch      // to be written, oldest first; the last takes in more
	pending     int           // bytes of batches
	room        chan struct{} // closed when pending has become less
	soiled      time.Time     // since when ix.dirty is not empty
	alarmAt     int64         // ms: when the clock looks next
	floor       uint64        // packs below no longer count
	orphans     []bodyFile    // to be removed
	dispatchers []*Dispatcher
	broken      error // why the log can't be used any more
	closed      bool
}

// Open opens the queues and reads what they hold. ctx bounds the opening
// alone.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Queues, error) {
	cfg.complete()
	s, err := openLog(ctx, js, cfg.Bounds.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open the queues: %w", err)
	}
	return open(ctx, s, cfg)
}

// complete fills in the defaults.
func (c *Config) complete() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b, d := &c.Bounds, defaultBounds
	for _, v := range []struct {
		bound *int
		value int
	}{
		{&b.Messages, d.Messages}, {&b.QueueMessages, d.QueueMessages},
		{&b.QueueInFlight, d.QueueInFlight}, {&b.QueueDedup, d.QueueDedup},
	} {
		if *v.bound == 0 {
			*v.bound = v.value
		}
	}
	if b.Bytes == 0 {
		b.Bytes = d.Bytes
	}
	if b.QueueBytes == 0 {
		b.QueueBytes = d.QueueBytes
	}
}

// open opens the queues whose log is given.
func open(ctx context.Context, log journal, cfg Config) (*Queues, error) {
	cfg.complete()
	bodies, err := openBodies(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the queues: %w", err)
	}
	q := &Queues{cfg: cfg, log: log, bodies: bodies, cache: newPackCache(log.Read), ix: newIndex(cfg.Bounds),
		work: make(chan struct{}, 1), alarm: make(chan struct{}, 1), clean: make(chan struct{}, 1),
		room: make(chan struct{}), alarmAt: never}
	if err := q.replay(ctx); err != nil {
		return nil, fmt.Errorf("open the queues: %w", err)
	}
	if err := bodies.sweep(q.ix.refs); err != nil {
		return nil, fmt.Errorf("open the queues: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	q.stop = stop
	q.tasks.Go(func() { q.commit(life) })
	ticking, stopTicking := context.WithCancel(life)
	q.stop = func() { stopTicking(); stop() }
	q.tasks.Go(func() { q.tick(ticking) })
	q.tasks.Go(func() { q.tidy(ticking) })
	return q, nil
}

// Close refuses further changes, writes those under way, and returns once the
// log is at rest. It is idempotent. Dispatchers must be closed before.
func (q *Queues) Close() error {
	q.mu.Lock()
	q.closed = true
	for _, waiting := range q.ix.queues {
		for len(waiting.waiters) > 0 {
			waiting.wakeOne()
		}
	}
	q.mu.Unlock()
	signal(q.work)
	signal(q.clean)
	signal(q.alarm)
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		q.tasks.Wait()
	}()
	select {
	case <-idle:
	case <-time.After(closeTimeout):
		q.stop()
		<-idle
		return errors.New("close the queues: the log did not take what was on its way")
	}
	q.stop()
	return nil
}

// signal tells a goroutine that there is something to do.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it knows
	}
}

// now returns the time in milliseconds.
func (q *Queues) now() int64 { return q.cfg.Now().UnixMilli() }

// usable returns why no change can be made, nil if it can. The lock is held.
func (q *Queues) usable() error {
	switch {
	case q.closed:
		return millicent.Errorf(millicent.CodeServerUnavailable, "The server is stopping.")
	case q.broken != nil:
		return &millicent.Error{Code: millicent.CodeServerUnavailable,
			Message: "The queues are out of order.", Err: q.broken}
	}
	return nil
}

// unlock ends what a holder of the lock did, and tells the goroutines that
// have something to do now.
func (q *Queues) unlock() {
	if len(q.batches) > 0 || len(q.ix.dirty) > 0 && q.soiled.IsZero() {
		signal(q.work)
	}
	if q.ix.nextEvent() < q.alarmAt {
		signal(q.alarm)
	}
	q.mu.Unlock()
}
