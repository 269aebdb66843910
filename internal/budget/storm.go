package budget

import (
	"time"

	"github.com/millicent-run/millicent"
)

// When a function is paused, as pure functions of what it spent, of what is
// usual for it, and of the time.

const (
	// stormPause is how long a function rests. If the storm goes on, it rests
	// again.
	stormPause = 5 * time.Minute

	// usualMinutes is the span that what is usual is an average over: of n
	// minutes each counts 1/n, the older ones less and less.
	usualMinutes = 60

	// A minute is a storm that spends a 20th of the budget, and ten times as
	// much as usual. Of chains four hops deeper than usual a quarter of both
	// is enough: they are what a storm of a function's own making looks like.
	stormShare = 20
	stormTimes = 10
	deepHops   = 4
	deepPart   = 4
)

// A flow is what a function spends by the minute.
type flow struct {
	minute      int64  // the number of the current one
	now, before minute // the current one and the one before it
	usual       millicent.Money
	usualHops   float64
	known       bool // there are usual hops
	storm       *millicent.Storm
}

// A minute is what was spent in it.
type minute struct {
	spent millicent.Money
	calls int64
	hops  int64 // of all calls together
}

// advance lets time pass.
func (f *flow) advance(now time.Time) {
	n := now.Unix() / 60
	passed := n - f.minute
	if passed <= 0 {
		return
	}
	f.minute = n
	f.learn(f.before)
	if passed == 1 {
		f.before, f.now = f.now, minute{}
		return
	}
	f.learn(f.now)
	for range min(passed-2, 24*usualMinutes) { // after that nothing is left of it
		f.learn(minute{})
	}
	f.before, f.now = minute{}, minute{}
}

// learn takes a minute into what is usual.
func (f *flow) learn(m minute) {
	f.usual += (m.spent - f.usual) / usualMinutes
	if m.calls == 0 {
		return
	}
	hops := float64(m.hops) / float64(m.calls)
	if !f.known {
		f.usualHops, f.known = hops, true
	}
	f.usualHops += (hops - f.usualHops) / usualMinutes
}

// charge counts what an invocation cost that was called hops deep.
func (f *flow) charge(cost millicent.Money, hops int, now time.Time) {
	f.advance(now)
	f.now.spent = f.now.spent.Add(cost)
	f.now.calls++
	f.now.hops += int64(hops)
}

// last returns the last sixty seconds: the current minute, and of the one
// before it as large a part as of the sixty seconds was in it.
func (f *flow) last(now time.Time) minute {
	f.advance(now)
	rest := 60 - now.Unix()%60
	return minute{
		spent: f.now.spent.Add(f.before.spent.Times(rest, 60)),
		calls: f.now.calls + f.before.calls*rest/60,
		hops:  f.now.hops + f.before.hops*rest/60,
	}
}

// stormy returns the evidence of a storm, nil when there is none. amount is of
// the budget that asks.
func (f *flow) stormy(amount millicent.Money, now time.Time) *millicent.Storm {
	m := f.last(now)
	hops := 0.0
	if m.calls > 0 {
		hops = float64(m.hops) / float64(m.calls)
	}
	floor, times := amount/stormShare, millicent.Money(stormTimes)
	if hops >= f.usualHops+deepHops {
		floor, times = floor/deepPart, (times+deepPart-1)/deepPart
	}
	if m.spent < floor || m.spent/times < f.usual {
		return nil
	}
	return &millicent.Storm{
		Began: now, Until: now.Add(stormPause), LastMinute: m.spent, Usual: f.usual, Hops: hops, UsualHops: f.usualHops,
	}
}

// paused returns why the function rests, nil when it does not.
func (f *flow) paused(now time.Time) *millicent.Storm {
	if f.storm == nil || !now.Before(f.storm.Until) {
		return nil
	}
	return f.storm
}

// pause begins a rest. What was spent until now brings no other.
func (f *flow) pause(s *millicent.Storm) {
	f.storm = s
	f.now, f.before = minute{}, minute{}
}

// resume ends a rest: somebody saw the storm, and takes it for usual.
func (f *flow) resume() {
	if f.storm == nil {
		return
	}
	f.usual, f.usualHops, f.known = max(f.usual, f.storm.LastMinute), max(f.usualHops, f.storm.Hops), true
	f.storm = nil
}
