package telemetry

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
)

// Bounds of Rates: how far it looks back, and how many functions it knows. A
// function takes half a kilobyte for each step in which it was called, 60 KB at
// most.
const (
	// RateStep is the length of a step.
	RateStep  = 5 * time.Second
	rateSteps = 120
	maxRated  = 500
)

// A Rate is how a function did in a time.
type Rate struct {
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"` // how long the time is

	Invocations int `json:"invocations"` // that ran
	Errors      int `json:"errors"`      // of those: that failed
	Refused     int `json:"refused"`     // that the platform did not run
	ColdStarts  int `json:"coldStarts"`

	// Percentiles of the duration, within an eighth; zero where nothing ran.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`

	BilledMBms int64 `json:"billedMBms"` // megabyte-milliseconds
}

// Rates knows how functions did lately: each step of the last ten
// minutes, in memory. When it knows as many functions as it may, that one is
// forgotten that was called the longest ago. The zero value is ready. It is
// safe for concurrent use.
type Rates struct {
	mu    sync.RWMutex
	rated map[functionKey]*rated
}

// rated is what is known of a function.
type rated struct {
	called atomic.Int64 // the last step in which it was

	mu    sync.Mutex
	steps [rateSteps]*step // by their number, modulo
}

// A step is what a function did in one.
type step struct {
	number int64 // since 1970
	rate   Rate
	spread spread
}

func stepOf(t time.Time) int64 { return t.UnixNano() / int64(RateStep) }

// Invoked counts an invocation at its end. It satisfies invoke.Observer.
func (r *Rates) Invoked(inv *millicent.Invocation, res *millicent.Result, _ error) {
	now := stepOf(time.Now())
	f := r.of(inv.Tenant, inv.Function, now)
	f.called.Store(now)
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.steps[now%rateSteps]
	if s == nil || s.number != now {
		s = &step{number: now}
		f.steps[now%rateSteps] = s
	}
	if res == nil {
		s.rate.Refused++
		return
	}
	s.rate.Invocations++
	if res.FunctionError != "" {
		s.rate.Errors++
	}
	if res.Usage.Cold {
		s.rate.ColdStarts++
	}
	s.rate.BilledMBms += res.Usage.Billed().Milliseconds() * int64(res.Usage.MemoryMB)
	s.spread.add(res.Usage.Duration)
}

// of returns what is known of a function, and begins to know it.
func (r *Rates) of(tenant, function string, now int64) *rated {
	r.mu.RLock()
	f := r.rated[functionKey{tenant, function}]
	r.mu.RUnlock()
	if f != nil {
		return f
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := functionKey{strings.Clone(tenant), strings.Clone(function)}
	if f = r.rated[key]; f != nil {
		return f
	}
	if len(r.rated) >= maxRated {
		r.forget()
	}
	if r.rated == nil {
		r.rated = map[functionKey]*rated{}
	}
	f = &rated{}
	f.called.Store(now)
	r.rated[key] = f
	return f
}

// forget forgets the function that was called the longest ago. The lock is
// held.
func (r *Rates) forget() {
	var oldest functionKey
	at := int64(-1)
	for key, f := range r.rated {
		if called := f.called.Load(); at < 0 || called < at {
			oldest, at = key, called
		}
	}
	delete(r.rated, oldest)
}

// Now returns how a function does now: in the step that is under way and those
// of the minute before it.
func (r *Rates) Now(tenant, function string) Rate {
	const steps = int64(time.Minute / RateStep)
	now := time.Now()
	n := stepOf(now)
	begin := time.Unix(0, (n-steps)*int64(RateStep)).UTC()
	sum := Rate{Start: begin, Seconds: now.Sub(begin).Seconds()}
	var all spread
	r.each(tenant, function, n-steps, n, func(s *step) {
		sum.Invocations += s.rate.Invocations
		sum.Errors += s.rate.Errors
		sum.Refused += s.rate.Refused
		sum.ColdStarts += s.rate.ColdStarts
		sum.BilledMBms += s.rate.BilledMBms
		all.merge(&s.spread)
	})
	sum.P50Ms, sum.P99Ms = all.percentile(.5), all.percentile(.99)
	return sum
}

// Series returns how a function did in each step of the last ten
// minutes, the oldest first; the one that is under way is not in it.
func (r *Rates) Series(tenant, function string) []Rate {
	end := stepOf(time.Now())
	series := make([]Rate, rateSteps-1)
	for i := range series {
		series[i] = Rate{Start: time.Unix(0, (end-rateSteps+1+int64(i))*int64(RateStep)).UTC(), Seconds: RateStep.Seconds()}
	}
	first := end - rateSteps + 1
	r.each(tenant, function, first, end-1, func(s *step) {
		at := &series[s.number-first]
		start, seconds := at.Start, at.Seconds
		*at = s.rate
		at.Start, at.Seconds = start, seconds
		at.P50Ms, at.P99Ms = s.spread.percentile(.5), s.spread.percentile(.99)
	})
	return series
}

// each calls do for the steps of a function from first to last, in no order,
// under its lock.
func (r *Rates) each(tenant, function string, first, last int64, do func(*step)) {
	r.mu.RLock()
	f := r.rated[functionKey{tenant, function}]
	r.mu.RUnlock()
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.steps {
		if s != nil && s.number >= first && s.number <= last {
			do(s)
		}
	}
}
