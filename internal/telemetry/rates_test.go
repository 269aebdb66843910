package telemetry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func invoked(r *Rates, function string, took time.Duration, change func(*millicent.Result)) {
	res := &millicent.Result{Usage: millicent.Usage{Duration: took, MemoryMB: 128}}
	if change != nil {
		change(res)
	}
	r.Invoked(&millicent.Invocation{Tenant: "1", Function: function}, res, nil)
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rates
		time.Sleep(time.Until(time.Now().Truncate(RateStep).Add(RateStep))) // to where a step begins
		begin := time.Now().UTC()
		if got := r.Now("1", "f"); got.Invocations != 0 || got.P50Ms != 0 || got.Seconds != 60 {
			t.Errorf("before all: %+v", got)
		}
		for range 98 {
			invoked(&r, "f", 10*time.Millisecond, nil)
		}
		invoked(&r, "f", 800*time.Millisecond, func(res *millicent.Result) { res.FunctionError = "Unhandled" })
		invoked(&r, "f", 900*time.Millisecond, func(res *millicent.Result) {
			res.Usage.Cold, res.Usage.Init = true, 100*time.Millisecond
		})
		r.Invoked(&millicent.Invocation{Tenant: "1", Function: "f"}, nil, errors.New("refused"))
		r.Invoked(&millicent.Invocation{Tenant: "2", Function: "f"}, nil, errors.New("another's"))
		time.Sleep(3 * time.Second)

		got := r.Now("1", "f")
		for name, c := range map[string]struct{ got, want float64 }{"p50": {got.P50Ms, 10}, "p99": {got.P99Ms, 800}} {
			if math.Abs(c.got-c.want) > c.want/8 {
				t.Errorf("%s is %g, want %g within an eighth", name, c.got, c.want)
			}
		}
		want := Rate{
			Start: begin.Add(-time.Minute), Seconds: 63, Invocations: 100, Errors: 1, Refused: 1, ColdStarts: 1,
			P50Ms: got.P50Ms, P99Ms: got.P99Ms, BilledMBms: 128 * (98*10 + 800 + 1000),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("now (-want +got):\n%s", diff)
		}
		if series := r.Series("1", "f"); series[len(series)-1].Invocations != 0 {
			t.Error("the step that is under way is in the series")
		}

		time.Sleep(RateStep)
		invoked(&r, "f", time.Millisecond, nil)
		series := r.Series("1", "f")
		last := series[len(series)-1]
		want.Start, want.Seconds = begin, RateStep.Seconds()
		if diff := cmp.Diff(want, last); diff != "" || len(series) != rateSteps-1 {
			t.Errorf("%d steps; the last (-want +got):\n%s", len(series), diff)
		}
		for i, s := range series {
			if !s.Start.Equal(begin.Add(time.Duration(i-rateSteps+2) * RateStep)) {
				t.Fatalf("step %d begins at %v", i, s.Start)
			}
		}
		if got := r.Now("2", "f"); got.Refused != 1 || got.Invocations != 0 {
			t.Errorf("another tenant's: %+v", got)
		}

		time.Sleep(rateSteps * RateStep)
		if got := r.Now("1", "f"); got.Invocations != 0 {
			t.Errorf("later: %+v", got)
		}
		for _, s := range r.Series("1", "f") {
			if s.Invocations != 0 {
				t.Errorf("later: %+v", s)
			}
		}
	})
}

func TestRatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rates
		for i := range maxRated {
			invoked(&r, fmt.Sprint("f", i), time.Millisecond, nil)
		}
		time.Sleep(RateStep)
		for i := range maxRated {
			if i != 7 {
				invoked(&r, fmt.Sprint("f", i), time.Millisecond, nil)
			}
		}
		invoked(&r, "new", time.Millisecond, nil)
		if len(r.rated) != maxRated {
			t.Errorf("%d functions are known", len(r.rated))
		}
		if got := r.Now("1", "f7").Invocations; got != 0 {
			t.Error("the one that was called the longest ago is not forgotten")
		}
		if got := r.Now("1", "f8").Invocations; got != 2 {
			t.Errorf("another one has %d invocations", got)
		}
	})
}

func TestRatesConcurrently(t *testing.T) {
	var r Rates
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 1000 {
				invoked(&r, fmt.Sprint("f", i%3), time.Millisecond, nil)
				_ = r.Series("1", "f0")
			}
		})
	}
	group.Wait()
	total := 0
	for i := range 3 {
		total += r.Now("1", fmt.Sprint("f", i)).Invocations
	}
	if total != 8000 {
		t.Errorf("%d were counted", total)
	}
}

// TestSpread holds percentiles against those of the sorted durations.
func TestSpread(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s, part spread
		all := make([]time.Duration, 1+random.IntN(500))
		for i := range all {
			all[i] = time.Duration(64_000 * math.Exp(random.Float64()*16)) // 64 µs to 9 minutes
			if i%2 == 0 {
				s.add(all[i])
			} else {
				part.add(all[i])
			}
		}
		s.merge(&part)
		slices.Sort(all)
		for _, p := range []float64{.01, .5, .9, .99, 1} {
			want := float64(all[int(math.Ceil(p*float64(len(all))))-1].Microseconds()) / 1000
			if got := s.percentile(p); math.Abs(got-want) > want/8+.001 {
				t.Fatalf("percentile %g of %d is %g, want %g", p, len(all), got, want)
			}
		}
	}
	for i := range spreadBuckets {
		if got := bucketOf(time.Duration(bucketStart(i)) * time.Microsecond); got != i {
			t.Errorf("the start of bucket %d is in bucket %d", i, got)
		}
	}
	if bucketOf(-1) != 0 || bucketOf(math.MaxInt64) != spreadBuckets-1 {
		t.Error("what is out of range has no bucket")
	}
}
