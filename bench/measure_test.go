package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummarise(t *testing.T) {
	hundred := make([]float64, 101) // 0 to 100
	for i := range hundred {
		hundred[i] = float64(i)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(hundred), func(i, j int) { hundred[i], hundred[j] = hundred[j], hundred[i] })
	for name, c := range map[string]struct {
		samples []float64
		want    summary
	}{
		"one":     {[]float64{7}, summary{n: 1, min: 7, p50: 7, p90: 7, p99: 7, max: 7}},
		"two":     {[]float64{4, 2}, summary{n: 2, min: 2, p50: 3, p90: 3.8, p99: 3.98, max: 4, mad: 1}},
		"outlier": {[]float64{1, 2, 3, 4, 1000}, summary{n: 5, min: 1, p50: 3, p90: 601.6, p99: 960.16, max: 1000, mad: 1}},
		"hundred": {hundred, summary{n: 101, min: 0, p50: 50, p90: 90, p99: 99, max: 100, mad: 25}},
	} {
		near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
		if d := cmp.Diff(c.want, summarise(c.samples), cmp.AllowUnexported(summary{}), near); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if got := summarise(nil); got.n != 0 || !math.IsNaN(got.p50) || !math.IsNaN(got.mad) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestSummariseLeavesItsSamples(t *testing.T) {
	samples := []float64{3, 1, 2}
	summarise(samples)
	if d := cmp.Diff([]float64{3, 1, 2}, samples); d != "" {
		t.Error(d)
	}
}

func TestOver(t *testing.T) {
	// The machine is twice as slow in the second round, for both.
	var base, one series
	base.add([]float64{10, 11, 12})
	one.add([]float64{30, 31, 32})
	base.add([]float64{20, 22, 24})
	one.add([]float64{60, 62, 64})
	base.add(nil) // nothing came of it
	one.add([]float64{1})
	if d := cmp.Diff([]float64{20, 40}, one.over(&base)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{31, 62, 1}, one.medians()); d != "" {
		t.Error(d)
	}
}

func TestCurve(t *testing.T) {
	if d := cmp.Diff([]float64{1, 2, 3}, curve([]float64{3, 1, 2}, 2)); d != "" {
		t.Error(d)
	}
	if got := curve(nil, 4); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
