package main

import (
	"math"
	"slices"
)

// A summary describes a series of samples. Quantiles interpolate between
// neighbours, as in R's type 7.
type summary struct {
	n                       int
	min, p50, p90, p99, max float64

	// mad is the median absolute deviation from the median: a spread that a
	// few wild samples, of which a shared machine has many, do not move.
	mad float64
}

func summarise(samples []float64) summary {
	if len(samples) == 0 {
		nan := math.NaN()
		return summary{min: nan, p50: nan, p90: nan, p99: nan, max: nan, mad: nan}
	}
	sorted := slices.Sorted(slices.Values(samples))
	s := summary{
		n:   len(sorted),
		min: sorted[0],
		p50: quantile(sorted, 0.50),
		p90: quantile(sorted, 0.90),
		p99: quantile(sorted, 0.99),
		max: sorted[len(sorted)-1],
	}
	for i, v := range sorted {
		sorted[i] = math.Abs(v - s.p50)
	}
	slices.Sort(sorted)
	s.mad = quantile(sorted, 0.5)
	return s
}

// quantile returns the q-quantile of sorted samples, of which there is one at
// least.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func median(samples []float64) float64 { return summarise(samples).p50 }

// A series is what one thing was measured as, by rounds. Rounds of different
// things take turns, so that what disturbs the machine disturbs all of them.
type series struct {
	rounds [][]float64
}

func (s *series) add(round []float64) { s.rounds = append(s.rounds, round) }

// all returns the samples of all rounds.
func (s *series) all() []float64 { return slices.Concat(s.rounds...) }

// medians returns the median of each round.
func (s *series) medians() []float64 {
	var all []float64
	for _, r := range s.rounds {
		if len(r) > 0 {
			all = append(all, median(r))
		}
	}
	return all
}

// over returns by how much each round's median is above that of the same
// round of base.
func (s *series) over(base *series) []float64 {
	var all []float64
	for i := range min(len(s.rounds), len(base.rounds)) {
		if len(s.rounds[i]) > 0 && len(base.rounds[i]) > 0 {
			all = append(all, median(s.rounds[i])-median(base.rounds[i]))
		}
	}
	return all
}

// curve returns the quantiles of samples at n+1 even steps from 0 to 1: what
// is kept of a series.
func curve(samples []float64, n int) []float64 {
	if len(samples) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(samples))
	points := make([]float64, n+1)
	for i := range points {
		points[i] = quantile(sorted, float64(i)/float64(n))
	}
	return points
}
