package millicent

import (
	"context"
	"time"
)

// A StartCause says why an invocation had to wait for a new environment: why
// its start was cold.
type StartCause string

// The causes of cold starts.
const (
	StartFirst         StartCause = "first"          // of an earlier environment of the version nothing is known
	StartScaleOut      StartCause = "scale-out"      // those that there were had enough to do
	StartAfterEviction StartCause = "after-eviction" // the last one had made way for another version
	StartAfterExpiry   StartCause = "after-expiry"   // the last one had been idle for too long
	StartAfterFailure  StartCause = "after-failure"  // the last one had broken
	StartAfterTimeout  StartCause = "after-timeout"  // the runtime had been stopped at the function's timeout
	StartUpdated       StartCause = "updated"        // the last one ran other code or another configuration
	StartProvisioned   StartCause = "provisioned"    // nobody waited: it was to be ready before
)

// A StartRecord tells how an execution environment started: why, from what,
// and how long each part of it took. Times are exact to the microsecond.
type StartRecord struct {
	Cause StartCause // why there was no idle environment; empty when unknown
	From  string     // what was there already; one of the From constants

	Acquire   time.Duration // to have a sandbox: taken from the pool, or made
	Attach    time.Duration // to make it the version's: code, limits, ways out
	Boot      time.Duration // until the runtime ran; next to nothing if it ran before
	Init      time.Duration // until the function was initialised
	FirstByte time.Duration // from the event handed over to its answer, or the beginning of a streamed one

	Compiled bool // the code of its package had been compiled before

	Memory int64 // the most bytes that it held until its first answer; zero where unknown

	Environment string        // its log stream
	Runtime     string        // such as python3.13
	Others      int           // environments that the version had when the start began
	Gone        time.Duration // since the version's last environment had ended; zero where there was none
	For         string        // of an eviction: the function that the room went to, if it is the same tenant's
}

// Total returns the time that the caller waited because of the start: all of
// it but the first invocation itself.
func (r *StartRecord) Total() time.Duration { return r.Acquire + r.Attach + r.Boot + r.Init }

// What an environment began with.
const (
	FromNothing = "nothing" // its sandbox was made for it
	FromSandbox = "sandbox" // a prepared sandbox
	FromRuntime = "runtime" // a prepared sandbox with its runtime booted
	FromVersion = "version" // a snapshot of the initialised version

	// An environment whose runtime had ended: it was started afresh in there,
	// within an invocation. Such a start is not a cold one.
	FromEnvironment = "environment"
)

type startKey struct{}

// WithStart returns ctx carrying what is known of a start before it begins:
// its cause, and what goes with that.
func WithStart(ctx context.Context, rec StartRecord) context.Context {
	return context.WithValue(ctx, startKey{}, rec)
}

// StartFrom returns what is known of the start that ctx is for; the zero
// record when nothing is.
func StartFrom(ctx context.Context) StartRecord {
	rec, _ := ctx.Value(startKey{}).(StartRecord)
	return rec
}
