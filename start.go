package millicent

import "time"

// A StartRecord tells how an execution environment started: why, from what,
// and how long each part of it took. Times are exact to the microsecond.
type StartRecord struct {
	Cause string // why there was no idle environment; one of the Cause constants, empty when unknown
	From  string // what was there already; one of the From constants

	Acquire   time.Duration // to have a sandbox: taken from the pool, or made
	Attach    time.Duration // to make it the version's: code, limits, ways out
	Boot      time.Duration // until the runtime ran; next to nothing if it ran before
	Init      time.Duration // until the function was initialised
	FirstByte time.Duration // from the event handed over to its answer

	Memory int64 // the most bytes that it held until its first answer; zero where unknown
}

// Total returns the time that the caller waited because of the start: all of
// it but the first invocation itself.
func (r *StartRecord) Total() time.Duration { return r.Acquire + r.Attach + r.Boot + r.Init }

// Causes of a start.
const (
	CauseFirst    = "first call"
	CauseScaleOut = "scale-out"    // all other environments were busy
	CauseTimeout  = "keep-alive"   // the last one had been idle for too long
	CauseEvicted  = "evicted"      // the last one gave way to others
	CauseUpdated  = "updated code" // those that were there ran an older revision
	CauseReplaced = "replaced"     // the last one died
	CausePlanned  = "provisioned"  // nobody waited: provisioned concurrency
)

// What an environment began with.
const (
	FromNothing = "nothing" // its sandbox was made for it
	FromSandbox = "sandbox" // a prepared sandbox
	FromRuntime = "runtime" // a prepared sandbox with its runtime booted
	FromVersion = "version" // a snapshot of the initialised version
)
