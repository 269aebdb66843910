package budget

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func opened(b millicent.Budget) *account {
	a := newAccount(&b, counting, noon)
	a.opened(0, 0, 0)
	return a
}

func TestJudge(t *testing.T) {
	stop := millicent.Budget{Per: millicent.PerDay, Amount: 100, Stop: true}
	warn := millicent.Budget{Per: millicent.PerDay, Amount: 100, Warn: []int{100}}
	slow := millicent.Budget{Per: millicent.PerDay, Amount: 100, Throttle: &millicent.BudgetThrottle{Rate: 2, At: 80}}
	for name, c := range map[string]struct {
		budget          millicent.Budget
		spent, reserved millicent.Money
		most            millicent.Money
		tokens          float64
		want            verdict
	}{
		"fits":                        {stop, 50, 30, 20, 0, admitted},
		"a unit too much":             {stop, 50, 30, 21, 0, taken},
		"all is reserved":             {stop, 0, 100, 1, 0, taken},
		"too dear":                    {stop, 90, 0, 11, 0, dear},
		"too dear, and others run":    {stop, 90, 5, 11, 0, dear},
		"spent":                       {stop, 100, 0, 1, 0, spent},
		"more than spent":             {stop, 120, 0, 0, 0, spent},
		"what costs nothing, at last": {stop, 99, 0, 0, 0, admitted},
		"sums without end":            {stop, 1, millicent.MaxMoney - 1, millicent.MaxMoney, 0, dear},
		"only warns":                  {warn, 120, 300, 21, 0, admitted},
		"below the throttle":          {slow, 79, 0, 1, 0, admitted},
		"throttled":                   {slow, 80, 0, 1, 0.5, throttled},
		"let through":                 {slow, 80, 0, 1, 1, admitted},
	} {
		a := opened(c.budget)
		a.spent, a.reserved, a.tokens = c.spent, c.reserved, c.tokens
		if got := a.judge(c.most, noon); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	a := newAccount(&stop, closed, noon)
	if a.judge(0, noon) != unknown {
		t.Error("something runs before it is known what was spent")
	}
	if a.affords(0, noon) {
		t.Error("something costs more before it is known what was spent")
	}
	a = newAccount(&stop, counting, noon)
	a.charge(0, 500, noon, noon)
	if a.judge(0, noon) != admitted {
		t.Error("a budget that only counts refuses")
	}
	if !a.affords(1, noon) {
		t.Error("a budget that only counts holds what runs to it")
	}
	a.opened(7, 0, 0)
	if a.judge(0, noon) != spent || a.spent != 507 {
		t.Errorf("it knows of %v", a.spent)
	}
}

// TestThrottle: past its percentage a budget lets its rate through.
func TestThrottle(t *testing.T) {
	a := opened(millicent.Budget{Per: millicent.InAll, Amount: 10, Throttle: &millicent.BudgetThrottle{Rate: 5, At: 100}})
	a.charge(0, 10, noon, noon)
	through := 0
	for ms := range 10_000 {
		now := noon.Add(time.Duration(ms) * time.Millisecond)
		if a.judge(1, now) == admitted {
			a.release(a.reserve(1))
			through++
		}
	}
	if through < 54 || through > 55 { // 5 at once, then 5 a second
		t.Errorf("%d came through in ten seconds", through)
	}
	now := noon.Add(10 * time.Second)
	for a.judge(1, now) == admitted {
		a.reserve(1)
	}
	if at := a.resumes(throttled, now); !at.After(now) || at.After(now.Add(200*time.Millisecond)) {
		t.Errorf("the next comes through after %v", at.Sub(now))
	}
}

func TestWarnings(t *testing.T) {
	a := opened(millicent.Budget{Per: millicent.PerHour, Amount: 100, Warn: []int{50, 80, 100}})
	var got []int
	for range 12 {
		got = append(got, a.charge(0, 10, noon, noon)...)
	}
	if diff := cmp.Diff([]int{50, 80, 100}, got); diff != "" {
		t.Errorf("told (-want +got): %s", diff)
	}
	if next := a.charge(0, 95, noon.Add(time.Hour), noon.Add(time.Hour)); !cmp.Equal(next, []int{50, 80}) {
		t.Errorf("in the next hour: %v", next)
	}
	b := millicent.Budget{Per: millicent.PerHour, Amount: 100, Warn: []int{50, 80, 100}}
	again := newAccount(&b, closed, noon)
	if got := again.opened(90, 0, 50); !cmp.Equal(got, []int{80}) {
		t.Errorf("after a start, of which 50 %% were told: %v", got)
	}
	b.Amount = 1000
	again.change(&b, counting, noon)
	if got := again.charge(0, 450, noon, noon); !cmp.Equal(got, []int{50}) {
		t.Errorf("after a raise: %v", got)
	}
}

// TestAccountModel holds an account against a list of what ran, over random
// steps through several periods: never is more spent in a period than the
// amount, whatever runs across its turns.
func TestAccountModel(t *testing.T) {
	type running struct {
		took, most millicent.Money
		start      time.Time
	}
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 7))
		limit := millicent.Money(1 + random.Int64N(1000))
		a := opened(millicent.Budget{Per: millicent.PerHour, Amount: limit, Stop: true})
		now := noon
		var live []running
		sums := map[time.Time]millicent.Money{}
		for range 3000 {
			now = now.Add(time.Duration(random.Int64N(int64(20 * time.Second))))
			if most := millicent.Money(random.Int64N(int64(limit) + 2)); random.IntN(2) == 0 {
				if a.judge(most, now) == admitted {
					live = append(live, running{a.reserve(most), most, now.Add(time.Duration(random.Int64N(int64(10 * time.Second))))})
				}
			} else if len(live) > 0 {
				i := random.IntN(len(live))
				r := live[i]
				live = append(live[:i], live[i+1:]...)
				cost := millicent.Money(random.Int64N(int64(r.most) + 1))
				if r.start.After(now) {
					r.start = now
				}
				a.release(r.took)
				a.charge(0, cost, r.start, now)
				sums[r.start.Truncate(time.Hour)] += cost
			}
			if got := sums[now.Truncate(time.Hour)]; got != a.spent && a.to.After(now) {
				t.Fatalf("seed %d: %v spent, the model says %v", seed, a.spent, got)
			}
		}
		for hour, sum := range sums {
			if sum > limit {
				t.Errorf("seed %d: %v spent of %v in the hour %v", seed, sum, limit, hour)
			}
		}
		if a.running != len(live) {
			t.Errorf("seed %d: %d run, the model says %d", seed, a.running, len(live))
		}
	}
}

// TestClockPutBack: what runs while the clock is behind the period counts in
// it.
func TestClockPutBack(t *testing.T) {
	a := opened(millicent.Budget{Per: millicent.PerHour, Amount: 10, Stop: true})
	before := noon.Add(-time.Minute)
	for range 3 {
		if a.judge(5, before) == admitted {
			a.release(a.reserve(5))
			a.charge(0, 5, before, before)
		}
	}
	if a.spent != 10 || !a.from.Equal(noon) {
		t.Errorf("%v of 10 is spent in the hour from %v", a.spent, a.from)
	}
}

func TestChangeOfZone(t *testing.T) {
	b := millicent.Budget{Per: millicent.PerDay, Amount: 100, Stop: true}
	a := opened(b)
	a.reserve(40)
	a.charge(0, 30, noon, noon)
	b.Zone = "Asia/Tokyo"
	a.change(&b, counting, noon)
	if a.phase != counting || a.spent != 0 || a.reserved != 40 || !a.from.Equal(noon.Add(3*time.Hour).Add(-24*time.Hour)) {
		t.Errorf("got %+v", a)
	}
}
