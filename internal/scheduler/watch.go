package scheduler

import (
	"time"

	"github.com/millicent-run/millicent"
)

// watch acts when time alone has changed what is to be done, until the
// Scheduler ends: it plans at the alarm, and closes environments that were
// idle for too long. One timer is enough for these: the longest idle expires
// first, and what becomes idle while none is cannot expire before a whole
// KeepAlive has passed.
func (s *Scheduler) watch() {
	defer close(s.watched)
	expiry := time.NewTimer(s.cfg.KeepAlive)
	defer expiry.Stop()
	defer s.alarm.Stop()
	defer s.provisions.alarm.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.alarm.C:
			s.mu.Lock()
			s.plan()
			s.mu.Unlock()
		case <-s.provisions.alarm.C:
			s.inspect()
		case <-expiry.C:
			expiry.Reset(s.expire(time.Now()))
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
		s.close(e, millicent.StartAfterExpiry)
		s.rests.reclaims.Expired++
	}
	return s.cfg.KeepAlive
}
