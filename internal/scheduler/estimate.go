package scheduler

import (
	"math"
	"time"
)

// unmeasured is what a launch is expected to take before any has ended.
const unmeasured = 200 * time.Millisecond

// An average is a moving average of durations, in which the latest weighs a
// quarter; zero before the first.
type average time.Duration

func (a *average) add(d time.Duration) {
	d = max(d, 1)
	if *a == 0 {
		*a = average(d)
		return
	}
	*a = max(*a+(average(d)-*a)/4, 1)
}

// A median is about as long as half of the durations are at most: the few long
// ones hardly move it. Zero before the first.
type median time.Duration

func (m *median) add(d time.Duration) {
	switch {
	case *m == 0:
		*m = median(max(d, 1))
	case d > time.Duration(*m):
		*m += *m/16 + 1
	default:
		*m = max(*m-*m/16, 1)
	}
}

// usesHalfLife is the time after which a use counts half.
const usesHalfLife = 30 * time.Minute

// A frequency counts uses, the latest most; the zero value has none.
type frequency struct {
	count  float64 // at since
	since  time.Time
	recent int // uses after since
}

func (f *frequency) add() { f.recent++ }

// until returns the count at a time that is not before that of an earlier
// call. The uses since then are taken to be of now.
func (f *frequency) until(now time.Time) float64 {
	if f.count > 0 {
		f.count *= math.Exp2(-now.Sub(f.since).Seconds() / usesHalfLife.Seconds())
	}
	f.count += float64(f.recent)
	f.since, f.recent = now, 0
	return f.count
}

// starts is how long launches take: of each runtime, of which there are few,
// and of all.
type starts struct {
	runtimes map[string]*average
	all      average
}

// measured notes what a launch took. Only one that succeeded counts: a failure
// says nothing about the time of a start.
func (s *starts) measured(runtime string, of *record, took time.Duration) {
	a := s.runtimes[runtime]
	if a == nil {
		a = new(average)
		s.runtimes[runtime] = a
	}
	a.add(took)
	of.start.add(took)
	s.all.add(took)
}

// estimate returns what a launch will take, by the closest that is known.
func (s *starts) estimate(runtime string, of *record) time.Duration {
	switch a := s.runtimes[runtime]; {
	case of.start != 0:
		return time.Duration(of.start)
	case a != nil:
		return time.Duration(*a)
	case s.all != 0:
		return time.Duration(s.all)
	}
	return unmeasured
}
