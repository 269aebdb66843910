package meter

import (
	"testing"
	"time"
)

// TestPace: a group and its write fit into what is promised, also after a slow
// write, which is forgotten in time.
func TestPace(t *testing.T) {
	var slow time.Duration
	for _, took := range []time.Duration{time.Millisecond, 12 * time.Millisecond, time.Millisecond, 2 * time.Millisecond} {
		slow = pace(slow, took)
		if wait := waitOf(slow); wait+took >= promise {
			t.Errorf("a group waits for %v, and is written in %v", wait, took)
		}
	}
	if wait := waitOf(slow); wait > 40*time.Millisecond {
		t.Errorf("after a write of 12 ms a group waits for %v", wait)
	}
	for range 100 {
		slow = pace(slow, time.Millisecond)
	}
	if got, want := waitOf(slow), promise-slack-time.Millisecond; got != want {
		t.Errorf("with writes of 1 ms a group waits for %v, want %v", got, want)
	}
	if got := waitOf(pace(0, time.Second)); got != leastWait {
		t.Errorf("with writes of 1 s a group waits for %v", got)
	}
}
