package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// at reads a time of a test: in a zone, or with an offset.
func at(t testing.TB, text, zone string) time.Time {
	t.Helper()
	if when, err := time.Parse(time.RFC3339, text); err == nil {
		return when
	}
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	when, err := time.ParseInLocation("2006-01-02 15:04", text, z)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		about, expression, zone, since string
		want                           []string // in the zone
	}{
		{"every ten minutes", "cron(0/10 * * * ? *)", "UTC", "2026-01-31 23:45", []string{"2026-01-31 23:50", "2026-02-01 00:00", "2026-02-01 00:10"}},
		{"a time counts at which it begins", "cron(30 8 * * ? *)", "UTC", "2026-01-31 08:30", []string{"2026-01-31 08:30", "2026-02-01 08:30"}},
		{"working days", "cron(15 10 ? * MON-FRI *)", "UTC", "2026-11-20 10:16", []string{"2026-11-23 10:15", "2026-11-24 10:15"}},
		{"numbers of days begin with Sunday", "cron(0 0 ? * 1,7 *)", "UTC", "2026-11-23 00:00", []string{"2026-11-28 00:00", "2026-11-29 00:00", "2026-12-05 00:00"}},
		{"a range over the week's end", "cron(0 0 ? * SAT-MON *)", "UTC", "2026-11-24 00:00", []string{"2026-11-28 00:00", "2026-11-29 00:00", "2026-11-30 00:00", "2026-12-05 00:00"}},
		{"a range over midnight", "cron(0 22-1 * * ? *)", "UTC", "2026-11-23 23:30", []string{"2026-11-24 00:00", "2026-11-24 01:00", "2026-11-24 22:00"}},
		{"a month that has no such day", "cron(0 0 31 * ? *)", "UTC", "2026-01-31 00:01", []string{"2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00", "2026-08-31 00:00"}},
		{"leap days", "cron(0 12 29 2 ? *)", "UTC", "2026-01-01 00:00", []string{"2028-02-29 12:00", "2032-02-29 12:00"}},
		{"a century without a leap day", "cron(0 12 29 FEB ? *)", "UTC", "2096-03-01 00:00", []string{"2104-02-29 12:00"}},
		{"last day", "cron(0 18 L * ? *)", "UTC", "2028-01-31 19:00", []string{"2028-02-29 18:00", "2028-03-31 18:00", "2028-04-30 18:00"}},
		{"days before the last", "cron(0 0 L-30 * ? *)", "UTC", "2026-02-01 00:00", []string{"2026-03-01 00:00", "2026-05-01 00:00"}},
		{"last Friday", "cron(0 10 ? * 6L 2022-2023)", "UTC", "2023-10-28 00:00", []string{"2023-11-24 10:00", "2023-12-29 10:00"}},
		{"last Friday by name", "cron(0 10 ? * FRIL *)", "UTC", "2026-11-01 00:00", []string{"2026-11-27 10:00", "2026-12-25 10:00"}},
		{"last of the week", "cron(0 10 ? * L *)", "UTC", "2026-11-23 00:00", []string{"2026-11-28 10:00", "2026-12-05 10:00"}},
		{"second Tuesday", "cron(0 10 ? * 3#2 *)", "UTC", "2026-11-11 00:00", []string{"2026-12-08 10:00", "2027-01-12 10:00"}},
		{"fifth Monday", "cron(0 10 ? * MON#5 *)", "UTC", "2026-11-01 00:00", []string{"2026-11-30 10:00", "2027-03-29 10:00"}},
		{"weekday nearest to a Saturday", "cron(0 9 15W * ? *)", "UTC", "2026-08-01 00:00", []string{"2026-08-14 09:00", "2026-09-15 09:00"}},
		{"weekday nearest to a Sunday", "cron(0 9 15W * ? *)", "UTC", "2026-11-01 00:00", []string{"2026-11-16 09:00"}},
		{"not out of the month at its begin", "cron(0 9 1W * ? *)", "UTC", "2026-08-01 00:00", []string{"2026-08-03 09:00"}},
		{"not out of the month at its end", "cron(0 9 31W * ? *)", "UTC", "2027-01-01 00:00", []string{"2027-01-29 09:00"}},
		{"last weekday", "cron(0 9 LW * ? *)", "UTC", "2026-10-31 00:00", []string{"2026-11-30 09:00", "2026-12-31 09:00", "2027-01-29 09:00"}},
		{"steps", "cron(5/25 8-18/5 1/15 */4 ? *)", "UTC", "2026-01-16 13:31", []string{"2026-01-16 13:55", "2026-01-16 18:05"}},
		{"steps from the begin of a year", "cron(0 0 1 */4 ? 2026/2)", "UTC", "2026-09-02 00:00", []string{"2028-01-01 00:00", "2028-05-01 00:00"}},
		{"years that are over", "cron(0 0 1 1 ? 2020)", "UTC", "2026-01-01 00:00", nil},
		{"never", "cron(0 0 30 2 ? *)", "UTC", "2026-01-01 00:00", nil},
		{"the end of time", "cron(59 23 31 12 ? *)", "UTC", "2199-01-01 00:00", []string{"2199-12-31 23:59"}},

		{"leapt over", "cron(30 2 * * ? *)", "America/New_York", "2026-03-07 02:30", []string{"2026-03-07 02:30", "2026-03-09 02:30"}},
		{"around a leap", "cron(0 * * * ? *)", "America/New_York", "2026-03-08 01:00", []string{"2026-03-08 01:00", "2026-03-08T03:00:00-04:00"}},
		{"shown twice, the first time counts", "cron(30 1 * * ? *)", "America/New_York", "2026-10-31 12:00", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"from between the two", "cron(30 1 * * ? *)", "America/New_York", "2026-11-01T01:00:00-05:00", []string{"2026-11-02T01:30:00-05:00"}},
		{"hours shown twice", "cron(0 * * * ? *)", "America/New_York", "2026-11-01T00:00:00-04:00", []string{"2026-11-01T00:00:00-04:00", "2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00"}},
		{"half an hour", "cron(15 * * * ? *)", "Australia/Lord_Howe", "2026-10-04T01:00:00+10:30", []string{"2026-10-04T01:15:00+10:30", "2026-10-04T03:15:00+11:00"}},
		{"a day that a zone had not", "cron(0 12 * 12 ? 2011)", "Pacific/Apia", "2011-12-29T12:00:00-10:00", []string{"2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"}},
		{"east", "cron(0 0 1 * ? *)", "Pacific/Kiritimati", "2026-01-15 00:00", []string{"2026-02-01 00:00"}},
		{"west", "cron(0 23 L * ? *)", "Pacific/Niue", "2026-01-15 00:00", []string{"2026-01-31 23:00"}},

		{"a rate begins at once", "rate(5 minutes)", "UTC", "2026-01-01 00:03", []string{"2026-01-01 00:03", "2026-01-01 00:08"}},
		{"days have 24 hours", "rate(1 day)", "America/New_York", "2026-03-07 12:00", []string{"2026-03-07 12:00", "2026-03-08T13:00:00-04:00"}},
		{"hours", "rate(36 hours)", "UTC", "2026-01-01 00:00", []string{"2026-01-01 00:00", "2026-01-02 12:00"}},

		{"at", "at(2026-11-23T08:00:00)", "Europe/Berlin", "2026-11-01 00:00", []string{"2026-11-23T07:00:00Z"}},
		{"at, just now", "at(2026-11-23T08:00:00)", "UTC", "2026-11-23 08:01", []string{"2026-11-23 08:00"}},
		{"at, long ago", "at(2026-11-23T08:00:00)", "UTC", "2026-11-23 08:02", nil},
		{"at, leapt over", "at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-03-01 00:00", []string{"2026-03-29T03:30:00+02:00"}},
		{"at, shown twice", "at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-03-01 00:00", []string{"2026-10-25T02:30:00+02:00"}},
	} {
		since := at(t, c.since, c.zone)
		got := Times(&millicent.Schedule{Expression: c.expression, Zone: c.zone, Since: since, Anchor: since}, time.Time{}, max(len(c.want), 1))
		if len(got) != len(c.want) {
			t.Errorf("%s: %s from %s: %v, want %v", c.about, c.expression, c.since, got, c.want)
			continue
		}
		for i, want := range c.want {
			if w := at(t, want, c.zone); !got[i].Equal(w) {
				t.Errorf("%s: %s from %s: number %d is %v, want %v", c.about, c.expression, c.since, i, got[i], w)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	s := &millicent.Schedule{Expression: "rate(1 day)", Zone: "UTC", Anchor: day(1), Since: day(1), Start: day(3).Add(time.Hour), End: day(6)}
	for _, c := range []struct {
		expression string
		want       []time.Time
	}{
		{"rate(1 day)", []time.Time{day(3).Add(time.Hour), day(4).Add(time.Hour), day(5).Add(time.Hour)}},
		{"cron(0 0 * * ? *)", []time.Time{day(4), day(5), day(6)}},
		{"at(2026-01-02T00:00:00)", []time.Time{day(2)}}, // ignores both
	} {
		s.Expression = c.expression
		if got := Times(s, time.Time{}, 10); !slices.EqualFunc(got, c.want, time.Time.Equal) {
			t.Errorf("%s: %v, want %v", c.expression, got, c.want)
		}
	}
	// A rate that was resumed keeps its step.
	s = &millicent.Schedule{Expression: "rate(10 minutes)", Zone: "UTC", Anchor: day(1), Since: day(2).Add(7 * time.Minute)}
	if got := Times(s, time.Time{}, 1); len(got) != 1 || !got[0].Equal(day(2).Add(10*time.Minute)) {
		t.Errorf("resumed: %v", got)
	}
}

func TestBadExpressions(t *testing.T) {
	for _, text := range []string{
		"", "cron", "cron()", "cron(* * * * ? *", "Rate(1 minute)", "rate(1 minute) ", " rate(1 minute)",
		"rate(0 minutes)", "rate(-1 minutes)", "rate(+1 minutes)", "rate(1.5 hours)", "rate(1 week)", "rate(1 second)", "rate(1)", "rate(1  minute)", "rate(100001 days)",
		"cron(* * * * *)", "cron(0 * * * ? * *)", "cron(0 * ? * ? *)", "cron(0 * * * * *)", "cron(0 0 1 * MON *)",
		"cron(60 * * * ? *)", "cron(* 24 * * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 1 13 ? *)", "cron(0 0 ? * 0 *)", "cron(0 0 ? * 8 *)",
		"cron(0 0 1 * ? 1969)", "cron(0 0 1 * ? 2200)", "cron(0 0 1 * ? 2030-2020)",
		"cron(,0 * * * ? *)", "cron(0,, * * * ? *)", "cron(0/0 * * * ? *)", "cron(0/ * * * ? *)", "cron(/5 * * * ? *)", "cron(1- * * * ? *)", "cron(-1 * * * ? *)", "cron(a * * * ? *)",
		"cron(0 0 L-0 * ? *)", "cron(0 0 L-31 * ? *)", "cron(0 0 W * ? *)", "cron(0 0 0W * ? *)", "cron(0 0 1,15W * ? *)", "cron(0 0 1,L * ? *)",
		"cron(0 0 ? * 3#0 *)", "cron(0 0 ? * 3#6 *)", "cron(0 0 ? * #1 *)", "cron(0 0 ? * 3#1,6#3 *)", "cron(0 0 ? * 8L *)", "cron(L * * * ? *)",
		"at(2026-11-23)", "at(2026-11-23T08:00)", "at(2026-11-23T08:00:00Z)", "at(2026-13-23T08:00:00)", "at(2026-02-30T08:00:00)", "at(2026-11-23 08:00:00)", "at(2026-11-23T08:00:00.5)", "at(1969-12-31T00:00:00)",
	} {
		if err := Check(text, "UTC"); millicent.ErrorCode(err) != CodeValidation {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, zone := range []string{"", "Local", "Nowhere", "../../etc/passwd", "/etc/localtime", "Europe/../Europe/Berlin", "europe/nowhere"} {
		if err := Check("rate(1 day)", zone); millicent.ErrorCode(err) != CodeValidation {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
}

// FuzzExpression: whatever is accepted has times that rise, and clocks in the
// zone show them at the minute that the expression says.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{"rate(5 minutes)", "at(2026-11-23T08:00:00)", "cron(0/10 8-18 ? * 2#1 2026-2030)", "cron(0 0 L-3 1/2 ? *)", "cron(5,10 * LW JAN-MAR ? *)"} {
		for _, zone := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"} {
			f.Add(text, zone, int64(1_790_000_000))
		}
	}
	f.Fuzz(func(t *testing.T, text, zone string, since int64) {
		if len(text) > 256 || since < 0 || since > 7_000_000_000 {
			return
		}
		e, err := parse(text, zone)
		if err != nil {
			if millicent.ErrorCode(err) != CodeValidation {
				t.Errorf("%q in %q: %v", text, zone, err)
			}
			return
		}
		from := time.Unix(since, 0)
		s := &millicent.Schedule{Expression: text, Zone: zone, Since: from, Anchor: from}
		after := from.Add(-1)
		for range 5 {
			next, ok := e.next(s, after)
			if !ok {
				break
			}
			if !next.After(after) {
				t.Fatalf("%q in %q: %v is not after %v", text, zone, next, after)
			}
			if e.cron != nil {
				local := next.In(e.zone)
				if e.cron.minutes&(1<<local.Minute()) == 0 || e.cron.hours&(1<<local.Hour()) == 0 || e.cron.months&(1<<local.Month()) == 0 ||
					!e.cron.years[local.Year()-minYear] || local.Second() != 0 {
					t.Fatalf("%q in %q: %v", text, zone, local)
				}
			}
			after = next
		}
	})
}

// TestCronMisses nothing: against a walk over every minute of a year.
func TestCronMisses(t *testing.T) {
	for _, text := range []string{"cron(7/20 1-3 ? * SUN *)", "cron(30 1,2 * 3,11 ? *)"} {
		for _, zone := range []string{"America/New_York", "Australia/Lord_Howe"} {
			e, err := parse(text, zone)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var want, got []time.Time
			shown := map[[5]int]bool{}
			for m := begin; m.Year() == 2026; m = m.Add(time.Minute) {
				local := m.In(e.zone)
				wall := [5]int{0, int(local.Month()), local.Day(), local.Hour(), local.Minute()}
				if shown[wall] {
					continue
				}
				shown[wall] = true
				days := e.cron.days.of(local.Year(), local.Month())
				if e.cron.minutes&(1<<local.Minute()) != 0 && e.cron.hours&(1<<local.Hour()) != 0 &&
					e.cron.months&(1<<local.Month()) != 0 && days&(1<<local.Day()) != 0 {
					want = append(want, m)
				}
			}
			for next, ok := e.cron.next(begin.Add(-1), e.zone); ok && next.Year() == 2026; next, ok = e.cron.next(next, e.zone) {
				if next.UTC().Year() != 2026 {
					break
				}
				got = append(got, next)
			}
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Errorf("%s in %s: %d times, want %d", text, zone, len(got), len(want))
			}
			if len(want) < 20 {
				t.Errorf("%s in %s: the test has %d times only", text, zone, len(want))
			}
		}
	}
}

func BenchmarkNextOfCron(b *testing.B) {
	for _, text := range []string{"cron(* * * * ? *)", "cron(0 9 ? * MON-FRI *)", "cron(0 12 29 2 ? *)"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			e, err := parse(text, "America/New_York")
			if err != nil {
				b.Fatal(err)
			}
			now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			for b.Loop() {
				e.cron.next(now, e.zone)
			}
		})
	}
}
