// Package scheduler owns all execution environments of this node.
package scheduler

import (
	"context"
	"log/slog"
	"time"

	"github.com/millicent-run/millicent"
)

// Config bounds what a Scheduler may use. Zero values take the defaults.
type Config struct {
	// Launcher returns the launcher for a runtime; an *Error when none serves it.
	Launcher func(runtime string) (millicent.Launcher, error)

	MaxEnvironments int           // on this node; default 500
	MaxMemoryMB     int           // sum of the environments' configured memory; default: the machine's
	Concurrency     int           // invocations at a time for a tenant; default 1000

	// Reserved returns the sum of a tenant's reserved concurrency, which is
	// taken out of Concurrency for the functions that have none reserved. It
	// is asked at every Acquire and must answer from memory; default: 0.
	Reserved func(tenant string) int

	KeepAlive       time.Duration // how long an idle environment is kept; default 10 minutes
	QueueWait       time.Duration // how long an invocation waits for room; default 5 s
	Log             *slog.Logger
}

// Scheduler places invocations into environments.
type Scheduler struct{}

// New returns a Scheduler. Close it.
func New(cfg Config) *Scheduler { panic("not built") }

// A Lease is the use of one environment for one invocation.
type Lease struct {
	Environment millicent.Environment
	Cold        bool // the environment was started for this lease
}

// Acquire returns an idle environment of v, the most recently used one first,
// or launches one, or waits a bounded time for room on the machine. reserved
// is the function's reserved concurrency, nil when it has none: beyond it the
// answer is an immediate throttle, as it is beyond the tenant's concurrency.
func (s *Scheduler) Acquire(ctx context.Context, v *millicent.Version, reserved *int) (*Lease, error) {
	panic("not built")
}

// Release returns the environment for reuse; broken says that it cannot serve
// again and is closed instead.
func (l *Lease) Release(broken bool) { panic("not built") }

// Retire closes the idle environments of a function whose version keep
// reports false for; busy ones are closed when released.
func (s *Scheduler) Retire(tenant, function string, keep func(*millicent.Version) bool) {
	panic("not built")
}

// A Load is what the environments of this node use at a moment.
type Load struct {
	Launching, Idle, Busy, Closing int // environments by state

	MemoryMB int // configured memory of all of these
	Waiting  int // invocations that wait for room
}

// Snapshot returns the load now, for metrics.
func (s *Scheduler) Snapshot() Load { panic("not built") }

// Close refuses new leases, waits for the running ones until ctx ends, and
// closes all environments.
func (s *Scheduler) Close(ctx context.Context) error { panic("not built") }
