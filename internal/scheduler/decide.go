package scheduler

import (
	"iter"
	"time"

	"github.com/millicent-run/millicent"
)

// This file decides: each function is pure, of the state and the time given.

const (
	// sooner is how many times as long as a start the wait for a busy
	// environment has to be expected to take for the start to begin at once.
	// A start costs the machine far more than a wait, and one that is not
	// begun at once still begins when the wait has lasted as long as it takes.
	sooner = 2

	// brief is how many times shorter than a start an invocation has to be for
	// its version to make do with few environments, see crowded.
	brief = 8

	// persistent is how many times as long as a start a line lasts that is not
	// an accident: each in it is served soon, and yet it does not end.
	persistent = 4

	// negligible is the time of a start that is not worth any wait.
	negligible = time.Millisecond

	// lightest is how many light environments of a version there are for each
	// core when another one helps no more, with invocations that are over in a
	// negligible time; lightWait is how long a line waits before there is one
	// more nevertheless.
	lightest  = 8
	lightWait = 100 * time.Millisecond

	// setback is what each environment that a version has costs it among those
	// that want a launch; everSenior is more than anybody waits.
	setback    = 250 * time.Millisecond
	everSenior = 365 * 24 * time.Hour

	// slotTime is how long a launch holds its slot. Slots keep launches from
	// taking the processors from one another; one that lasts longer mostly
	// sleeps in the function's own Init, and holds up nobody.
	slotTime = 2 * time.Second

	// settleTime is how long an environment has to be idle before another
	// version may take its room to scale out: a break between two invocations
	// is not idleness.
	settleTime = time.Second

	// freezeAfter is how long an environment has to be idle to be frozen, and
	// freezeAgain when it is tried again if it was not at rest. To freeze and
	// to thaw takes a tenth of a millisecond altogether, on the path of the next
	// invocation 40 µs: next to nothing for a function that is called less
	// often than this, and nothing for one that is called more often.
	freezeAfter = 100 * time.Millisecond
	freezeAgain = time.Second

	// freezeTimeout bounds the freezing of one environment, which takes some
	// milliseconds on a busy machine.
	freezeTimeout = time.Second

	// lookInterval is how often the machine's memory is looked at while
	// environments are idle, and giveBacks how many of them are asked to give
	// memory back then; one takes some 3 ms.
	lookInterval = time.Second
	giveBacks    = 16

	// headroomMB is what of the machine's memory is not for environments, at
	// least, where the operator says nothing.
	headroomMB = 512

	// longestWait bounds the wait for what has no bound of its own.
	longestWait = time.Minute

	// yieldTime is how long a version has to wait for room before others'
	// environments yield to it.
	yieldTime = 500 * time.Millisecond
)

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

// A relief is what is done about the machine's memory.
type relief int

const (
	reliefNone     relief = iota
	reliefGiveBack        // frozen environments give back what they can do without
	reliefEvict           // and idle ones are closed
)

// relief decides by what is available: less than a tenth of all makes the
// kernel look for pages at every turn, and with less than a twentieth one
// invocation that takes a lot can make it end a process.
func (m Memory) relief() relief {
	switch {
	case m.Total <= 0 || m.Available >= m.Total/10:
		return reliefNone
	case m.Available >= m.Total/20:
		return reliefGiveBack
	}
	return reliefEvict
}

// reliefEvictions returns how many of the idle environments are closed at one
// look at the memory.
func reliefEvictions(idle int) int { return min(idle, max(4, idle/10)) }

