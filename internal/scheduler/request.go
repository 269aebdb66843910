package scheduler

import (
	"context"
	"time"

	"github.com/millicent-run/millicent"
)

// A request is an Acquire that found no idle environment: it waits in its
// version's line.
type request struct {
	of     *version
	spec   *millicent.Version
	slot   slot
	since  time.Time
	serial uint64 // of all requests, by the order of asking

	older, newer *request // in the line

	// failure is that of a launch which was this request's; it causes no
	// other.
	failure error

	done  chan struct{} // closed when lease or err is set
	lease *Lease
	err   error
}

// A line holds the requests that wait for a version, the oldest first.
type line struct {
	oldest, newest *request
	length         int
	failed         int // of these, with a failure
}

func (l *line) push(q *request) {
	q.older = l.newest
	if l.newest != nil {
		l.newest.newer = q
	} else {
		l.oldest = q
	}
	l.newest = q
	l.length++
}

func (l *line) remove(q *request) {
	if q.older != nil {
		q.older.newer = q.newer
	} else {
		l.oldest = q.newer
	}
	if q.newer != nil {
		q.newer.older = q.older
	} else {
		l.newest = q.older
	}
	q.older, q.newer = nil, nil
	l.length--
	if q.failure != nil {
		l.failed--
	}
}

// beyond returns the oldest request without a failure but for the first n, nil
// when there are no more.
func (l *line) beyond(n int) *request {
	for q := l.oldest; q != nil; q = q.newer {
		if q.failure != nil {
			continue
		}
		if n == 0 {
			return q
		}
		n--
	}
	return nil
}

// firstFailed returns the oldest request with a failure.
func (l *line) firstFailed() *request {
	q := l.oldest
	for q.failure == nil {
		q = q.newer
	}
	return q
}

// enqueue puts a request at the end of its version's line. The lock is held.
func (s *Scheduler) enqueue(v *millicent.Version, of *version, sl slot, now time.Time) *request {
	s.serial++
	q := &request{of: of, spec: v, slot: sl, since: now, serial: s.serial, done: make(chan struct{})}
	of.line.push(q)
	s.waiting++
	if of.at == 0 {
		of.lined = now
		of.why = forLaunch // until plan finds another reason
		s.lines = append(s.lines, of)
		of.at = len(s.lines)
	}
	return q
}

// grant gives e to q. The lock is held.
func (s *Scheduler) grant(q *request, e *environment, cold bool, now time.Time) {
	q.lease = s.lease(e, q.slot, cold, now)
	if cold {
		q.lease.Wait = waitForLaunch(q.since, e.began, now, e.after)
	} else {
		q.lease.Wait = waitForLease(q.since, now, q.of.why)
	}
	s.answer(q)
}

// fail ends q with an error and frees its slot. The lock is held.
func (s *Scheduler) fail(q *request, err error) {
	q.err = err
	s.freeSlot(q.slot)
	s.answer(q)
}

// throttle ends q, which has waited too long. The lock is held.
func (s *Scheduler) throttle(q *request) {
	if q.failure != nil {
		s.fail(q, q.failure)
		return
	}
	s.fail(q, millicent.Throttled(millicent.ReasonConcurrency))
}

// answer takes q, which has its lease or error, out of its line.
func (s *Scheduler) answer(q *request) {
	ver := q.of
	ver.line.remove(q)
	s.waiting--
	if ver.line.length == 0 {
		last := s.lines[len(s.lines)-1]
		s.lines[ver.at-1], last.at = last, ver.at
		s.lines = s.lines[:len(s.lines)-1]
		ver.at = 0
	}
	s.unref(ver)
	close(q.done)
}

// wait waits for q's answer until ctx ends.
func (s *Scheduler) wait(ctx context.Context, q *request) (*Lease, error) {
	select {
	case <-q.done:
		return q.lease, q.err
	case <-ctx.Done():
		return nil, s.leave(q, context.Cause(ctx))
	}
}

// leave takes q back, whose caller does not wait any longer, and returns the
// error to give to it.
func (s *Scheduler) leave(q *request, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case q.err != nil:
		return q.err
	case q.lease != nil: // it came at the same moment
		s.release(q.lease, false, time.Now())
		return cause
	}
	s.fail(q, cause)
	s.plan()
	return cause
}
