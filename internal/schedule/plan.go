package schedule

import (
	"time"

	"github.com/millicent-run/millicent"
)

// CatchUpTag is the tag of a schedule, or of its group, that says how it
// catches up.
const CatchUpTag = "millicent:catch-up"

// A CatchUp says what happens to ticks that were missed.
type CatchUp string

// The ways to catch up. Nothing is run that is older than the target's MaxAge.
const (
	CatchUpNone   CatchUp = "none"   // they are skipped: of recurring schedules, unless a tag says otherwise
	CatchUpLatest CatchUp = "latest" // the latest is run, the others are skipped: of at(…), likewise
	CatchUpAll    CatchUp = "all"    // the latest maxCaughtUp are run
)

const (
	maxCaughtUp = 100
	maxCounted  = 10_000 // missed ticks counted at a time
)

// Valid reports whether c is one of them.
func (c CatchUp) Valid() bool {
	return c == CatchUpNone || c == CatchUpLatest || c == CatchUpAll
}

// catchUp returns how a schedule catches up: by its own tag, its group's, or
// its kind.
func catchUp(e *expression, tags ...map[string]string) CatchUp {
	for _, of := range tags {
		if c := CatchUp(of[CatchUpTag]); c.Valid() {
			return c
		}
	}
	if e.once() {
		return CatchUpLatest
	}
	return CatchUpNone
}

// A plan is what a schedule needs at a moment.
type plan struct {
	run     []time.Time // ticks, oldest first
	missed  int         // ticks that are skipped
	through time.Time   // the latest tick that is done with so; zero: as before
	next    time.Time   // the first tick to come; zero: none
}

// planOf decides about a schedule that was looked after through a tick (zero:
// none yet).
func planOf(s *millicent.Schedule, e *expression, how CatchUp, through, now time.Time) plan {
	p := plan{through: through}
	if s.Paused {
		return p
	}
	var late []time.Time // missed, the latest maxCaughtUp of them
	after := through
	for n := 0; ; n++ {
		t, ok := e.next(s, after)
		if !ok {
			break
		}
		if t.After(now) || n == maxCounted { // of more, the rest is for the next plan
			p.next = t
			break
		}
		after = t
		if now.Sub(t) < lateness {
			p.run = append(p.run, t)
			continue
		}
		p.missed++
		if now.Sub(t) > s.Target.MaxAge {
			continue
		}
		if late = append(late, t); len(late) > maxCaughtUp {
			late = late[1:]
		}
	}
	switch {
	case how == CatchUpNone || len(late) == 0:
		late = nil
	case how == CatchUpLatest:
		late = late[len(late)-1:]
		if len(p.run) > 0 { // a later one is run anyhow
			late = nil
		}
	}
	p.missed -= len(late)
	p.run = append(late, p.run...)
	if !after.Equal(through) {
		p.through = after
	}
	return p
}
