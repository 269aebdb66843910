package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// plan begins the launches that are wanted and possible now, throttles who has
// waited too long, and sets the alarm for when time alone would change that.
// What is provisioned comes after those who wait.
// The lock is held.
func (s *Scheduler) plan() {
	now := time.Now()
	s.planLines(now)
	s.provide(now)
}

// planLines does what plan does for the requests.
func (s *Scheduler) planLines(now time.Time) {
	s.hungry = nil
	if len(s.lines) == 0 {
		s.alarm.Stop()
		return
	}
	s.beginLaunches(now)
	for s.dismiss(now) {
		s.beginLaunches(now) // others have moved up
	}
	s.setAlarm(now)
	clear(s.scratch) // what is answered is not to be kept
}

// A candidate is a version that wants one more launch.
type candidate struct {
	seniority time.Duration
	request   *request // the oldest without one
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(o.seniority, c.seniority), cmp.Compare(c.request.serial, o.request.serial))
}

// demand returns what there is of ver, and its oldest request without a launch
// of its own, nil when there is none.
func (s *Scheduler) demand(ver *version, now time.Time) (d demand, q *request) {
	d = demand{
		waiting:   ver.line.length - ver.line.failed,
		launching: ver.count[launching] + ver.promised,
		busy:      ver.count[busy],
		lease:     time.Duration(ver.record.lease),
		typical:   time.Duration(ver.record.typical),
		light:     ver.record.light && ver.count[busy] > 0,
		cores:     s.cores,
	}
	if q = ver.line.beyond(d.launching); q != nil {
		d.waited, d.lined = now.Sub(q.since), now.Sub(ver.lined)
		d.start = s.starts.estimate(q.spec.Runtime, ver.record)
	}
	return d, q
}

// candidate asks whether ver wants one more launch.
func (s *Scheduler) candidate(ver *version, now time.Time) (c candidate, ok bool) {
	d, q := s.demand(ver, now)
	if d.launches() {
		return candidate{seniority(d.waited, ver.environments()+ver.promised), q}, true
	}
	switch {
	case q != nil:
		ver.why = forLease
	case ver.promised > 0:
		ver.why = forClosing
	default:
		ver.why = forLaunch
	}
	return candidate{}, false
}

// candidates returns all that want a launch, the most senior first.
func (s *Scheduler) candidates(now time.Time) []candidate {
	all := s.scratch[:0]
	for _, ver := range s.lines {
		ver.promised = 0
		if c, ok := s.candidate(ver, now); ok {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, candidate.compare)
	s.scratch = all
	return all
}

// beginLaunches launches what is wanted, as far as there are launch slots and
// room, makes room, and notes why the others wait.
func (s *Scheduler) beginLaunches(now time.Time) {
	s.hungry = nil
	queue := s.candidates(now)
	slots := s.slots(now)
	var ahead room
	for len(queue) > 0 {
		c := queue[0]
		queue = queue[1:]
		ver := c.request.of
		if slots <= 0 || s.closed {
			ver.why = forSlot
			continue
		}
		need := s.need(c.request.spec)
		first := ver.environments()+ver.promised == 0
		order := s.evictionOrder(now, settled(ver.environments()+ver.promised))
		if !need.plus(s.used).plus(ahead).minus(s.closing).minus(s.idle.total).within(s.limit) {
			order = nobody // all of them would not do
		}
		switch m, victims := place(need, s.used, s.limit, s.closing, ahead, rooms(order)); m {
		case moveLaunch:
			s.launch(ver, c.request.spec, now)
		case moveFull:
			ver.why = forRoom
			if s.hungry == nil {
				s.hungry = ver
			}
			if first { // nobody takes the room that it waits for
				for _, c := range queue {
					c.request.of.why = forRoom
				}
				return
			}
			continue
		default:
			s.evict(order, victims, ver)
			ahead = ahead.plus(need)
			ver.promised++
			ver.why = forClosing
		}
		slots--
		if c, ok := s.candidate(ver, now); ok {
			i, _ := slices.BinarySearchFunc(queue, c, candidate.compare)
			queue = slices.Insert(queue, i, c)
		}
	}
}

// slots returns how many launches more may be in progress.
func (s *Scheduler) slots(now time.Time) int {
	slots := s.cfg.MaxLaunches
	for _, e := range s.launches {
		if holdsSlot(now.Sub(e.began)) {
			slots--
		}
	}
	return slots
}

// dismiss throttles those who have waited too long and reports whether there
// were any.
func (s *Scheduler) dismiss(now time.Time) bool {
	some := false
	for i := len(s.lines) - 1; i >= 0; i-- { // what is answered moves those behind
		some = s.dismissFrom(s.lines[i], now) || some
	}
	return some
}

func (s *Scheduler) dismissFrom(ver *version, now time.Time) bool {
	some := false
	covered := ver.count[launching]
	lost := covered+ver.count[busy] == 0 // nothing will come free
	limit := patience(ver.why, s.cfg.QueueWait)
	var next *request
	for q := ver.line.oldest; q != nil; q = next {
		next = q.newer
		waited := now.Sub(q.since)
		if waited < s.cfg.QueueWait && (!lost || ver.line.failed == 0 && !s.closed) {
			break // nor have those behind
		}
		switch {
		case q.failure != nil:
			if lost || waited >= s.cfg.QueueWait {
				s.throttle(q)
				some = true
			}
		case lost && s.closed:
			s.fail(q, errStopping())
			some = true
		case covered > 0:
			covered--
		case limit >= 0 && waited >= limit:
			s.throttle(q)
			some = true
		}
	}
	return some
}

// setAlarm makes watch call plan when a decision can change with nothing
// happening.
func (s *Scheduler) setAlarm(now time.Time) {
	alarm := soonest{now: now}
	slots := false
	for _, ver := range s.lines {
		s.recall(ver, &alarm)
		slots = slots || ver.why == forSlot
	}
	if slots {
		for _, e := range s.launches {
			alarm.at(e.began.Add(slotTime))
		}
	}
	if s.hungry != nil && s.idle.oldest != nil {
		alarm.at(s.idle.oldest.idleSince.Add(settleTime))
	}
	if alarm.in == 0 {
		s.alarm.Stop()
		return
	}
	s.alarm.Reset(alarm.in)
}

// recall adds the times at which something changes for those in ver's line.
func (s *Scheduler) recall(ver *version, alarm *soonest) {
	if ver.line.failed > 0 {
		for q := ver.line.oldest; q != nil; q = q.newer {
			if q.failure != nil {
				alarm.at(q.since.Add(s.cfg.QueueWait))
			}
		}
	}
	q := ver.line.beyond(ver.count[launching])
	if q == nil {
		return
	}
	if d, next := s.demand(ver, alarm.now); next != nil {
		alarm.at(next.since.Add(d.endurance()))
	}
	if limit := patience(ver.why, s.cfg.QueueWait); limit >= 0 {
		alarm.at(q.since.Add(limit))
	}
}

// soonest is the first of several times that are still to come.
type soonest struct {
	now time.Time
	in  time.Duration // 0: none is
}

func (s *soonest) at(t time.Time) {
	if d := t.Sub(s.now); d > 0 && (s.in == 0 || d < s.in) {
		s.in = d
	}
}
