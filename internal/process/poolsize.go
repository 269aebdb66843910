package process

import (
	"math"
	"time"
)

// How many prepared sandboxes to hold is decided here, from nothing but what
// is passed in.

const (
	// burstWindow is how close together starts are to be one burst: about as
	// long as it takes to make a few sandboxes anew.
	burstWindow = time.Second

	// burstMemory is how long a burst is remembered. It counts in full for
	// the first tenth of it, and then less and less.
	burstMemory = 10 * time.Minute

	// headroom is what is held beyond the largest burst, as a factor.
	headroom = 1.25

	// maxStarts bounds the starts that are remembered of one kind.
	maxStarts = 1024
)

// demand is what is known of the starts of one kind of environment.
type demand struct {
	kind     string
	starts   []time.Time // the latest, in order
	expected bool        // there are functions of this kind, called or not
	memory   int64       // bytes that a prepared one takes
}

// A poolLimit bounds what is prepared.
type poolLimit struct {
	each   int   // of one kind
	memory int64 // of all, in bytes
}

// poolSizes returns how many to hold of each kind, by kind. Where memory does
// not suffice the kind that takes the most gives way, the last in the list first.
func poolSizes(list []demand, limit poolLimit, now time.Time) map[string]int {
	sizes := make(map[string]int, len(list))
	var total int64
	for _, d := range list {
		n := min(d.size(now), limit.each)
		sizes[d.kind] = n
		total += int64(n) * d.memory
	}
	taken := func(d demand) int64 { return int64(sizes[d.kind]) * d.memory }
	for total > limit.memory {
		most := -1
		for i, d := range list {
			if n := sizes[d.kind]; n > 0 && (most < 0 || taken(d) >= taken(list[most])) {
				most = i
			}
		}
		if most < 0 {
			break // what is left takes nothing
		}
		sizes[list[most].kind]--
		total -= list[most].memory
	}
	return sizes
}

// size returns how many d alone asks for: as many as the largest burst that is
// remembered, two while there were any starts, so that one is left when one is
// taken, and one where starts are expected.
func (d demand) size(now time.Time) int {
	least := 0
	if d.expected {
		least = 1
	}
	most := 0.0
	first := 0 // of the burst that ends with the start at hand
	for i, at := range d.starts {
		for at.Sub(d.starts[first]) > burstWindow {
			first++
		}
		if w := recollection(now.Sub(at)); w > 0 {
			most = max(most, float64(i-first+1)*w)
			least = 2
		}
	}
	return max(least, int(math.Ceil(most*headroom-1e-9)))
}

// recollection is how much a start of some time ago counts, from 0 to 1.
func recollection(age time.Duration) float64 {
	const full = burstMemory / 10
	switch {
	case age >= burstMemory:
		return 0
	case age <= full:
		return 1
	}
	return float64(burstMemory-age) / float64(burstMemory-full)
}
