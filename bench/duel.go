package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// A duel compares two contestants in fours of turns, A B B A, so that what
// drifts is in both alike. Each turn begins with a run-in that is not counted:
// what a contestant does later than its answers is then done in its own turn.
type duel struct {
	fours       int
	runIn, turn time.Duration
}

// A scoreboard is what a duel's fours were: of the first contestant and of the
// second one.
type scoreboard struct {
	rates  [2][]float64 // requests a second
	costs  [2][]float64 // processor time that a request took of the server, in µs
	belows [2][]float64 // likewise of the function, with its pid 1
	wholes [2][]float64 // likewise of both and of the load
}

// fight measures and adds to the board.
func (d duel) fight(ctx context.Context, a, b contestant, conns int, to *scoreboard) (err error) {
	r, err := newRace(ctx, []contestant{a, b}, conns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for range d.fours {
		var requests [2]float64
		var took [2]time.Duration
		before := [2]bill{r.bills[0], r.bills[1]}
		for _, i := range []int{0, 1, 1, 0} {
			begin := time.Now()
			if _, err := r.rush(ctx, i, func() bool { return time.Since(begin) < d.runIn }); err != nil {
				return err
			}
			us, lasted, err := r.round(ctx, i, d.turn)
			if err != nil {
				return err
			}
			requests[i] += float64(len(us))
			took[i] += lasted
		}
		for i := range requests {
			to.rates[i] = append(to.rates[i], requests[i]/took[i].Seconds())
			to.costs[i] = append(to.costs[i], float64(r.bills[i].server-before[i].server)/1e3/requests[i])
			to.belows[i] = append(to.belows[i], float64(r.bills[i].below-before[i].below)/1e3/requests[i])
			load := float64(r.bills[i].load-before[i].load) / 1e3 / requests[i]
			to.wholes[i] = append(to.wholes[i], to.costs[i][len(to.costs[i])-1]+to.belows[i][len(to.belows[i])-1]+load)
		}
	}
	return nil
}

// rateRatios returns the second contestant's rate by the first one's, in
// percent, of each four.
func (s *scoreboard) rateRatios() []float64 {
	var all []float64
	for i, rate := range s.rates[0] {
		all = append(all, 100*s.rates[1][i]/rate)
	}
	return all
}

// timeRatios returns how many requests the second contestant answers in the
// processor time that the first one takes for a hundred, of each four. Where
// processors have nothing else to do and are never idle, that is what rateRatios
// returns; what else they do disturbs it less.
func (s *scoreboard) timeRatios() []float64 {
	var all []float64
	for i, took := range s.wholes[0] {
		all = append(all, 100*took/s.wholes[1][i])
	}
	return all
}

// costGaps returns how much more the second contestant took than the first, in
// µs of a request, of each four.
func (s *scoreboard) costGaps() []float64 {
	var all []float64
	for i, cost := range s.costs[0] {
		all = append(all, s.costs[1][i]-cost)
	}
	return all
}

// confidence returns the interval that the median of what samples were taken of
// lies in with a probability of 95 % at least, whatever its distribution:
// between two of the samples in their order, by how many of them a fair coin
// puts below the median.
func confidence(samples []float64) (low, high float64) {
	n := len(samples)
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	k, below := 0, 0.0
	for term := math.Exp2(-float64(n)); k < (n-1)/2; k++ { // term is n over k, by two to the n
		if below += term; below > 0.025 {
			break
		}
		term *= float64(n-k) / float64(k+1)
	}
	k = max(0, k-1)
	return sorted[k], sorted[n-1-k]
}
