package scheduler

import (
	"iter"
	"time"
)

// This file decides about provisioned concurrency: each function is pure, of
// the state and the time given.

const (
	// firstRest and longestRest bound how long a version is left alone after a
	// provisioned environment of it could not be started.
	firstRest   = time.Second
	longestRest = 5 * time.Minute

	// inspectTime is how often idle provisioned environments are looked at:
	// one whose runtime has ended is replaced before an invocation meets it.
	inspectTime = 10 * time.Second
)

// rest returns how long a version is left alone after so many failures in a
// row.
func rest(failures int) time.Duration {
	return min(firstRest<<min(failures-1, 16), longestRest)
}

// provisionable returns what provisioned environments may take of a machine:
// a fifth is left to all that is not provisioned.
func provisionable(limit room) room {
	return room{limit.environments - (limit.environments+4)/5, limit.memoryMB - limit.memoryMB/5}
}

// provisionSlots returns how many launches may be in progress for what no
// invocation waits for.
func provisionSlots(maxLaunches int) int { return max(1, maxLaunches/2) }

// A supply is what there is of a version's provisioned environments.
type supply struct {
	function functionKey
	wanted   int
	owned    int       // they are, or are being launched
	idle     int       // of these
	need     room      // of one
	leaving  bool      // nothing more is wanted, and what there is may go for the function's other versions
	retry    time.Time // no launch before
}

// A stock is all that a decision about provisioned concurrency depends on.
type stock struct {
	supplies []supply // in the order in which they were asked for

	used, closing, limit room           // as in place
	held, share          room           // that provisioned environments have, and may have
	idle                 iter.Seq[room] // of environments that may be closed for them
	slots                int            // launches that may begin
}

// A dispatch is what to do about a stock. Where something is to be closed or
// evicted, the rest is for the next decision, upon what then is.
type dispatch struct {
	launch []int // supplies, one entry for each launch
	letGo  []int // supplies, one entry for each environment to be given up
	evict  int   // how many of stock.idle are to be closed
	by     int   // for which supply
	short  []int // supplies that wait for room
}

// decide decides. Who has the fewest environments comes first, so that each
// version has one before any has two.
func (st stock) decide(now time.Time) (d dispatch) {
	for i, v := range st.supplies {
		for range v.owned - v.wanted {
			d.letGo = append(d.letGo, i)
		}
	}
	if len(d.letGo) > 0 {
		return d
	}
	owned := make([]int, len(st.supplies))
	done := make([]bool, len(st.supplies))
	for i, v := range st.supplies {
		owned[i] = v.owned
		done[i] = v.leaving || now.Before(v.retry)
	}
	var ahead room
	for ; st.slots > 0; st.slots-- {
		i := st.next(owned, done)
		if i < 0 {
			break
		}
		need := st.supplies[i].need
		m, victims := moveFull, 0
		if st.held.plus(need).within(st.share) {
			m, victims = place(need, st.used, st.limit, st.closing, ahead, st.idle)
		}
		switch m {
		case moveLaunch:
			d.launch = append(d.launch, i)
			st.used = st.used.plus(need)
		case moveAwait:
			ahead = ahead.plus(need)
		case moveEvict:
			d.evict, d.by = victims, i
			return d
		case moveFull:
			if j := st.leaver(i); j >= 0 {
				d.letGo = []int{j}
				return d
			}
			done[i] = true
			d.short = append(d.short, i)
			st.slots++ // it has not been used
			continue
		}
		st.held = st.held.plus(need)
		owned[i]++
	}
	return d
}

// next returns the supply that is to have the next launch, -1 for none.
func (st stock) next(owned []int, done []bool) int {
	best := -1
	for i, v := range st.supplies {
		if !done[i] && owned[i] < v.wanted && (best < 0 || owned[i] < owned[best]) {
			best = i
		}
	}
	return best
}

// leaver returns a supply that has an environment to give up for supply i, -1
// for none.
func (st stock) leaver(i int) int {
	for j, v := range st.supplies {
		if v.leaving && v.idle > 0 && v.function == st.supplies[i].function {
			return j
		}
	}
	return -1
}
