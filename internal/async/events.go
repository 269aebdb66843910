package async

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

// Store is what Events need of the store.
type Store interface {
	Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error)
	Function(tenant, name string) (*millicent.Function, error)
}

// Invoker is the path of all invocations.
type Invoker interface {
	// Accept completes an invocation and says whether it could run now.
	Accept(ctx context.Context, inv *millicent.Invocation) error
	Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
}

// Observer sees what becomes of events. It must not block.
type Observer interface {
	EventReceived()

	// EventEnded tells the condition of an event's end, of a wait for another
	// attempt (Retry, Throttle) or of a drop (Deleted), and its age then.
	EventEnded(condition string, age time.Duration)

	// EventDelivered tells of the outcome of a delivery to a kind of
	// destination.
	EventDelivered(to millicent.DestinationKind, ok bool)
}

// What an Observer is told beside the conditions of ends.
const (
	Retry    = "Retry"
	Throttle = "Throttle"
	Deleted  = "Deleted"
)

// Config gives Events what they need. All of it is required, but for what has
// a default.
type Config struct {
	Region  string
	Store   Store
	Invoker Invoker
	Queues  *queue.Queues
	SQS     *sqs.Service

	// Dial connects to host:port where a function with an egress allow-list
	// may connect to, for webhooks.
	Dial func(ctx context.Context, allow []string, address string) (net.Conn, error)

	// Publish publishes to a subject of the state engine; id is the same in
	// each attempt, and l what led to it.
	Publish func(ctx context.Context, subject, id string, l millicent.Lineage, data []byte) error

	Observer    Observer         // default: none
	Concurrency int              // events that run at a time; default 200
	PerFunction int              // of these of one function; default 50, and its reserved concurrency at most
	Deliveries  int              // at a time, to webhooks and subjects; default 32
	DeadLetters int              // kept of one function; default 10,000
	DeadBytes   int64            // likewise; default 64 MiB
	Now         func() time.Time // default time.Now
	Log         *slog.Logger     // default: none
}

func (cfg Config) withDefaults() Config {
	for _, v := range []struct {
		field *int
		value int
	}{
		{&cfg.Concurrency, 200}, {&cfg.PerFunction, 50}, {&cfg.Deliveries, 32}, {&cfg.DeadLetters, 10_000},
	} {
		if *v.field == 0 {
			*v.field = v.value
		}
	}
	if cfg.DeadBytes == 0 {
		cfg.DeadBytes = 64 << 20
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

type unobserved struct{}

func (unobserved) EventReceived()                                 {}
func (unobserved) EventEnded(string, time.Duration)               {}
func (unobserved) EventDelivered(millicent.DestinationKind, bool) {}

// Events runs Event invocations. It is safe for concurrent use.
type Events struct {
	cfg        Config
	running    *queue.Dispatcher
	delivering *queue.Dispatcher
	teller     teller
	closed     atomic.Bool
	end        sync.Once
	ended      chan struct{}
}

// New returns Events, which begin to run at once. Close it, and then the
// Invoker, and then the queues.
func New(cfg Config) *Events {
	e := &Events{cfg: cfg.withDefaults(), ended: make(chan struct{})}
	e.delivering = e.cfg.Queues.Dispatch(queue.DispatcherConfig{
		Kind: KindDelivery, Concurrency: e.cfg.Deliveries,
		Adopt: func(queue.Name) (queue.Consumer, bool) {
			return queue.Consumer{Concurrency: max(1, e.cfg.Deliveries/8), Handle: e.deliver}, true
		},
	})
	started := make(chan struct{}) // handlers use e.running
	e.running = e.cfg.Queues.Dispatch(queue.DispatcherConfig{
		Kind: KindEvent, Concurrency: e.cfg.Concurrency,
		Adopt: func(name queue.Name) (queue.Consumer, bool) {
			<-started
			return queue.Consumer{Concurrency: e.concurrency(name), Handle: e.handle}, true
		},
	})
	close(started)
	return e
}

// concurrency returns how many events of a function run at a time.
func (e *Events) concurrency(name queue.Name) int {
	f, err := e.cfg.Store.Function(name.Tenant, name.Name)
	if err != nil {
		return 1 // deleted: they are dropped
	}
	return e.concurrencyOf(f)
}

func (e *Events) concurrencyOf(f *millicent.Function) int {
	if f.Reserved == nil {
		return e.cfg.PerFunction
	}
	return max(1, min(*f.Reserved, e.cfg.PerFunction))
}

// Enqueue accepts an Event invocation and returns when it is durable. Errors
// are those of the Invoker's Accept, and CodeThrottled when too many wait.
func (e *Events) Enqueue(ctx context.Context, inv *millicent.Invocation) error {
	return e.enqueue(ctx, inv)
}

// Follow is Enqueue for an event that follows from a message, which is settled
// in one step with that. Errors are also those of settling.
func (e *Events) Follow(ctx context.Context, inv *millicent.Invocation, from queue.Settled) error {
	return e.enqueue(ctx, inv, from)
}

func (e *Events) enqueue(ctx context.Context, inv *millicent.Invocation, from ...queue.Settled) error {
	if e.closed.Load() {
		return millicent.Errorf(millicent.CodeServerUnavailable, "The server is stopping.")
	}
	if err := e.cfg.Invoker.Accept(ctx, inv); err != nil {
		return err
	}
	m, err := eventOf(inv).message(KindEvent)
	if err != nil {
		return err
	}
	_, err = e.cfg.Queues.Apply(ctx, queue.Change{Put: []queue.Message{m}, Settle: from})
	switch millicent.ErrorCode(err) {
	case "":
		e.cfg.Observer.EventReceived()
	case queue.CodeFull:
		e.tell(eventOf(inv), "refused").Warn("event refused: too many wait", "error", err)
		return millicent.Throttled(millicent.ReasonConcurrency)
	}
	return err
}

// Close accepts and starts nothing more and waits for what runs until ctx ends;
// what waits stays for the next start of the server. What still runs then ends
// with the Invoker, after which Wait must be called.
func (e *Events) Close(ctx context.Context) error {
	e.closed.Store(true)
	e.end.Do(func() {
		go func() { // ends with the last handler; Wait waits for it
			defer close(e.ended)
			var both sync.WaitGroup
			both.Go(e.delivering.Close)
			both.Go(e.running.Close)
			both.Wait()
		}()
	})
	select {
	case <-e.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait returns when nothing runs any more, after Close.
func (e *Events) Wait() { <-e.ended }

// newID returns the id of an invocation that this package causes.
func newID() string { return uuid.NewString() }
