package invoke

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// maxDeaths is how many environments may die under one invocation before the
// caller is told.
const maxDeaths = 3

// Store is what an Invoker needs of the store.
type Store interface {
	Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error)
	Function(tenant, name string) (*millicent.Function, error)
}

// Scheduler is what an Invoker needs of the scheduler.
type Scheduler interface {
	Acquire(ctx context.Context, v *millicent.Version, reserved *int) (*scheduler.Lease, error)
}

// Observer sees every invocation whose version exists, at its end. res is nil
// when the platform refused or failed; err then says why. It must not block
// and keeps neither inv nor res.
type Observer interface {
	Invoked(inv *millicent.Invocation, res *millicent.Result, err error)
}

// Budget admits invocations by what their tenants may spend.
type Budget interface {
	// Reserve holds the most that an invocation can cost, until settle is
	// called with the record of what it used, or with nil when nothing ran.
	Reserve(inv *millicent.Invocation, f *millicent.Function, v *millicent.Version) (settle func(*millicent.UsageRecord), err error)

	// Affords returns the error that Reserve would, and reserves nothing.
	Affords(inv *millicent.Invocation, f *millicent.Function, v *millicent.Version) error
}

// Config gives an Invoker what it needs. Store, Scheduler and Region are
// required; zero values of the rest take the defaults.
type Config struct {
	Store     Store
	Scheduler Scheduler
	Region    string

	Observer Observer         // default: none
	Meter    Meter            // default: none
	Book     func() string    // the price book in force, such as default@1; default: none
	Budget   Budget           // default: none
	Now      func() time.Time // default time.Now
	NewID    func() string    // default a random UUID
	Draw     func() float64   // even in [0, 1), chooses between an alias's versions; default rand.Float64

	PendingWait time.Duration // how long an invocation waits for a Pending version; default 2 s, negative: not at all
}

func (cfg Config) withDefaults() Config {
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	if cfg.Meter == nil {
		cfg.Meter = unmetered{}
	}
	if cfg.Book == nil {
		cfg.Book = func() string { return "" }
	}
	if cfg.Budget == nil {
		cfg.Budget = unlimited{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = uuid.NewString
	}
	if cfg.Draw == nil {
		cfg.Draw = rand.Float64
	}
	if cfg.PendingWait == 0 {
		cfg.PendingWait = 2 * time.Second
	}
	return cfg
}

type unobserved struct{}

func (unobserved) Invoked(*millicent.Invocation, *millicent.Result, error) {}

// Invoker runs invocations. It is safe for concurrent use.
type Invoker struct {
	cfg     Config
	life    context.Context // ends when nothing is waited for any more
	endLife context.CancelCauseFunc
	running sync.WaitGroup // invocations

	mu     sync.Mutex // guards what follows
	closed bool
	active int // invocations that run
}

// New returns an Invoker. Close it.
func New(cfg Config) *Invoker {
	i := &Invoker{cfg: cfg.withDefaults()}
	i.life, i.endLife = context.WithCancelCause(context.Background())
	return i
}

// Invoke runs one invocation and returns what the function answered. It fills
// in inv.ID, ARN, Lineage and Received where they are empty, and goes on
// when ctx ends. Where inv has a Sink, all that the function answers goes
// there, also if it came in one piece: the Result is without a payload then,
// unless it is an error document.
//
// Errors are or wrap *millicent.Errors: CodeNotFound; CodeConflict when the version is
// not active; CodeThrottled; CodeServerUnavailable when the server stops;
// CodeInternal and what a launcher says otherwise.
func (i *Invoker) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	ctx, err := i.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	i.complete(ctx, inv)
	res, err := i.invoke(ctx, inv)
	if inv.Sink != nil && err == nil {
		deliver(ctx, inv.Sink, res)
	}
	return res, err
}

