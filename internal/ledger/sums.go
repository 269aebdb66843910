package ledger

import (
	"math"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// Sums are what records add up to. Two of them added are those of all records
// of both. What is charged has no bound; other sums stay at the most that an
// int64 holds: for a server with a TB of memory in use that is 280 years.
type Sums struct {
	Records  int64              // receipts
	Charged  millicent.MoneySum // that the receipts add up to, at list prices
	Errors   int64              // invocations that did not succeed
	Cold     int64              // invocations that started their environment
	Duration int64              // of handlers, in microseconds
	Squares  float64            // of each duration, in milliseconds squared; not exact above 2⁵³
	In, Out  int64              // bytes of events and of answers
	PeakMB   int64              // the most memory that one of them held

	Quantities billing.Quantities
}

// sumsOf returns the sums of one record, whose receipt is charge.
func sumsOf(rec *millicent.UsageRecord, charge *billing.Charge) Sums {
	s := Sums{Records: 1, Charged: charge.Total, Quantities: charge.Quantities}
	if rec.Kind != millicent.UsageInvocation {
		return s
	}
	if rec.Outcome != millicent.OutcomeSuccess {
		s.Errors = 1
	}
	if rec.Cold {
		s.Cold = 1
	}
	ms := rec.Duration.Milliseconds()
	s.Duration, s.Squares = rec.Duration.Microseconds(), float64(ms)*float64(ms)
	s.In, s.Out, s.PeakMB = rec.In, rec.Out, int64(rec.PeakMemoryMB)
	return s
}

// Add adds o to s.
func (s *Sums) Add(o *Sums) {
	s.Charged = s.Charged.Add(o.Charged)
	s.Records, s.Errors, s.Cold = saturated(s.Records, o.Records), saturated(s.Errors, o.Errors), saturated(s.Cold, o.Cold)
	s.Duration, s.In, s.Out = saturated(s.Duration, o.Duration), saturated(s.In, o.In), saturated(s.Out, o.Out)
	for i := range s.Quantities {
		s.Quantities[i] = saturated(s.Quantities[i], o.Quantities[i])
	}
	s.Squares += o.Squares
	s.PeakMB = max(s.PeakMB, o.PeakMB)
}

// saturated returns the sum of a and b, which are not negative, or the most there is.
func saturated(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return math.MaxInt64
}

// counts returns pointers to the fields of s that are sums of integers, but for
// the money, in the order of sumColumns.
func (s *Sums) counts() [len(sumColumns) - 1]*int64 {
	to := [len(sumColumns) - 1]*int64{&s.Records, &s.Errors, &s.Cold, &s.Duration, &s.In, &s.Out}
	for i := range s.Quantities {
		to[len(to)-len(s.Quantities)+i] = &s.Quantities[i]
	}
	return to
}

// Invocations returns how many of the records are of invocations.
func (s *Sums) Invocations() int64 { return s.Quantities[billing.Requests] }

// sumColumns are the columns of sums, each of which has a second one for what
// goes beyond its lowBits bits: SQLite's sums fail beyond 63 bits, and this way
// 2²⁷ rows may be added up without that.
var sumColumns = [...]string{
	"charged", "records", "errors", "cold", "duration", "bytes_in", "bytes_out",
	"requests", "compute", "init", "cpu", "egress", "provisioned", "storage", "queue_requests",
}

const (
	lowBits    = 36
	highSuffix = "_high"

	squaresColumn = "squares" // a float
	peakColumn    = "peak_mb" // a maximum
)

// numbers are sums as the file has them: of each of sumColumns both parts.
type numbers struct {
	sums    [2 * len(sumColumns)]int64 // low, high
	squares float64
	peak    int64
}

// numbers returns s as the file has it.
func (s *Sums) numbers() (n numbers) {
	n.sums[1], n.sums[0] = s.Charged.Split(lowBits)
	for i, count := range s.counts() {
		n.sums[2*i+2], n.sums[2*i+3] = *count&(1<<lowBits-1), *count>>lowBits
	}
	n.squares, n.peak = s.Squares, s.PeakMB
	return n
}

// sum is the inverse of Sums.numbers, also when numbers were added up.
func (n *numbers) sum() (s Sums) {
	s.Charged = millicent.JoinMoney(n.sums[1], n.sums[0], lowBits)
	for i, count := range s.counts() {
		*count = int64(millicent.JoinMoney(n.sums[2*i+3], n.sums[2*i+2], lowBits).Money()) // or the most
	}
	s.Squares, s.PeakMB = n.squares, n.peak
	return s
}

// values returns pointers to all parts of n, in the order of fileColumns.
func (n *numbers) values() []any {
	to := make([]any, 0, len(n.sums)+2)
	for i := range n.sums {
		to = append(to, &n.sums[i])
	}
	return append(to, &n.squares, &n.peak)
}

// fileColumns returns the columns of the file's tables that have sums.
func fileColumns() []string {
	var list []string
	for _, c := range sumColumns {
		list = append(list, c, c+highSuffix)
	}
	return append(list, squaresColumn, peakColumn)
}

// A Step is how long the times are that sums are kept for.
type Step int

// The steps.
const (
	Minute Step = iota
	Hour
	Day
	Month
)

// tables are the tables of the steps, the shortest first.
var tables = [...]string{Minute: "minute", Hour: "hour", Day: "day", Month: "month"}

// String returns the step's name: minute, hour, day or month.
func (s Step) String() string { return tables[s] }

// StepNamed returns the step of a name.
func StepNamed(name string) (Step, bool) {
	for s, n := range tables {
		if n == name {
			return Step(s), true
		}
	}
	return 0, false
}

// Floor returns when the step began that t is in.
func (s Step) Floor(t time.Time) time.Time {
	t = t.UTC()
	switch s {
	case Minute:
		return t.Truncate(time.Minute)
	case Hour:
		return t.Truncate(time.Hour)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Next returns when the step ends that begins at t.
func (s Step) Next(t time.Time) time.Time {
	switch s {
	case Minute:
		return t.Add(time.Minute)
	case Hour:
		return t.Add(time.Hour)
	case Day:
		return t.AddDate(0, 0, 1)
	}
	return t.AddDate(0, 1, 0)
}

// How long sums by minute and by hour are kept, after their time.
var keep = [...]time.Duration{Minute: 3 * 24 * time.Hour, Hour: 400 * 24 * time.Hour}

// kept returns the time from which on sums of a step are kept.
func kept(s Step, now time.Time) time.Time {
	if int(s) >= len(keep) {
		return time.Time{}
	}
	return Day.Floor(now.Add(-keep[s]))
}
