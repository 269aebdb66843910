package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones, where the machine has none

	"github.com/millicent-run/millicent"
)

// timeForm is how at(…) writes a time, in the schedule's zone.
const timeForm = "2006-01-02T15:04:05"

// lateness is how late a time is run that is not missed: AWS's precision.
const lateness = time.Minute

// An expression says when, apart from any schedule: one of at, rate and cron.
// It is a value that never changes.
type expression struct {
	at   time.Time     // of at(…), in its zone
	rate time.Duration // of rate(…)
	cron *cron         // of cron(…)
	zone *time.Location
}

// once reports whether there is one time only.
func (e *expression) once() bool { return !e.at.IsZero() }

// parse reads a schedule's expression and zone. Its errors are for the caller.
func parse(text, zone string) (*expression, error) {
	e := new(expression)
	var err error
	if e.zone, err = loadZone(zone); err != nil {
		return nil, err
	}
	kind, rest, _ := strings.Cut(text, "(")
	body, ok := strings.CutSuffix(rest, ")")
	if !ok {
		return nil, badExpression(text)
	}
	switch kind {
	case "at":
		e.at, err = parseAt(body, e.zone)
	case "rate":
		e.rate, err = parseRate(body)
	case "cron":
		e.cron, err = parseCron(body)
	default:
		err = fmt.Errorf("%q is none of at, rate and cron", kind)
	}
	if err != nil {
		bad := badExpression(text)
		bad.Err = err
		return nil, bad
	}
	return e, nil
}

// Check reports what is wrong with an expression in a zone, for the caller.
func Check(text, zone string) error {
	_, err := parse(text, zone)
	return err
}

func badExpression(text string) *millicent.Error {
	return millicent.Errorf(CodeValidation, "Invalid Schedule Expression %s.", text)
}

// loadZone finds a zone by its IANA name. Local is none: it would be another
// on each machine.
func loadZone(name string) (*time.Location, error) {
	if name != "" && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, millicent.Errorf(CodeValidation, "The ScheduleExpressionTimezone you specify is not valid: %s.", name)
}

func parseAt(text string, zone *time.Location) (time.Time, error) {
	wall, err := time.Parse(timeForm, text)
	if err != nil || len(text) != len(timeForm) || wall.Year() < 1970 {
		return time.Time{}, fmt.Errorf("%q is no time of the form yyyy-mm-ddThh:mm:ss", text)
	}
	if at, ok := inZone(wall, zone); ok {
		return at, nil
	}
	// A time that clocks leap over: an hour later, as the clocks are.
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone), nil
}

// maxRate bounds what a rate's value may be, in its unit.
const maxRate = 100_000

func parseRate(text string) (time.Duration, error) {
	value, unit, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxRate || value[0] == '+' {
		return 0, fmt.Errorf("%q is no positive number", value)
	}
	switch unit {
	case "minute", "minutes":
		return time.Duration(n) * time.Minute, nil
	case "hour", "hours":
		return time.Duration(n) * time.Hour, nil
	case "day", "days": // of 24 hours each, whatever the clocks do
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return 0, fmt.Errorf("%q is no unit of a rate", unit)
}

// inZone returns when clocks in a zone first show what wall shows in UTC; ok
// is false when they leap over it.
func inZone(wall time.Time, zone *time.Location) (first time.Time, ok bool) {
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		ahead := offset(wall.Add(near), zone)
		t := wall.Add(-ahead)
		if offset(t, zone) == ahead && (!ok || t.Before(first)) {
			first, ok = t.In(zone), true
		}
	}
	return first, ok
}

// Next returns the first time after another at which a schedule is due; ok is
// false when there is none. It is not concerned with the schedule being
// paused.
func Next(s *millicent.Schedule, after time.Time) (_ time.Time, ok bool) {
	e, err := parse(s.Expression, s.Zone)
	if err != nil {
		return time.Time{}, false
	}
	return e.next(s, after)
}

// next is Next with the schedule's expression.
func (e *expression) next(s *millicent.Schedule, after time.Time) (_ time.Time, ok bool) {
	if e.once() {
		return e.at, e.at.After(after) && !e.at.Before(s.Since.Add(-lateness))
	}
	from := s.Since
	if s.Start.After(from) {
		from = s.Start
	}
	if before := from.Add(-1); after.Before(before) {
		after = before
	}
	var t time.Time
	if e.cron != nil {
		t, ok = e.cron.next(after, e.zone)
	} else {
		t, ok = e.nextOfRate(s, after), true
	}
	if !ok || !s.End.IsZero() && t.After(s.End) {
		return time.Time{}, false
	}
	return t, true
}

// nextOfRate returns the first time of a rate after another.
func (e *expression) nextOfRate(s *millicent.Schedule, after time.Time) time.Time {
	anchor := s.Anchor
	if !s.Start.IsZero() {
		anchor = s.Start
	}
	if after.Before(anchor) {
		return anchor
	}
	return anchor.Add((after.Sub(anchor)/e.rate + 1) * e.rate)
}
