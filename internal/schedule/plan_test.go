package schedule

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

func TestPlan(t *testing.T) {
	begin := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return begin.Add(d) }
	minutes := func(all ...int) (times []time.Time) {
		for _, n := range all {
			times = append(times, after(time.Duration(n)*time.Minute))
		}
		return times
	}
	const minute = time.Minute
	for _, c := range []struct {
		about, expression string
		how               CatchUp
		through, now      time.Time
		run               []time.Time
		missed            int
		next              time.Time
	}{
		{"at its begin", "rate(10 minutes)", CatchUpNone, time.Time{}, begin, minutes(0), 0, after(10 * minute)},
		{"between", "rate(10 minutes)", CatchUpNone, begin, after(9 * minute), nil, 0, after(10 * minute)},
		{"a little late", "rate(10 minutes)", CatchUpNone, begin, after(10*minute + 59*time.Second), minutes(10), 0, after(20 * minute)},
		{"a minute late", "rate(10 minutes)", CatchUpNone, begin, after(11 * minute), nil, 1, after(20 * minute)},
		{"long down", "rate(10 minutes)", CatchUpNone, begin, after(35 * minute), nil, 3, after(40 * minute)},
		{"long down, and just due", "rate(10 minutes)", CatchUpNone, begin, after(40 * minute), minutes(40), 3, after(50 * minute)},
		{"the latest", "rate(10 minutes)", CatchUpLatest, begin, after(35 * minute), minutes(30), 2, after(40 * minute)},
		{"the latest, which is just due", "rate(10 minutes)", CatchUpLatest, begin, after(40 * minute), minutes(40), 3, after(50 * minute)},
		{"all", "rate(10 minutes)", CatchUpAll, begin, after(35 * minute), minutes(10, 20, 30), 0, after(40 * minute)},
		{"all, but those that are too old", "rate(10 minutes)", CatchUpAll, begin, after(85 * minute), minutes(30, 40, 50, 60, 70, 80), 2, after(90 * minute)},
		{"too old", "rate(1 day)", CatchUpLatest, begin, after(24*60*minute + 61*minute), nil, 1, after(2 * 24 * 60 * minute)},
		{"cron", "cron(0/15 * * * ? *)", CatchUpLatest, begin, after(44 * minute), minutes(30), 1, after(45 * minute)},
		{"to come", "at(2026-11-23T09:00:00)", CatchUpLatest, time.Time{}, begin, nil, 0, after(60 * minute)},
		{"due", "at(2026-11-23T09:00:00)", CatchUpLatest, time.Time{}, after(60 * minute), minutes(60), 0, time.Time{}},
		{"done", "at(2026-11-23T09:00:00)", CatchUpLatest, after(60 * minute), after(61 * minute), nil, 0, time.Time{}},
		{"late", "at(2026-11-23T09:00:00)", CatchUpLatest, time.Time{}, after(120 * minute), minutes(60), 0, time.Time{}},
		{"too late", "at(2026-11-23T09:00:00)", CatchUpLatest, time.Time{}, after(121 * minute), nil, 1, time.Time{}},
		{"late, and not wanted", "at(2026-11-23T09:00:00)", CatchUpNone, time.Time{}, after(62 * minute), nil, 1, time.Time{}},
	} {
		s := &millicent.Schedule{Expression: c.expression, Zone: "UTC", Anchor: begin, Since: begin, Target: millicent.ScheduleTarget{MaxAge: time.Hour}}
		e, err := parse(c.expression, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		p := planOf(s, e, c.how, c.through, c.now)
		if !slices.EqualFunc(p.run, c.run, time.Time.Equal) || p.missed != c.missed || !p.next.Equal(c.next) {
			t.Errorf("%s: run %v, missed %d, next %v; want %v, %d, %v", c.about, p.run, p.missed, p.next, c.run, c.missed, c.next)
		}
		if again := planOf(s, e, c.how, p.through, c.now); len(again.run) > 0 || again.missed > 0 || !again.next.Equal(p.next) {
			t.Errorf("%s: again %+v", c.about, again)
		}
		s.Paused = true
		if p := planOf(s, e, c.how, c.through, c.now); len(p.run) > 0 || p.missed > 0 || !p.next.IsZero() {
			t.Errorf("%s: paused, %+v", c.about, p)
		}
	}
}

