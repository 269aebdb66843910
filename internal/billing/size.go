package billing

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// A Measured is what a function's invocations at one memory size used.
type Measured struct {
	MemoryMB   int
	Duration   int64   // of handlers, microseconds
	Squares    float64 // of each duration, milliseconds squared
	PeakMB     int64   // the most memory that one of them held
	Quantities Quantities
}

// A SizeReport says what the same invocations of a function would cost at
// other memory sizes, and on a server.
type SizeReport struct {
	Function    string             `json:"function"`
	From        time.Time          `json:"from"`
	To          time.Time          `json:"to"`
	Currency    string             `json:"currency"`
	Invocations int64              `json:"invocations"`
	MemoryMB    int                `json:"memoryMB"` // that most of them had
	PeakMB      int64              `json:"peakMB"`   // the most memory that one of them held
	Cost        millicent.MoneySum `json:"cost"`     // at list prices
	Sizes       []Size             `json:"sizes"`
	Best        int                `json:"best"` // MemoryMB of the size whose highest cost is the lowest

	// What a server that is always on would have cost in the time, and how
	// many it takes to hold one environment; without a name where the price
	// book names none.
	Server     string             `json:"server,omitempty"`
	Servers    int64              `json:"servers,omitempty"`
	ServerCost millicent.MoneySum `json:"serverCost"`
}

// A Size is a memory size with what invocations take and cost there. Low and
// high are the bounds of the uncertainty: of a size that was measured, two
// standard errors of the mean; of others, that and the difference between code
// that can use more than one core and code that cannot.
type Size struct {
	MemoryMB     int                `json:"memoryMB"`
	Measured     int64              `json:"measured"`     // invocations that ran at this size; 0: estimated
	Fits         bool               `json:"fits"`         // has the memory that was held
	DurationLow  int64              `json:"durationLow"`  // microseconds, of a mean handler
	DurationHigh int64              `json:"durationHigh"` //
	CostLow      millicent.MoneySum `json:"costLow"`      // of all the invocations
	CostHigh     millicent.MoneySum `json:"costHigh"`
}

// offered are the sizes that a report has besides those that were measured.
var offered = []int{128, 256, 512, 1024, 1769, 3538, 5307, 7076, 10240}

// RightSize reports on a function's invocations in a time, by what they were
// measured to use at each size; there is one at least. Prices are list prices
// of a book.
//
// The model of sizes that were not measured: the CPU time of an invocation is
// the same at every size, and its cores are MemoryMB ÷ 1769, as the platform
// gives them. What remains of the duration is waiting, which no size changes.
func RightSize(function string, from, to time.Time, measured []Measured, b *Book) SizeReport {
	measured = slices.Clone(measured)
	slices.SortFunc(measured, func(a, b Measured) int { return cmp.Compare(a.MemoryMB, b.MemoryMB) })
	r := SizeReport{Function: function, From: from, To: to, Currency: b.Currency}
	var most *Measured
	for i := range measured {
		m := &measured[i]
		r.Invocations += m.Quantities[Requests]
		r.PeakMB = max(r.PeakMB, m.PeakMB)
		r.Cost = r.Cost.Add(b.Total(m.Quantities).Total)
		if most == nil || most.Quantities[Requests] <= m.Quantities[Requests] {
			most = m
		}
	}
	r.MemoryMB = most.MemoryMB
	base := observe(most)
	for _, mb := range sizes(measured) {
		s := Size{MemoryMB: mb, Fits: int64(mb) >= r.PeakMB}
		var low, high float64
		if i := slices.IndexFunc(measured, func(m Measured) bool { return m.MemoryMB == mb }); i >= 0 {
			o := observe(&measured[i])
			low, high = o.duration-2*o.err, o.duration+2*o.err
			s.Measured = measured[i].Quantities[Requests]
		} else {
			low, high = base.at(mb)
		}
		low = max(0, low)
		s.DurationLow, s.DurationHigh = int64(low), int64(math.Ceil(high))
		s.CostLow, s.CostHigh = r.cost(&s, most, base.init, low, b), r.cost(&s, most, base.init, high, b)
		r.Sizes = append(r.Sizes, s)
	}
	r.Best = best(r.Sizes)
	if b.Server != nil && b.Server.MemoryMB > 0 {
		r.Server, r.Servers = b.Server.Name, int64((r.MemoryMB+b.Server.MemoryMB-1)/b.Server.MemoryMB)
		r.ServerCost = b.Server.PerMonth.Of(r.Servers*int64(to.Sub(from)/time.Second), int64(month/time.Second))
	}
	return r
}

// sizes returns the sizes of a report.
func sizes(measured []Measured) []int {
	list := slices.Clone(offered)
	for _, m := range measured {
		list = append(list, m.MemoryMB)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// best returns the size that fits whose highest cost is the lowest, 0 when none
// fits.
func best(sizes []Size) int {
	found := 0
	var cost millicent.MoneySum
	for _, s := range sizes {
		if s.Fits && (found == 0 || s.CostHigh.Compare(cost) < 0) {
			found, cost = s.MemoryMB, s.CostHigh
		}
	}
	return found
}

// An observed is what an invocation took on average, in microseconds.
type observed struct {
	duration, err float64 // of the handler; the standard error of the mean
	cpu           float64
	init          float64 // billed
	cores         float64
}

func observe(m *Measured) observed {
	n := float64(max(1, m.Quantities[Requests]))
	o := observed{
		duration: float64(m.Duration) / n, cpu: float64(m.Quantities[CPU]) / n,
		init: float64(m.Quantities[Init]) / float64(max(1, m.MemoryMB)) * 1000 / n, cores: float64(m.MemoryMB) / mbPerCore,
	}
	// Init ran on a core at least, and its CPU is not the handler's.
	o.cpu = max(0, o.cpu-o.init)
	mean := o.duration / 1000
	variance := max(0, m.Squares/n-mean*mean)
	o.err = math.Sqrt(variance/n) * 1000
	return o
}

// at returns the bounds of the duration at another size.
func (o *observed) at(memoryMB int) (low, high float64) {
	cores := float64(memoryMB) / mbPerCore
	model := func(before, after float64) float64 {
		busy := min(o.duration, o.cpu/before)
		return o.duration - busy + o.cpu/after
	}
	parallel, serial := model(o.cores, cores), model(min(1, o.cores), min(1, cores))
	return min(parallel, serial) - 2*o.err, max(parallel, serial) + 2*o.err
}

// cost returns what the report's invocations cost at a size, when they take a
// duration and Init is as long as in those that most of them were like. The
// billed time of each is half a millisecond more on average, by rounding up.
func (r *SizeReport) cost(s *Size, like *Measured, init, duration float64, b *Book) millicent.MoneySum {
	n := float64(r.Invocations)
	scale := n / float64(max(1, like.Quantities[Requests]))
	var q Quantities
	q[Requests] = r.Invocations
	q[Compute] = whole((duration + 500) / 1000 * n * float64(s.MemoryMB))
	q[Init] = whole(init / 1000 * n * float64(s.MemoryMB))
	q[CPU] = whole(float64(like.Quantities[CPU]) * scale)
	q[Egress] = whole(float64(like.Quantities[Egress]) * scale)
	return b.Total(q).Total
}

// whole returns what is nearest to f, from 0 to what an int64 holds.
func whole(f float64) int64 {
	if f >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(0, int64(math.Round(f)))
}
