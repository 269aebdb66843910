package scheduler

import (
	"context"
	"fmt"

	"github.com/millicent-run/millicent"
)

// Close refuses new leases and those that have no launch coming, waits for the
// running ones until ctx ends, and closes all environments. The error says
// how many environments were cut off. It is idempotent.
func (s *Scheduler) Close(ctx context.Context) error {
	s.drain()
	var err error
	select {
	case <-s.drained:
	case <-ctx.Done():
		if n := s.breakOff(); n > 0 {
			err = fmt.Errorf("%d environments were in use at the end: %w", n, ctx.Err())
		}
		<-s.drained
	}
	s.endLife()
	<-s.watched
	<-s.rested
	return err
}

// drain refuses all that is to come and closes what is idle.
func (s *Scheduler) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.refuse(func(ver *version) int { return ver.count[launching] })
	for s.idle.oldest != nil {
		s.close(s.idle.oldest, s.idle.oldest.of.record.cause)
	}
	s.endProvisions()
	if len(s.all) == 0 {
		s.drainOnce.Do(func() { close(s.drained) })
	}
}

// refuse fails all who wait, but for the first of each line, as many as keep
// says.
func (s *Scheduler) refuse(keep func(*version) int) {
	for i := len(s.lines) - 1; i >= 0; i-- { // what is answered moves those behind
		ver := s.lines[i]
		for n := keep(ver); ver.line.length > n; {
			s.fail(ver.line.newest, errStopping())
		}
	}
}

// breakOff ends all that still runs and returns how many environments that
// concerns.
func (s *Scheduler) breakOff() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
	n := s.count[busy] + s.count[launching]
	s.refuse(func(*version) int { return 0 })
	for e := range s.all {
		if e.state == busy {
			s.close(e, e.of.record.cause)
		}
	}
	s.endLife() // ends the launches
	return n
}

func errStopping() error {
	return millicent.Errorf(millicent.CodeServerUnavailable, "The server is stopping.")
}
