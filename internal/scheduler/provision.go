package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// A Provision is what is wanted of one version of a function.
type Provision struct {
	Version *millicent.Version
	millicent.Provision
}

// A want is a version's Provision, and what has come of it so far.
type want struct {
	Provision
	serial   uint64 // of all wants, by the order of asking
	failures int    // in a row
	failure  string // the latest one, until a launch succeeds
	retry    time.Time
	short    bool // of room, as was found last
	lacks    bool // it is among the lacking
	told     bool // that it is fulfilled
}

// provisions is the state of provisioned concurrency.
type provisions struct {
	life    context.Context // of the launches
	endLife context.CancelFunc
	alarm   *time.Timer

	wants    map[*version]struct{} // versions that have one
	lacking  []*version            // of these, for which there may be something to do
	serial   uint64                // of the latest want
	launches []*environment        // in progress, the oldest first
	held     room                  // by provisioned environments

	invocations, spillovers uint64
}

func newProvisions(life context.Context) provisions {
	p := provisions{wants: make(map[*version]struct{}), alarm: time.NewTimer(inspectTime)}
	p.alarm.Stop() // until there is a want
	p.life, p.endLife = context.WithCancel(life)
	return p
}

// Provision sets what is wanted of a function's versions, in the place of what
// was wanted before. The environments are launched in the background, as far
// as there is room and no invocation waits for a launch or for room; what is
// wanted no more is closed, what is in use once it is released. A version of
// which it could not be fulfilled is tried again, after ever longer rests, or
// at once when its Modified has changed.
func (s *Scheduler) Provision(tenant, function string, all []Provision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	key := functionKey{tenant, function}
	var old []*version
	if f := s.functions[key]; f != nil {
		for _, ver := range f.versions {
			if ver.want != nil {
				old = append(old, ver)
			}
		}
	}
	var kept []*version
	for _, p := range all {
		kept = append(kept, s.setWant(p))
	}
	for _, ver := range old {
		if !slices.Contains(kept, ver) {
			s.dropWant(ver)
		}
	}
}

func (s *Scheduler) setWant(p Provision) *version {
	ver := s.versionOf(s.functionOf(p.Version), p.Version)
	if ver.want == nil {
		s.provisions.serial++
		ver.want = &want{serial: s.provisions.serial}
		s.provisions.wants[ver] = struct{}{}
	} else {
		s.unref(ver) // it has its reference
	}
	w := ver.want
	if !w.Modified.Equal(p.Modified) {
		w.failures, w.failure, w.retry, w.told = 0, "", time.Time{}, false
	}
	if need := s.need(p.Version); !need.within(provisionable(s.limit)) {
		w.failure = "The version needs more memory than provisioned environments may have altogether on this server."
		w.retry = time.Now().Add(everSenior)
	}
	if w.Environments != p.Environments || w.Leaving != p.Leaving {
		w.told = false
	}
	w.Provision = p
	s.lack(ver)
	return ver
}

// dropWant forgets what is wanted of ver and gives up its environments. The
// lock is held.
func (s *Scheduler) dropWant(ver *version) {
	ver.want = nil
	delete(s.provisions.wants, ver)
	for len(ver.own) > 0 {
		s.letGo(ver)
	}
	s.unref(ver)
}

// lack has it looked at soon whether there is something to do about ver. The
// lock is held.
func (s *Scheduler) lack(ver *version) {
	if ver.want == nil {
		return
	}
	if !ver.want.lacks {
		ver.want.lacks = true
		s.provisions.lacking = append(s.provisions.lacking, ver)
	}
	s.provisions.alarm.Reset(0)
}

// letGo gives up one provisioned environment of ver: one that does not serve
// yet if there is one, and an idle one rather than one in use, which is closed
// when it is released. The lock is held.
func (s *Scheduler) letGo(ver *version) {
	e := slices.MinFunc(ver.own, func(a, b *environment) int { return int(a.state - b.state) })
	if e.state == idle {
		s.close(e, millicent.StartUpdated)
		return
	}
	e.retired = true
	s.disown(e)
}

// disown makes e one that is not provisioned. The lock is held.
func (s *Scheduler) disown(e *environment) {
	if !e.provisioned {
		return
	}
	e.provisioned = false
	e.of.own = slices.DeleteFunc(e.of.own, func(o *environment) bool { return o == e })
	s.provisions.held = s.provisions.held.minus(e.room())
	s.lack(e.of)
}

