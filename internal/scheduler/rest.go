package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
)

// Idle environments are frozen soon, as on Lambda, and give memory back when
// the machine is short of it. One goroutine does both, one environment after
// the other: off the path of invocations, which call a freezing off, and
// within bounds on the processor time that it takes.

// A queue holds environments in the order in which they came. Each is in one
// queue at most.
type queue struct{ oldest, newest *environment }

// A nap is how an idle environment rests.
type nap struct {
	queue         *queue // that it is in; nil: none
	before, after *environment
	due           time.Time // when to try to freeze it
	frozen        bool
	troubled      bool // a failure to freeze it was logged
}

func (q *queue) push(e *environment) {
	e.nap.queue = q
	e.nap.before, e.nap.after = q.newest, nil
	if q.newest != nil {
		q.newest.nap.after = e
	} else {
		q.oldest = e
	}
	q.newest = e
}

func (q *queue) remove(e *environment) {
	r := &e.nap
	if r.before != nil {
		r.before.nap.after = r.after
	} else {
		q.oldest = r.after
	}
	if r.after != nil {
		r.after.nap.before = r.before
	} else {
		q.newest = r.before
	}
	r.queue, r.before, r.after = nil, nil, nil
}

// pop takes the oldest out, nil when there is none.
func (q *queue) pop() *environment {
	e := q.oldest
	if e != nil {
		q.remove(e)
	}
	return e
}

// rests is how all idle environments rest. The Scheduler's lock guards it.
type rests struct {
	drowsy   queue // to be frozen when they are due, the first due first
	restless queue // at work when they were due: to be tried again, likewise
	frozen   queue // that have not been asked to give memory back
	count    int   // frozen ones

	asleep bool          // the goroutine counts on wake, as nothing was drowsy
	wake   chan struct{} // has room for one

	reclaims Reclaims
}

// Reclaims is what was taken from idle environments since the Scheduler began.
type Reclaims struct {
	Room    int   // environments closed because another version needed the room
	Memory  int   // closed because the machine was short of memory
	Expired int   // closed because they had been idle for KeepAlive
	Bytes   int64 // given back by frozen environments, which stayed
}

// Reclaims returns what was taken so far, for metrics.
func (s *Scheduler) Reclaims() Reclaims {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rests.reclaims
}

// enter takes in an environment that has become idle.
func (r *rests) enter(e *environment) {
	e.nap.due = e.idleSince.Add(freezeAfter)
	r.drowsy.push(e)
	if r.asleep {
		r.asleep = false
		select {
		case r.wake <- struct{}{}:
		default: // it has not seen an earlier one yet
		}
	}
}

// leave lets one go that is idle no more.
func (r *rests) leave(e *environment) {
	if e.nap.queue != nil {
		e.nap.queue.remove(e)
	}
	if e.nap.frozen {
		e.nap.frozen = false
		r.count--
	}
}

// next takes out an environment that is due; nil when there is none, and then
// in is when there will be, 0 when nothing is to be frozen at all.
func (r *rests) next(now time.Time) (e *environment, in time.Duration) {
	for _, q := range []*queue{&r.drowsy, &r.restless} {
		e := q.oldest
		if e == nil {
			continue
		}
		left := e.nap.due.Sub(now)
		if left <= 0 {
			q.remove(e)
			return e, 0
		}
		if in == 0 || left < in {
			in = left
		}
	}
	return nil, in
}

// keepRest freezes idle environments and watches the machine's memory until
// the Scheduler ends.
func (s *Scheduler) keepRest() {
	defer close(s.rested)
	timer := time.NewTimer(0)
	defer timer.Stop()
	look := time.Now() // when to look at the memory
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.rests.wake:
		case <-timer.C:
		}
		now := time.Now()
		if !now.Before(look) {
			s.relieve()
			look = now.Add(lookInterval)
		}
		if in := s.freezeNext(now, look); in > 0 {
			timer.Reset(in)
		} else {
			timer.Stop() // until wake
		}
	}
}

// freezeNext freezes one environment that is due, and returns in how long to
// go on; zero when nothing is idle.
func (s *Scheduler) freezeNext(now, look time.Time) time.Duration {
	s.mu.Lock()
	e, in := s.rests.next(now)
	if e == nil {
		s.rests.asleep = s.rests.drowsy.oldest == nil
		if left := look.Sub(now); s.count[idle] > 0 && (in == 0 || left < in) {
			in = max(left, 1)
		}
		s.mu.Unlock()
		return in
	}
	since := e.idleSince
	s.mu.Unlock()

	frozen, err := s.freeze(e.Environment)
	took := time.Since(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.state == idle && e.idleSince.Equal(since) {
		s.noteFreeze(e, frozen, err)
	}
	return freezePause(took)
}

func (s *Scheduler) freeze(e millicent.Environment) (bool, error) {
	f, ok := e.(millicent.Freezer)
	if !ok {
		return false, errors.ErrUnsupported
	}
	ctx, cancel := context.WithTimeout(s.life, freezeTimeout)
	defer cancel()
	return f.Freeze(ctx)
}

// noteFreeze notes what came of freezing e, which has been idle all the time.
// The lock is held.
func (s *Scheduler) noteFreeze(e *environment, frozen bool, err error) {
	switch {
	case frozen:
		e.nap.frozen = true
		s.rests.count++
		s.rests.frozen.push(e)
		return
	case errors.Is(err, errors.ErrUnsupported):
		return // the sandbox has said so
	case err != nil && !e.nap.troubled && s.life.Err() == nil:
		e.nap.troubled = true
		s.cfg.Log.Warn("environment does not freeze",
			"function", e.spec.Function, "version", e.spec.Number, "error", err)
	}
	e.nap.due = time.Now().Add(freezeAgain)
	s.rests.restless.push(e)
}

// relieve has idle environments give memory back, or closes some, when the
// machine is short of it.
func (s *Scheduler) relieve() {
	s.mu.Lock()
	nothing := s.count[idle] == 0 || s.closed
	s.mu.Unlock()
	if nothing || s.cfg.Memory().relief() == reliefNone {
		return
	}
	for range giveBacks {
		s.mu.Lock()
		e := s.rests.frozen.pop()
		s.mu.Unlock()
		if e == nil {
			break
		}
		s.giveBack(e)
	}
	if s.cfg.Memory().relief() != reliefEvict {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	order, n := s.evictionOrder(time.Now(), settleTime), reliefEvictions(s.count[idle])
	for _, e := range first(order, n) {
		s.idle.evicted(e)
		s.close(e, millicent.StartAfterEviction)
		s.rests.reclaims.Memory++
	}
}

// giveBack has an environment that is idle, or was just now, give memory back.
func (s *Scheduler) giveBack(e *environment) {
	f, ok := e.Environment.(millicent.Freezer)
	if !ok {
		return
	}
	bytes, err := f.GiveBack()
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			s.cfg.Log.Warn("environment gives no memory back",
				"function", e.spec.Function, "version", e.spec.Number, "error", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rests.reclaims.Bytes += bytes
}
