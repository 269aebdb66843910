package scheduler

import (
	"time"

	"github.com/millicent-run/millicent"
)

// A Lease is the use of one environment for one invocation.
type Lease struct {
	Environment millicent.Environment
	Cold        bool                 // the environment comes straight from its launch
	Cause       millicent.StartCause // of that launch; empty unless Cold
	Wait        millicent.Wait       // for the environment; zero when an idle one was there

	s        *Scheduler
	e        *environment
	slot     slot
	released bool

	provisioned bool // when it began
}

// lease makes e busy. The lock is held.
func (s *Scheduler) lease(e *environment, sl slot, cold bool, now time.Time) *Lease {
	s.enter(e, busy, now)
	e.of.record.uses.add()
	s.provisions.count(e)
	l := &Lease{Environment: e.Environment, s: s, e: e, slot: sl, provisioned: e.provisioned}
	if cold {
		l.Cold, l.Cause = true, e.start.Cause
	}
	return l
}

// Release returns the environment for reuse; broken says that it cannot serve
// again and is closed instead. It never blocks, and only the first call
// counts.
func (l *Lease) Release(broken bool) {
	now := time.Now() // not while others wait for the lock
	// A provisioned environment is replaced rather than initialised anew while
	// an invocation waits.
	broken = broken || l.provisioned && !millicent.Initialised(l.Environment)
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.release(l, broken, now)
}

func (s *Scheduler) release(l *Lease, broken bool, now time.Time) {
	if l.released {
		return
	}
	l.released = true
	s.freeSlot(l.slot)
	e := l.e
	if e.state != busy { // Close took it away
		return
	}
	e.of.record.lease.add(now.Sub(e.leasedSince))
	e.of.record.typical.add(now.Sub(e.leasedSince))
	if broken {
		s.close(e, millicent.StartAfterFailure)
	} else {
		s.free(e, now)
	}
	// A lease that went on to the next in line has changed nothing for others.
	if e.state != busy && s.waiting > 0 {
		s.plan()
	}
}
