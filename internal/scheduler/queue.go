package scheduler

import (
	"container/list"
	"context"
	"time"

	"github.com/millicent-run/millicent"
)

// A request is an Acquire that found no idle environment: it waits for room,
// in the queue, and then for its launch.
type request struct {
	of   *version
	spec *millicent.Version
	slot slot

	place  *list.Element // in the queue; nil outside
	launch *environment  // under way for this request

	done  chan struct{} // closed when lease or err is set
	lease *Lease
	err   error
}

// enqueue puts a request at the end of the queue. The lock is held.
func (s *Scheduler) enqueue(v *millicent.Version, of *version, sl slot) *request {
	q := &request{of: of, spec: v, slot: sl, done: make(chan struct{})}
	of.waiting++
	q.place = s.queue.PushBack(q)
	return q
}

func (s *Scheduler) dequeue(q *request) {
	s.queue.Remove(q.place)
	q.place = nil
	q.of.waiting--
}

// serve gives room to those who wait for it, first come first served, and
// makes room where that is possible. The lock is held.
func (s *Scheduler) serve() {
	var ahead room
	for el := s.queue.Front(); el != nil; {
		q := el.Value.(*request)
		el = el.Next()
		if e := q.of.newest(); e != nil {
			s.grant(q, e, false)
			continue
		}
		need := room{1, q.spec.MemoryMB}
		m, victims := place(need, s.used, s.limit, s.closing, ahead, s.idle.rooms())
		switch m {
		case moveLaunch:
			s.launch(q)
			continue
		case moveEvict:
			for range victims {
				s.close(s.idle.oldest)
			}
		case moveFull:
			return
		}
		ahead = ahead.plus(need)
	}
}

// newest returns the version's most recently used idle environment, or nil.
func (ver *version) newest() *environment {
	if len(ver.idle) == 0 {
		return nil
	}
	return ver.idle[len(ver.idle)-1]
}

// firstOf returns the first request for a version in the queue.
func (s *Scheduler) firstOf(ver *version) *request {
	for el := s.queue.Front(); el != nil; el = el.Next() {
		if q := el.Value.(*request); q.of == ver {
			return q
		}
	}
	return nil
}

// grant gives e to q. The lock is held.
func (s *Scheduler) grant(q *request, e *environment, cold bool) {
	q.lease = s.lease(e, q.slot, cold)
	s.answer(q)
}

// fail ends q with an error and frees its slot. The lock is held.
func (s *Scheduler) fail(q *request, err error) {
	q.err = err
	s.freeSlot(q.slot)
	s.answer(q)
}

func (s *Scheduler) answer(q *request) {
	if q.place != nil {
		s.dequeue(q)
	}
	q.launch = nil
	s.unref(q.of)
	close(q.done)
}

// wait waits for q's answer: for room until wait is over, for its launch
// until that is over, for either until ctx ends.
func (s *Scheduler) wait(ctx context.Context, q *request, wait time.Duration) (*Lease, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-q.done:
			return q.lease, q.err
		case <-ctx.Done():
			return nil, s.leave(q, context.Cause(ctx))
		case <-timer.C:
			s.giveUp(q)
		}
	}
}

// giveUp throttles q if it is still in the queue.
func (s *Scheduler) giveUp(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.place != nil {
		s.fail(q, millicent.Throttled(millicent.ReasonConcurrency))
		s.serve()
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
		s.release(q.lease, false)
		return cause
	}
	if q.launch != nil {
		q.launch.caller = nil
	}
	s.fail(q, cause)
	s.serve()
	return cause
}
