package scheduler

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// launchTimeout bounds a Launch, whose Init phase is bounded by itself: it
// frees the room of one that hangs.
const launchTimeout = 3 * time.Minute

// A state is where an environment is in its life; see the package comment.
type state int

const (
	launching state = iota
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
	state   state
	retired bool     // close it instead of reusing it
	caller  *request // who the launch is for; nil when it left

	idleSince    time.Time
	older, newer *environment // among the idle
}

func (e *environment) room() room { return room{1, e.spec.MemoryMB} }

// An idleList holds the idle environments, longest idle first.
type idleList struct{ oldest, newest *environment }

func (l *idleList) push(e *environment) {
	e.older, e.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = e
	} else {
		l.oldest = e
	}
	l.newest = e
}

func (l *idleList) remove(e *environment) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		l.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		l.newest = e.older
	}
	e.older, e.newer = nil, nil
}

// rooms yields what each environment takes.
func (l *idleList) rooms() iter.Seq[room] {
	return func(yield func(room) bool) {
		for e := l.oldest; e != nil && yield(e.room()); e = e.newer {
		}
	}
}

// enter puts e into a state, out of the one it was in. The lock is held.
func (s *Scheduler) enter(e *environment, to state) {
	s.count[e.state]--
	s.count[to]++
	if e.state == idle {
		s.idle.remove(e)
		stack := e.of.idle
		i := len(stack) - 1 // the usual one: last in, first out
		if stack[i] != e {
			i = slices.Index(stack, e)
		}
		e.of.idle = slices.Delete(stack, i, i+1)
	}
	e.state = to
	switch to {
	case idle:
		e.idleSince = time.Now()
		s.idle.push(e)
		e.of.idle = append(e.of.idle, e)
	case closing:
		s.closing = s.closing.plus(e.room())
	}
}

// launch starts an environment for q, which is first in the queue, in the
// room that there is. The lock is held.
func (s *Scheduler) launch(q *request) {
	s.dequeue(q)
	e := &environment{of: q.of, spec: q.spec, state: launching, caller: q}
	q.launch = e
	e.of.refs++
	s.all[e] = struct{}{}
	s.count[launching]++
	s.used = s.used.plus(e.room())
	go s.runLaunch(e)
}

// runLaunch launches e and hands it to its caller, or to whoever is next. It
// ends with the launch, which Close waits for.
func (s *Scheduler) runLaunch(e *environment) {
	env, err := s.callLauncher(e.spec)

	s.mu.Lock()
	defer s.mu.Unlock()
	q := e.caller
	e.caller = nil
	if err != nil {
		s.gone(e)
		if q == nil {
			s.cfg.Log.Warn("launch that nobody waits for any more failed",
				"function", e.spec.Function, "version", e.spec.Number, "error", err)
			return
		}
		s.fail(q, err)
		return
	}
	e.Environment = env
	switch {
	case s.broken:
		if q != nil {
			s.fail(q, errStopping())
		}
		s.close(e)
	case q != nil:
		s.grant(q, e, true)
	default:
		s.rest(e)
	}
}

func (s *Scheduler) callLauncher(v *millicent.Version) (millicent.Environment, error) {
	launcher, err := s.cfg.Launcher(v.Runtime)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.life, launchTimeout)
	defer cancel()
	env, err := launcher.Launch(ctx, v)
	if err != nil {
		if s.life.Err() != nil {
			return nil, errStopping()
		}
		return nil, fmt.Errorf("launch version %s of %s: %w", v.Number, v.Function, err)
	}
	return env, nil
}

// rest makes e idle, or closes it when it is not to be used again. The lock
// is held.
func (s *Scheduler) rest(e *environment) {
	if e.retired || s.closed {
		s.close(e)
		return
	}
	s.enter(e, idle)
	if s.queue.Len() == 0 {
		return
	}
	s.serve()
	if e.state == idle && e.of.waiting > 0 {
		s.grant(s.firstOf(e.of), e, false)
	}
}

// close closes e, away from the caller's path; its room is free when that is
// done. The lock is held.
func (s *Scheduler) close(e *environment) {
	s.enter(e, closing)
	go func() {
		if err := e.Close(); err != nil {
			s.cfg.Log.Warn("environment did not close well",
				"function", e.spec.Function, "version", e.spec.Number, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gone(e)
	}()
}

// gone forgets e and gives its room to those who wait. The lock is held.
func (s *Scheduler) gone(e *environment) {
	if e.state == closing {
		s.closing = s.closing.minus(e.room())
	}
	s.count[e.state]--
	s.used = s.used.minus(e.room())
	delete(s.all, e)
	s.unref(e.of)
	s.serve()
	if s.closed && len(s.all) == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}