// provide does what is to be done about provisioned concurrency now. The lock
// is held.
func (s *Scheduler) provide(now time.Time) {
	p := &s.provisions
	if s.closed || len(p.lacking) == 0 {
		return
	}
	slots := 0
	for again := true; again; {
		versions, st := s.takeStock(now)
		slots = st.slots
		d := st.decide(now)
		for _, ver := range versions {
			ver.want.short = ver.want.short && slots <= 0 // unless it has been found out anew
		}
		for _, i := range d.short {
			versions[i].want.short = true
		}
		for _, i := range d.letGo {
			s.letGo(versions[i])
		}
		if d.evict > 0 {
			s.evict(s.evictionOrder(now, settleTime), d.evict, versions[d.by])
		}
		for _, i := range d.launch {
			s.launchAhead(versions[i], now)
		}
		again = len(d.letGo) > 0 || d.evict > 0
	}
	p.lacking = slices.DeleteFunc(p.lacking, func(ver *version) bool {
		if ver.want == nil {
			return true
		}
		ver.want.lacks = !ver.want.Leaving && len(ver.own) < ver.want.Environments
		s.tell(ver)
		return !ver.want.lacks
	})
	s.setProvisionAlarm(now, slots)
}

// takeStock returns what provide decides upon. The supplies are those of the
// versions, in that order.
func (s *Scheduler) takeStock(now time.Time) ([]*version, stock) {
	var versions []*version
	for _, ver := range s.provisions.lacking {
		if ver.want == nil {
			continue
		}
		versions = append(versions, ver)
		for _, kin := range ver.function.versions {
			if kin.want != nil && kin.want.Leaving && !kin.want.lacks && !slices.Contains(versions, kin) {
				versions = append(versions, kin)
			}
		}
	}
	slices.SortFunc(versions, func(a, b *version) int { return int(a.want.serial) - int(b.want.serial) })
	st := stock{
		used: s.used, closing: s.closing, limit: s.limit,
		held: s.provisions.held, share: provisionable(s.limit),
		idle: rooms(s.evictionOrder(now, settleTime)),
	}
	for _, ver := range versions {
		st.supplies = append(st.supplies, supply{
			function: ver.function.key, wanted: ver.want.Environments, owned: len(ver.own), idle: owned(ver, idle),
			need: s.need(ver.want.Version), leaving: ver.want.Leaving, retry: ver.want.retry,
		})
	}
	if s.hungry == nil { // nobody's room is taken
		st.slots = min(s.slots(now), provisionSlots(s.cfg.MaxLaunches)-holding(s.provisions.launches, now))
	}
	return versions, st
}

// owned returns how many provisioned environments of ver are in a state.
func owned(ver *version, in state) int {
	n := 0
	for _, e := range ver.own {
		if e.state == in {
			n++
		}
	}
	return n
}

// holding returns how many of launches count against a bound.
func holding(launches []*environment, now time.Time) int {
	n := 0
	for _, e := range launches {
		if holdsSlot(now.Sub(e.began)) {
			n++
		}
	}
	return n
}

// setProvisionAlarm makes watch look again when time alone can have changed
// something.
func (s *Scheduler) setProvisionAlarm(now time.Time, slots int) {
	alarm := soonest{now: now}
	if len(s.provisions.wants) > 0 {
		alarm.at(now.Add(inspectTime))
	}
	for _, ver := range s.provisions.lacking {
		alarm.at(ver.want.retry)
		if ver.want.short || slots <= 0 {
			alarm.at(now.Add(settleTime))
		}
	}
	if alarm.in > 0 {
		s.provisions.alarm.Reset(alarm.in)
	}
}

// inspect replaces idle provisioned environments whose runtime has ended, and
// does what time has made possible.
func (s *Scheduler) inspect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for ver := range s.provisions.wants {
		s.closeDead(ver)
	}
	s.provide(now)
	if len(s.provisions.lacking) == 0 {
		s.setProvisionAlarm(now, 0)
	}
}

// closeDead closes the idle provisioned environments of ver whose runtime has
// ended. The lock is held.
func (s *Scheduler) closeDead(ver *version) {
	for _, e := range slices.Clone(ver.own) {
		if e.state == idle && !millicent.Initialised(e.Environment) {
			s.close(e, millicent.StartAfterFailure)
		}
	}
}

// endProvisions gives up all that is provisioned. The lock is held.
func (s *Scheduler) endProvisions() {
	for ver := range s.provisions.wants {
		s.dropWant(ver)
	}
	s.provisions.lacking = nil
	s.provisions.endLife()
}
