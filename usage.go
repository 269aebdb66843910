package millicent

import "time"

// Usage is what one invocation used.
type Usage struct {
	Start    time.Time
	Duration time.Duration // handler time: event handed over to result received
	Init     time.Duration // Init phase that this invocation waited for; zero on a warm start
	Cold     bool          // this invocation started its environment

	MemoryMB     int // configured
	PeakMemoryMB int // highest use seen in the environment
}

// Billed returns the billed duration: Init and handler time together, rounded
// up to the next millisecond (Lambda bills Init since August 2025).
func (u Usage) Billed() time.Duration {
	d := u.Duration + u.Init
	if r := d % time.Millisecond; r != 0 {
		d += time.Millisecond - r
	}
	return d
}
