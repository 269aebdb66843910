package ledger

import (
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// Sums are what records add up to. Two of them added are those of all records
// of both.
type Sums struct {
	Records  int64           // receipts
	Charged  millicent.Money // that the receipts add up to, at list prices
	Errors   int64           // invocations that did not succeed
	Cold     int64           // invocations that started their environment
	Duration int64           // of handlers, in microseconds
	Squares  int64           // of each duration, in milliseconds squared, rounded down
	In, Out  int64           // bytes of events and of answers
	PeakMB   int64           // the most memory that one of them held

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
	s.Duration, s.Squares = rec.Duration.Microseconds(), ms*ms
	s.In, s.Out, s.PeakMB = rec.In, rec.Out, int64(rec.PeakMemoryMB)
	return s
}

// Add adds o to s.
func (s *Sums) Add(o *Sums) {
	s.Records += o.Records
	s.Charged = s.Charged.Add(o.Charged)
	s.Errors += o.Errors
	s.Cold += o.Cold
	s.Duration += o.Duration
	s.Squares += o.Squares
	s.In += o.In
	s.Out += o.Out
	s.PeakMB = max(s.PeakMB, o.PeakMB)
	s.Quantities.Add(o.Quantities)
}

// Invocations returns how many of the records are of invocations.
func (s *Sums) Invocations() int64 { return s.Quantities[billing.Requests] }

// columns are the columns of sums, in the order of values. peak_mb is a
// maximum, all others are sums.
var columns = []string{
	"records", "charged", "errors", "cold", "duration", "squares", "bytes_in", "bytes_out", "peak_mb",
	"requests", "compute", "init", "cpu", "egress", "provisioned", "storage", "queue_requests",
}

const peakColumn = "peak_mb"

// values returns pointers to the fields of s, in the order of columns.
func (s *Sums) values() []any {
	to := []any{&s.Records, (*int64)(&s.Charged), &s.Errors, &s.Cold, &s.Duration, &s.Squares, &s.In, &s.Out, &s.PeakMB}
	for i := range s.Quantities {
		to = append(to, &s.Quantities[i])
	}
	return to
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
