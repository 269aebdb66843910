package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// A duel compares two contestants in fours of turns, A B B A, so that what
// drifts is in both alike, and what is over within a turn or two is in few of
// them. Both are warmed up first. Each turn begins with a run-in that is not
// counted: what a contestant does shortly after its answers is then done in its
// own turn, or in nobody's.
type duel struct {
	fours               int
	warmUp, runIn, turn time.Duration
}

// A scoreboard is what a duel's fours were: of the first contestant and of the
// second one.
type scoreboard struct {
	rates  [2][]float64 // requests a second
	costs  [2][]float64 // processor time that a request took of the server, in µs
	belows [2][]float64 // likewise of the function, with its pid 1
	loads  [2][]float64 // likewise of the load
	wholes [2][]float64 // of all three
}

// fight measures and adds to the board.
func (d duel) fight(ctx context.Context, a, b contestant, conns int, to *scoreboard) (err error) {
	r, err := newRace(ctx, []contestant{a, b}, conns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for i := range r.contestants {
		begin := time.Now()
		if _, err := r.rush(ctx, i, func() bool { return time.Since(begin) < d.warmUp }); err != nil {
			return err
		}
	}
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
			to.loads[i] = append(to.loads[i], load)
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

// atSameSpeed returns what ratios in percent, of fours, would be around had the
// machine been as fast in both contestants' turns. How fast it was is told by the
// processor time that the load takes for a request: the same work for each
// contestant.
func (s *scoreboard) atSameSpeed(ratios []float64) estimate {
	xs, ys := make([]float64, len(ratios)), make([]float64, len(ratios))
	for i, r := range ratios {
		xs[i], ys[i] = math.Log(s.loads[0][i]/s.loads[1][i]), math.Log(r/100)
	}
	e := intercept(xs, ys)
	return estimate{100 * math.Exp(e.mid), 100 * math.Exp(e.low), 100 * math.Exp(e.high)}
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

// An estimate is what samples are around, and the interval that it lies in with
// a probability of 95 %. All are NaN of no samples.
type estimate struct{ mid, low, high float64 }

// around estimates the middle of what samples were taken of, which is taken to be
// symmetric: the median of the means of all pairs of samples, and those of these means
// that Wilcoxon's signed ranks put at the interval's ends (J. L. Hodges and
// E. L. Lehmann, Estimates of location based on rank tests, 1963). A few wild
// samples do not move it.
func around(samples []float64) estimate {
	n := len(samples)
	if n == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	means := make([]float64, 0, n*(n+1)/2)
	for i, a := range samples {
		for _, b := range samples[:i+1] {
			means = append(means, (a+b)/2)
		}
	}
	slices.Sort(means)
	pairs := float64(len(means))
	spread := math.Sqrt(pairs * float64(2*n+1) / 12) // of the sum of ranks, whose variance is n(n+1)(2n+1)/24
	k := max(0, int(pairs/2-1.96*spread))
	return estimate{quantile(means, 0.5), means[k], means[len(means)-1-k]}
}

// intercept estimates what ys would be around at x = 0, where they depend on x by
// a straight line: least squares, and twice the standard error either way.
func intercept(xs, ys []float64) estimate {
	n := float64(len(xs))
	var mx, my float64
	for i, x := range xs {
		mx, my = mx+x/n, my+ys[i]/n
	}
	var xx, xy, rest float64
	for i, x := range xs {
		xx, xy = xx+(x-mx)*(x-mx), xy+(x-mx)*(ys[i]-my)
	}
	slope := 0.0
	if xx > 0 {
		slope = xy / xx
	}
	mid := my - slope*mx
	for i, x := range xs {
		d := ys[i] - mid - slope*x
		rest += d * d
	}
	if n < 3 || xx == 0 {
		return estimate{mid, math.NaN(), math.NaN()}
	}
	e := 2 * math.Sqrt(rest/(n-2)*(1/n+mx*mx/xx))
	return estimate{mid, mid - e, mid + e}
}