// What was missed in years is counted, and caught up with, in bounds.
func TestPlanIsBounded(t *testing.T) {
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin.Add(30*24*time.Hour + 30*time.Second)
	s := &millicent.Schedule{Expression: "cron(* * * * ? *)", Zone: "UTC", Anchor: begin, Since: begin, Target: millicent.ScheduleTarget{MaxAge: 24 * time.Hour}}
	e, err := parse(s.Expression, s.Zone)
	if err != nil {
		t.Fatal(err)
	}
	through, run, missed, plans := time.Time{}, 0, 0, 0
	for ; plans == 0 || !through.Equal(now.Truncate(time.Minute)); plans++ {
		p := planOf(s, e, CatchUpAll, through, now)
		if p.next.IsZero() || plans > 5 {
			t.Fatalf("plan %+v", p)
		}
		through, run, missed = p.through, run+len(p.run), missed+p.missed
	}
	if run != maxCaughtUp+1 || run+missed != 30*24*60+1 || plans != 5 {
		t.Errorf("%d ticks run, %d missed, in %d plans", run, missed, plans)
	}
}

func TestCatchUp(t *testing.T) {
	tag := func(how string) map[string]string { return map[string]string{CatchUpTag: how} }
	once, often := &expression{at: time.Unix(1, 0)}, &expression{rate: time.Minute}
	for _, c := range []struct {
		e               *expression
		schedule, group map[string]string
		want            CatchUp
	}{
		{often, nil, nil, CatchUpNone},
		{once, nil, nil, CatchUpLatest},
		{often, nil, tag("latest"), CatchUpLatest},
		{often, tag("all"), tag("latest"), CatchUpAll},
		{once, tag("none"), nil, CatchUpNone},
		{once, tag("nonsense"), tag("none"), CatchUpNone},
	} {
		if got := catchUp(c.e, c.schedule, c.group); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.schedule, c.group, got, c.want)
		}
	}
}

func TestRetry(t *testing.T) {
	tick := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	busy, gone := millicent.Throttled(millicent.ReasonConcurrency), millicent.Errorf(millicent.CodeNotFound, "")
	policy := millicent.ScheduleTarget{MaxAge: time.Hour, MaxRetries: 185}
	for _, c := range []struct {
		about    string
		policy   millicent.ScheduleTarget
		attempts int
		err      error
		now      time.Time
		want     verdict
	}{
		{"first", policy, 1, busy, tick, verdict{again: tick.Add(time.Second)}},
		{"fifth", policy, 5, busy, tick, verdict{again: tick.Add(16 * time.Second)}},
		{"tenth", policy, 10, busy, tick, verdict{again: tick.Add(8 * time.Minute)}},
		{"hundredth", policy, 100, busy, tick, verdict{again: tick.Add(8 * time.Minute)}},
		{"an error without a code", policy, 1, errors.New("oh"), tick, verdict{again: tick.Add(time.Second)}},
		{"no retries", millicent.ScheduleTarget{MaxAge: time.Hour}, 1, busy, tick, verdict{exhausted: exhaustedRetries}},
		{"no more", millicent.ScheduleTarget{MaxAge: time.Hour, MaxRetries: 3}, 4, busy, tick, verdict{exhausted: exhaustedRetries}},
		{"one more", millicent.ScheduleTarget{MaxAge: time.Hour, MaxRetries: 3}, 3, busy, tick, verdict{again: tick.Add(4 * time.Second)}},
		{"too old then", policy, 10, busy, tick.Add(53 * time.Minute), verdict{exhausted: exhaustedAge}},
		{"not there", policy, 1, gone, tick, verdict{}},
		{"no queue", policy, 1, millicent.Errorf(sqs.CodeNoQueue, ""), tick, verdict{}},
		{"a full queue", policy, 1, millicent.Errorf(sqs.CodeOverLimit, ""), tick, verdict{again: tick.Add(time.Second)}},
	} {
		if got := retry(c.policy, tick, c.attempts, c.err, c.now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.about, got, c.want)
		}
	}
}
