package meter

import (
	"math/rand/v2"
	"testing"
)

// From any group to any before it there is a short way, and what the next group
// skips to is known.
func TestSkips(t *testing.T) {
	way := func(from, to uint64) (steps int) {
		for at := from; at != to; steps++ {
			next := nextDown(at, to)
			if next >= at || next < to || next != at-1 && next != skipTo(at) {
				t.Fatalf("from %d to %d: %d after %d", from, to, next, at)
			}
			at = next
		}
		return steps
	}
	longest := 0
	for from := range uint64(600) {
		for to := uint64(1); to < from; to++ {
			longest = max(longest, way(from, to))
		}
	}
	for range 100_000 {
		from := 2 + rand.Uint64N(1<<34)
		longest = max(longest, way(from, 1+rand.Uint64N(from-1)))
	}
	if longest > maxLinks {
		t.Errorf("a way has %d steps", longest)
	}
	t.Logf("at most %d steps", longest)
	var s skips
	for seq := uint64(1); seq < 5000; seq++ {
		if to := skipTo(seq); to > 0 {
			if _, ok := s.get(to); !ok {
				t.Fatalf("group %d skips to %d, which is not known", seq, to)
			}
		}
		s.put(seq, Hash{})
	}
}