// freezePause returns how long the freezing of the next one is put off when
// that of one took so long: a tenth of one processor's time is for freezing.
func freezePause(took time.Duration) time.Duration {
	return min(max(9*took, 1), time.Second)
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

// A demand is what there is of a version at a moment, and who waits for it.
type demand struct {
	waiting   int           // requests that may cause a launch
	launching int           // launches in progress, or with room promised to them
	busy      int           // environments
	waited    time.Duration // by the oldest request beyond those launching
	lined     time.Duration // for how long there has been somebody in line without a break
	lease     time.Duration // that an invocation holds an environment, as measured; 0: not yet
	typical   time.Duration // the median of the same
	start     time.Duration // that a launch takes, as measured
	light     bool          // a launch takes no time while there is an environment
	cores     int           // of the machine
}

// crowded reports whether another environment is more likely to take time from
// the others than to serve the line sooner: invocations are brief, and there is
// an environment for each core and one more. Light ones cost nothing but their
// turns on the processors, and spare each other the hand-over.
func (d demand) crowded() bool {
	if d.light {
		return d.launching+d.busy >= lightest*d.cores && d.typical < negligible
	}
	return d.launching+d.busy > d.cores && d.typical > 0 && d.typical < d.start/brief
}

// endurance returns how long a request waits for what is busy before there is
// one launch more. Where it is crowded a long wait mostly means that the machine
// had no time, and it has less with another process.
func (d demand) endurance() time.Duration {
	switch {
	case d.light:
		return lightWait
	case d.crowded():
		return brief * d.start
	}
	return d.start
}

// launches decides whether one more launch is to begin now. A version of
// which no lease has ended yet is taken for one whose leases last as long as
// a start.
func (d demand) launches() bool {
	switch {
	case d.waiting <= d.launching:
		return false // one is coming for each
	case d.launching+d.busy == 0:
		return true
	case d.light && !d.crowded():
		return true
	case d.waited >= d.endurance() || d.start < negligible:
		return true
	}
	if d.lined >= persistent*d.start && d.launching == 0 && !d.crowded() {
		return true // it will not end by itself
	}
	lease := d.lease
	if lease == 0 {
		lease = d.start
	}
	// How many of the line will have been served by then: the busy come free
	// at their rate, those launching serve one each and go on at that rate.
	then := sooner * d.start
	served := float64(d.busy)*float64(then)/float64(lease) +
		float64(d.launching)*(1+float64(then-d.start)/float64(lease))
	return float64(d.waiting) > served
}

// seniority orders those who want a launch, the highest first: it is how long
// the oldest without one has waited, less for what its version has already. A
// version without any environment is senior to all that have some: these have
// at least their turn with what they have.
func seniority(waited time.Duration, environments int) time.Duration {
	if environments == 0 {
		return waited + everSenior
	}
	return waited - time.Duration(environments)*setback
}

// A move is what becomes of a launch that is wanted.
type move int

const (
	moveLaunch move = iota // there is room now
	moveAwait              // there will be, once what is closing has closed
	moveEvict              // there will be, once some idle environments have closed
	moveFull               // nothing to be done until an invocation ends
)

// place decides about a launch that needs room when used is in use, of which
// closing will soon be free, ahead is promised to earlier ones that wait for
// it, and idle yields the environments that may be closed for it, in that
// order. With moveEvict, victims says how many of these have to go.
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

// worth is what it is worth to keep an idle environment, by what a MB of it
// saves: the time of a start, as often as its version was used of late. rank is
// its place among its version's environments, the most recently used of which
// is the first and gets most of the calls.
func worth(start time.Duration, uses float64, memoryMB, rank int) float64 {
	return start.Seconds() * uses / float64(max(1, memoryMB)) / float64(max(1, rank))
}

// settled returns how long an environment has to have been idle to be closed
// for a version that has environments already.
func settled(environments int) time.Duration {
	if environments == 0 {
		return 0
	}
	return settleTime
}

// yields decides whether an environment just released makes way, of a version
// that has own environments and a line, for one that has others and has waited
// for room. Two versions that differ by one do not swap, except that one
// without any gets its share of the time, even of another's only one.
func yields(own, others int, waited, queueWait time.Duration) bool {
	limit := min(yieldTime, queueWait/4)
	switch {
	case others+1 < own:
		return waited >= limit
	case others == 0:
		return waited >= 2*limit // rather of one that has several
	}
	return false
}

// A reason is why a version's line waits, but for those in it who have a
// launch coming.
type reason int

const (
	forLaunch  reason = iota // each has a launch coming
	forLease                 // the environments there are will do
	forSlot                  // for launches in progress to end
	forClosing               // for environments to close
	forRoom                  // for an invocation to end somewhere
)

// waitForLaunch returns the wait since a request for an environment whose
// launch began at began, until when its line waited for what after says. One
// launch may have begun before the request.
func waitForLaunch(since, began, now time.Time, after reason) millicent.Wait {
	w := millicent.Wait{For: millicent.WaitStart, Time: now.Sub(since), Before: max(0, began.Sub(since))}
	if w.Before > 0 {
		switch after {
		case forLease:
			w.For = millicent.WaitBusy
		case forSlot:
			w.For = millicent.WaitSlot
		case forClosing, forRoom:
			w.For = millicent.WaitRoom
		}
	}
	return w
}

// waitForLease returns the wait since a request for an environment that was
// released now.
func waitForLease(since, now time.Time, why reason) millicent.Wait {
	w := millicent.Wait{For: millicent.WaitBusy, Time: now.Sub(since)}
	switch why {
	case forSlot:
		w.For = millicent.WaitSlot
	case forClosing, forRoom:
		w.For = millicent.WaitRoom
	}
	return w
}

// patience returns how long a request waits for a reason before it is
// throttled; negative: the wait ends by itself.
func patience(why reason, queueWait time.Duration) time.Duration {
	switch why {
	case forSlot, forClosing:
		return max(longestWait, queueWait)
	case forRoom:
		return queueWait
	}
	return -1
}

// tellNow decides whether a failed launch is told to the oldest of a line at
// once: there are more in it than environments that can come free for them.
func tellNow(waiting, busy, launching int) bool {
	return waiting > busy+launching
}

// holdsSlot reports whether a launch of some age counts against the bound on
// launches in progress.
func holdsSlot(age time.Duration) bool { return age < slotTime }

// expiry returns how long an environment idle since then is still kept; zero
// or less means that it has to go.
func expiry(since, now time.Time, keepAlive time.Duration) time.Duration {
	return keepAlive - now.Sub(since)
}
