package scheduler

import (
	"iter"
	"time"

	"github.com/millicent-run/millicent"
)

// This file decides: each function is pure, of the state and the time given.

// A room is a share of the machine.
type room struct {
	environments int
	memoryMB     int
}

func (r room) plus(o room) room {
	return room{r.environments + o.environments, r.memoryMB + o.memoryMB}
}

func (r room) minus(o room) room {
	return room{r.environments - o.environments, r.memoryMB - o.memoryMB}
}

func (r room) within(limit room) bool {
	return r.environments <= limit.environments && r.memoryMB <= limit.memoryMB
}

// refusal returns the reason to throttle one more invocation of a function
// with active invocations, or "". unreserved counts the invocations of the
// tenant's functions without a reservation, which share pool.
func refusal(active int, reserved *int, unreserved, pool int) string {
	switch {
	case reserved != nil && active >= *reserved:
		return millicent.ReasonReservedConcurrency
	case reserved == nil && unreserved >= pool:
		return millicent.ReasonConcurrency
	}
	return ""
}

// A move is what becomes of the next request for room.
type move int

const (
	moveLaunch move = iota // there is room now
	moveAwait              // there will be, once what is closing has closed
	moveEvict              // there will be, once some idle environments have closed
	moveFull               // nothing to be done until an invocation ends
)

// place decides about a request for need when used is in use, of which
// closing will soon be free, ahead is promised to earlier requests that wait
// for it, and idle yields the idle environments, longest idle first. With
// moveEvict, victims says how many of these have to go.
func place(need, used, limit, closing, ahead room, idle iter.Seq[room]) (m move, victims int) {
	if ahead == (room{}) && used.plus(need).within(limit) {
		return moveLaunch, 0
	}
	expected := used.plus(ahead).plus(need).minus(closing)
	if expected.within(limit) {
		return moveAwait, 0
	}
	for r := range idle {
		expected = expected.minus(r)
		victims++
		if expected.within(limit) {
			return moveEvict, victims
		}
	}
	return moveFull, 0
}

// expiry returns how long an environment idle since then is still kept; zero
// or less means that it has to go.
func expiry(since, now time.Time, keepAlive time.Duration) time.Duration {
	return keepAlive - now.Sub(since)
}
