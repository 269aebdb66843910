package telemetry

import (
	"math"
	"math/bits"
	"time"
)

// A spread says how durations are spread. Its buckets are a quarter of a power
// of two of microseconds wide, from 64 µs to 18 minutes, so that a percentile is
// wrong by an eighth of itself at most.
type spread struct {
	counts  [spreadBuckets]uint32
	longest time.Duration
}

const (
	spreadFirst   = 6  // the first bucket ends at 2⁶ µs
	spreadOctaves = 24 // powers of two that the others cover
	spreadBuckets = 1 + 4*spreadOctaves
)

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<spreadFirst {
		return 0
	}
	octave := bits.Len64(us) - 1
	quarter := int(us>>(octave-2)) & 3
	return min(1+4*(octave-spreadFirst)+quarter, spreadBuckets-1)
}

// bucketStart returns where a bucket begins, in microseconds.
func bucketStart(i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Ldexp(float64(4+(i-1)%4), spreadFirst-2+(i-1)/4)
}

func (s *spread) add(d time.Duration) {
	s.counts[bucketOf(d)]++
	s.longest = max(s.longest, d)
}

func (s *spread) merge(other *spread) {
	for i, n := range other.counts {
		s.counts[i] += n
	}
	s.longest = max(s.longest, other.longest)
}

// percentile returns the duration that a share p of all do not exceed, in
// milliseconds, by rank; zero when there are none.
func (s *spread) percentile(p float64) float64 {
	total := 0
	for _, n := range s.counts {
		total += int(n)
	}
	if total == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(total)))
	before := 0
	for i, n := range s.counts {
		if before += int(n); before < rank {
			continue
		}
		end := bucketStart(i + 1)
		middle := (bucketStart(i) + end) / 2
		return min(middle, float64(s.longest.Microseconds())) / 1000
	}
	return 0
}
