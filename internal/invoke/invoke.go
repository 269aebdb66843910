// Package invoke is the one path of every invocation.
package invoke

import (
	"context"
	"log/slog"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

// Store is what an Invoker needs of the store.
type Store interface {
	Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error)
	Function(tenant, name string) (*millicent.Function, error)
}

// Scheduler is what an Invoker needs of the scheduler.
type Scheduler interface {
	Acquire(ctx context.Context, v *millicent.Version, reserved *int) (*scheduler.Lease, error)
}

// Observer sees every invocation whose function exists, at its end. res is
// nil when the platform refused or failed; err then says why. It must not
// block and keeps neither inv nor res.
type Observer interface {
	Invoked(inv *millicent.Invocation, res *millicent.Result, err error)
}

// Config gives an Invoker what it needs. Store, Scheduler and Region are
// required; zero values of the rest take the defaults.
type Config struct {
	Store     Store
	Scheduler Scheduler
	Region    string

	Observer Observer         // default: none
	Now      func() time.Time // default time.Now
	NewID    func() string    // default a random UUID
	Draw     func() float64   // even in [0, 1), chooses between an alias's versions; default rand.Float64

	PendingWait  time.Duration // how long an invocation waits for a Pending version; default 2 s, negative: not at all
	EventWorkers int           // Event invocations of one function that run at a time; default 20
	EventQueue   int           // accepted Event invocations that wait; default 10,000, of one function half of it
	EventBytes   int           // sum of their payloads; default 128 MB, of one function half of it
	Log          *slog.Logger  // default: none
}

// Invoker runs invocations.
type Invoker struct{}

// New returns an Invoker. Close it.
func New(cfg Config) *Invoker { panic("not built") }

// Invoke runs one invocation and returns what the function answered. It fills
// in inv.ID, Root and Received where they are empty.
func (i *Invoker) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	panic("not built")
}

// Enqueue accepts an Event invocation and runs it in the background.
func (i *Invoker) Enqueue(ctx context.Context, inv *millicent.Invocation) error {
	panic("not built")
}

// Check does what Invoke does up to the running: whether the function and the
// qualifier exist. It serves DryRun.
func (i *Invoker) Check(ctx context.Context, inv *millicent.Invocation) error { panic("not built") }

// Close refuses new invocations and waits for the running ones until ctx ends.
func (i *Invoker) Close(ctx context.Context) error { panic("not built") }