// invoke is the path: resolve and admit, acquire, invoke, release, settle.
func (i *Invoker) invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	if err := i.cfg.Meter.Ready(); err != nil {
		return nil, err
	}
	f, v, err := i.admit(ctx, inv)
	if err != nil {
		return nil, err
	}
	release, err := i.cfg.Budget.Reserve(inv, f, v)
	if err != nil {
		i.cfg.Observer.Invoked(inv, nil, err)
		return nil, err
	}
	var used *millicent.UsageRecord
	defer func() { release(used) }() // after a panic, too
	var res *millicent.Result
	for deaths := 0; ; deaths++ {
		var lease *scheduler.Lease
		if lease, err = i.cfg.Scheduler.Acquire(ctx, v, f.Reserved); err != nil {
			break
		}
		res, err = use(ctx, lease, inv)
		if millicent.ErrorCode(err) != millicent.CodeEnvironmentDead || deaths == maxDeaths {
			break
		}
	}
	res, err = i.settle(ctx, inv, v, res, err)
	if err != nil {
		return nil, err
	}
	if used, err = i.meter(ctx, inv, usage(inv, f, res, i.cfg.Book())); err != nil {
		return nil, err
	}
	return res, nil
}

// use invokes lease's environment and releases it. An environment that
// returns an error is not used again.
func use(ctx context.Context, lease *scheduler.Lease, inv *millicent.Invocation) (*millicent.Result, error) {
	broken := true // after a panic, too
	defer func() { lease.Release(broken) }()
	inv.Wait = lease.Wait
	res, err := lease.Environment.Invoke(ctx, inv)
	broken = err != nil
	return res, err
}

// settle makes the outcome what the caller and the observer get.
func (i *Invoker) settle(ctx context.Context, inv *millicent.Invocation, v *millicent.Version, res *millicent.Result, err error) (*millicent.Result, error) {
	switch {
	case err == nil:
		res.Version = v.Number
	case ctx.Err() != nil:
		res, err = nil, errStopping(err)
	case millicent.ErrorCode(err) == millicent.CodeEnvironmentDead:
		res, err = nil, &millicent.Error{
			Code:    millicent.CodeInternal,
			Message: "The function's execution environments ended before they could take the event.",
			Err:     err,
		}
	default:
		res = nil
	}
	i.cfg.Observer.Invoked(inv, res, err)
	return res, err
}

// deliverLimit is how long a sink may take for an answer in one piece: nothing
// else ends a slow one.
const deliverLimit = 2 * time.Minute

// deliver gives a sink what the function did not stream. Its environment need
// not wait for that.
func deliver(ctx context.Context, sink millicent.Sink, res *millicent.Result) {
	if res.Streamed || res.FunctionError != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	sink.Begin(res.Version, res.ContentType)
	if len(res.Payload) > 0 {
		_ = sink.Write(ctx, res.Payload) // whoever has left misses nothing
	}
	res.Payload, res.Streamed = nil, true
}

// begin counts an invocation and takes it off its caller's context: what it
// returns ends when the Invoker's life does. Call end afterwards.
func (i *Invoker) begin(caller context.Context) (context.Context, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, errStopping(nil)
	}
	i.active++
	i.running.Add(1)
	return outliving{i.life, caller}, nil
}

// end is the end of what begin counted.
func (i *Invoker) end() {
	i.mu.Lock()
	i.active--
	i.mu.Unlock()
	i.running.Done()
}

// An outliving context ends with one context, which can be cancelled, and has the
// values of another. To derive it from either would cost each invocation two
// allocations and a lock that all of them share.
type outliving struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c outliving) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

// Close refuses new invocations and waits for the running
// ones until ctx ends; those are cut off then, and the error says how many. It
// is idempotent.
func (i *Invoker) Close(ctx context.Context) error {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last invocation, which Close waits for
		defer close(done)
		i.running.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		i.mu.Lock()
		n := i.active
		i.mu.Unlock()
		i.endLife(ctx.Err())
		<-done
		if n > 0 {
			err = fmt.Errorf("%d invocations were cut off: %w", n, ctx.Err())
		}
	}
	i.endLife(nil)
	return err
}

func errStopping(cause error) error {
	return &millicent.Error{
		Code:    millicent.CodeServerUnavailable,
		Message: "The server is stopping.",
		Err:     cause,
	}
}
