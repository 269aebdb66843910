package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestConfidence(t *testing.T) {
	for _, c := range []struct{ n, low int }{{5, 0}, {6, 0}, {10, 1}, {20, 5}, {25, 7}, {40, 13}} {
		samples := make([]float64, c.n)
		for i, v := range rand.Perm(c.n) {
			samples[i] = float64(v)
		}
		if low, high := confidence(samples); low != float64(c.low) || high != float64(c.n-1-c.low) {
			t.Errorf("of %d samples: %v to %v, want the one at %d and its opposite", c.n, low, high, c.low)
		}
	}
	if low, high := confidence(nil); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Error("of none: not unknown")
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
