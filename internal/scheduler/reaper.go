package scheduler

import "time"

// reap closes environments that were idle for too long, until the Scheduler
// ends. One timer is enough: the longest idle expires first, and what becomes
// idle while none is cannot expire before a whole KeepAlive has passed.
func (s *Scheduler) reap() {
	defer close(s.reaped)
	timer := time.NewTimer(s.cfg.KeepAlive)
	defer timer.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-timer.C:
			timer.Reset(s.expire(time.Now()))
		}
	}
}

// expire closes what has expired and returns when to look again.
func (s *Scheduler) expire(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.idle.oldest; e != nil; e = s.idle.oldest {
		if left := expiry(e.idleSince, now, s.cfg.KeepAlive); left > 0 {
			return left
		}
		s.close(e)
	}
	return s.cfg.KeepAlive
}
