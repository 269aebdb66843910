package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAround: nineteen of twenty intervals have the middle of what the samples
// were taken of, and they are hardly wider than any can be.
func TestAround(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const runs = 400
	for _, n := range []int{20, 80} {
		within, width := 0, 0.0
		for range runs {
			samples := make([]float64, n)
			for i := range samples {
				samples[i] = 7 + r.NormFloat64()
			}
			e := around(samples)
			if e.low <= 7 && 7 <= e.high && e.low <= e.mid && e.mid <= e.high {
				within++
			}
			width += (e.high - e.low) / runs
		}
		if within < 360 || within == runs {
			t.Errorf("of %d intervals of %d samples, %d have the middle", runs, n, within)
		}
		if want := 2 * 1.96 / math.Sqrt(float64(n)); width < 0.9*want || width > 1.3*want {
			t.Errorf("intervals of %d samples are %.2f wide, and at best %.2f", n, width, want)
		}
	}
	if e := around([]float64{3}); e != (estimate{3, 3, 3}) {
		t.Errorf("of one sample: %v", e)
	}
	if e := around(nil); !math.IsNaN(e.mid) {
		t.Errorf("of none: %v", e)
	}
}

// TestAtSameSpeed: what the machine's speed did to ratios is taken from them.
func TestAtSameSpeed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s scoreboard
	var ratios []float64
	for range 200 {
		speed := math.Exp(0.2 * r.NormFloat64()) // in the second contestant's turns
		s.loads[0], s.loads[1] = append(s.loads[0], 20), append(s.loads[1], 20/speed)
		ratios = append(ratios, 98*speed*math.Exp(0.01*r.NormFloat64()))
	}
	if e := s.atSameSpeed(ratios); e.low > 98 || e.high < 98 || e.high-e.low > 0.5 {
		t.Errorf("got %+v, want 98", e)
	}
	if e := intercept([]float64{1, 1, 1}, []float64{2, 3, 4}); e.mid != 3 || !math.IsNaN(e.low) {
		t.Errorf("without any difference: %v", e)
	}
}

func TestScoreboard(t *testing.T) {
	s := scoreboard{rates: [2][]float64{{200, 100}, {100, 99}}, costs: [2][]float64{{20, 30}, {21, 28}}, wholes: [2][]float64{{96, 50}, {100, 40}}}
	if got := s.rateRatios(); got[0] != 50 || got[1] != 99 {
		t.Errorf("ratios %v", got)
	}
	if got := s.timeRatios(); got[0] != 96 || got[1] != 125 {
		t.Errorf("ratios by processor time %v", got)
	}
	if got := s.costGaps(); got[0] != 1 || got[1] != -2 {
		t.Errorf("gaps %v", got)
	}
}
