package scheduler

import (
	"iter"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// A state is where an environment is in its life; see the package comment.
type state int

const (
	launching    state = iota
	provisioning       // launching, and no request waits for it
	idle
	busy
	closing
	states // how many there are
)

// An environment is a millicent.Environment with its place in the scheduler.
type environment struct {
	millicent.Environment // nil while launching

	of      *version
	spec    *millicent.Version
	takes   room // of what all may have together
	state   state
	retired bool // close it instead of reusing it

	// provisioned environments are not for others to evict, and do not expire.
	provisioned bool

	began time.Time             // of the launch
	after reason                // why the line waited until then
	start millicent.StartRecord // what is known of the launch

	leasedSince  time.Time
	idleSince    time.Time
	older, newer *environment // among the idle
	place        evictionPlace
	nap          nap
}

func (e *environment) room() room { return e.takes }

// need returns what an environment of v takes.
func (s *Scheduler) need(v *millicent.Version) room { return room{1, s.cfg.Size(v)} }

// rooms yields what each environment takes.
func rooms(order iter.Seq[*environment]) iter.Seq[room] {
	return func(yield func(room) bool) {
		for e := range order {
			if !yield(e.room()) {
				return
			}
		}
	}
}

// nobody is an order without any.
func nobody(func(*environment) bool) {}

// first returns the first n of order.
func first(order iter.Seq[*environment], n int) (list []*environment) {
	for e := range order {
		if len(list) == n {
			break
		}
		list = append(list, e)
	}
	return list
}

// evict closes the first n of order for another version. The lock is held.
func (s *Scheduler) evict(order iter.Seq[*environment], n int, to *version) {
	for _, e := range first(order, n) {
		s.idle.evicted(e)
		s.makeWay(e, to)
	}
}

// makeWay closes e for another version, whose name only its own tenant gets
// to know. The lock is held.
func (s *Scheduler) makeWay(e *environment, to *version) {
	s.close(e, millicent.StartAfterEviction)
	s.rests.reclaims.Room++
	if to.function.tenant == e.of.function.tenant {
		e.of.record.evictor = to.function.key.name
	}
}

// enter puts e into a state, out of the one it was in. The lock is held.
func (s *Scheduler) enter(e *environment, to state, now time.Time) {
	ver := e.of
	s.count[e.state]--
	s.count[to]++
	ver.count[e.state]--
	ver.count[to]++
	if e.state == idle {
		if !e.provisioned {
			s.idle.remove(e)
		}
		i := len(ver.idle) - 1 // the usual one: last in, first out
		if ver.idle[i] != e {
			i = slices.Index(ver.idle, e)
		}
		ver.idle = slices.Delete(ver.idle, i, i+1)
	}
	s.rests.leave(e)
	e.state = to
	switch to {
	case idle:
		e.idleSince = now
		s.rests.enter(e)
		ver.idle = append(ver.idle, e)
		if !e.provisioned {
			s.idle.push(e)
			for i := len(ver.idle) - 1; i > 0 && ver.idle[i-1].provisioned; i-- { // these go first
				ver.idle[i-1], ver.idle[i] = ver.idle[i], ver.idle[i-1]
			}
		}
	case busy:
		e.leasedSince = now
	case closing:
		s.closing = s.closing.plus(e.room())
		s.disown(e)
	}
}

// free gives e, which was launched or released, to the first in line, makes it
// idle, or closes it when it is not to be used again. The lock is held.
func (s *Scheduler) free(e *environment, now time.Time) {
	first := e.of.line.oldest
	switch {
	case s.broken:
		s.close(e, e.of.record.cause)
	case e.state == launching && first != nil:
		s.grant(first, e, true, now)
	case e.retired:
		s.close(e, millicent.StartUpdated)
	case first != nil && s.hungryGets(e, now):
		s.makeWay(e, s.hungry)
	case first != nil:
		s.grant(first, e, false, now)
	case s.closed:
		s.close(e, e.of.record.cause)
	default:
		s.enter(e, idle, now)
	}
}

// hungryGets decides whether e, for which there is a line, makes way for the
// version that waits for room instead.
func (s *Scheduler) hungryGets(e *environment, now time.Time) bool {
	h := s.hungry
	if h == nil || h == e.of || e.provisioned || h.line.length == 0 || s.closed || s.slots(now) <= 0 {
		return false
	}
	c, ok := s.candidate(h, now)
	if !ok || !yields(e.of.environments(), h.environments(), now.Sub(c.request.since), s.cfg.QueueWait) {
		return false
	}
	need := s.need(c.request.spec)
	order := s.evictionOrder(now, settled(h.environments()))
	m, _ := place(need, s.used, s.limit, s.closing.plus(e.room()), room{}, rooms(order))
	return m != moveFull
}

// close closes e, away from the caller's path; its room is free when that is
// done. why is the cause of a cold start that follows from it. The lock is
// held.
func (s *Scheduler) close(e *environment, why millicent.StartCause) {
	e.of.record.cause, e.of.record.ended, e.of.record.evictor = why, time.Now(), ""
	s.enter(e, closing, time.Time{})
	go func() {
		if err := e.Close(); err != nil {
			s.cfg.Log.Warn("environment did not close well",
				"function", e.spec.Function, "version", e.spec.Number, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(e)
		s.plan()
	}()
}

// remove forgets e, which is gone. The lock is held.
func (s *Scheduler) remove(e *environment) {
	if e.state == closing {
		s.closing = s.closing.minus(e.room())
	}
	s.count[e.state]--
	e.of.count[e.state]--
	s.used = s.used.minus(e.room())
	delete(s.all, e)
	s.unref(e.of)
	if s.closed && len(s.all) == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}
