package millicent

import "time"

// Usage is what one invocation used.
type Usage struct {
	Start    time.Time
	Duration time.Duration // handler time: event handed over to result received
	Init     time.Duration // Init phase that this invocation waited for; zero on a warm start
	Cold     bool          // this invocation started its environment

	// Of an environment that started from a snapshot, in its first invocation:
	// how long that took, and the part of it that the function had a hand in.
	Restore, RestoreBilled time.Duration

	MemoryMB     int // configured
	PeakMemoryMB int // highest use seen in the environment

	Streamed int64 // bytes that went to the invocation's Sink as the function wrote them, or would have

	CPU    time.Duration // of the environment's processes since it was last measured; see process
	Egress int64         // bytes that its connections sent to elsewhere since the last invocation

	// Fuel is how many instructions the function ran, as the meter of its kind
	// of environment counts them: equal runs count equally. Zero where nobody
	// counts.
	Fuel uint64
}

// Billed returns the billed duration: Init, or what a snapshot's start is
// billed, and handler time together, rounded up to the next millisecond (Lambda
// bills Init since August 2025).
func (u Usage) Billed() time.Duration {
	d := u.Duration + u.Init + u.RestoreBilled
	if r := d % time.Millisecond; r != 0 {
		d += time.Millisecond - r
	}
	return d
}
