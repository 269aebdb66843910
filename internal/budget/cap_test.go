package budget

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// TestCapHolds: 256 callers at a time, whose invocations take as long as they
// like, never spend a unit more than a budget that stops, in 100 random
// rounds; what is refused costs nothing, what was not needed is given back, and
// nearly all of the budget can be spent.
func TestCapHolds(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) { capRound(t, uint64(seed)) })
	}
}

func capRound(t *testing.T, seed uint64) {
	const callers, calls = 256, 4
	random := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	w.sends = seed%4 == 1
	memory := 128 << random.IntN(4)
	timeout := time.Duration(1+random.IntN(30)) * time.Second
	f := w.function("hello", memory, timeout)
	w.function("other", 128, time.Second)
	dearest := most(f.Draft)
	limit := dearest*millicent.Money(1+random.IntN(300)) + millicent.Money(random.Int64N(int64(dearest)))
	scope := []millicent.BudgetScope{{}, {Function: "hello"}}[random.IntN(2)]
	w.set(millicent.Budget{Scope: scope, Per: millicent.PerMonth, Amount: limit, Stop: true})
	w.set(millicent.Budget{Scope: millicent.BudgetScope{Function: "other"}, Per: millicent.PerDay, Amount: 1, Stop: true})

	var mu sync.Mutex
	var paid millicent.Money
	var group sync.WaitGroup
	for range callers {
		takes := make([]time.Duration, calls)
		for i := range takes {
			takes[i] = time.Duration(random.Int64N(int64(timeout) * 5 / 4))
		}
		group.Go(func() {
			for _, d := range takes {
				cost, err := w.call("hello", d)
				mu.Lock()
				paid += cost
				for _, s := range w.gate.Statuses(account1) {
					if s.Spent.Add(s.Reserved) > s.Amount {
						t.Errorf("round %d: %v spent and %v reserved of %v", seed, s.Spent, s.Reserved, s.Amount)
					}
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(time.Second)
				}
			}
		})
	}
	group.Wait()
	checkRound(t, w, seed, limit, paid)
	if _, err := w.call("other", 0); err == nil {
		t.Errorf("round %d: a budget of next to nothing lets an invocation through", seed)
	}
	// Whatever is left is let out to the last invocation that fits.
	for {
		cost, err := w.call("hello", timeout)
		if err != nil {
			break
		}
		paid += cost
	}
	checkRound(t, w, seed, limit, paid)
	if left := limit - paid; left >= dearest {
		t.Errorf("round %d: %v is left and %v would be needed, yet nothing runs", seed, left, dearest)
	}
}

func checkRound(t *testing.T, w *world, seed uint64, limit, paid millicent.Money) {
	t.Helper()
	w.mu.Lock()
	cost := w.cost["hello"]
	w.mu.Unlock()
	if cost != paid {
		t.Errorf("round %d: the callers paid %v, the functions cost %v", seed, paid, cost)
	}
	if cost > limit {
		t.Errorf("round %d: %v was spent of %v", seed, cost, limit)
	}
	for _, s := range w.gate.Statuses(account1) {
		if s.Amount != limit {
			continue
		}
		if s.Spent != cost || s.Reserved != 0 || s.Running != 0 || s.Left != limit-cost {
			t.Errorf("round %d: %v was spent of %v, the budget says %+v", seed, cost, limit, s)
		}
	}
}

// TestPeriodTurns: what is stopped runs again when the next period begins.
func TestPeriodTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 128, time.Second)
		limit := 3 * most(f.Draft)
		w.set(millicent.Budget{Scope: millicent.BudgetScope{Function: "hello"}, Per: millicent.PerDay, Amount: limit, Stop: true})
		for range 3 {
			if _, err := w.call("hello", time.Second); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.call("hello", time.Second)
		e := wantRefusal(t, err, "function/hello/day")
		begins := time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC) // synctest begins with the year 2000
		if !strings.Contains(e.Message, "is spent. It begins again at 2000-01-02 00:00:00 UTC.") {
			t.Errorf("the caller is told %q", e.Message)
		}
		if e.Detail["Resumes"] != "2000-01-02T00:00:00Z" || e.Detail["retryAfterSeconds"] != "" || e.Detail["Reason"] != millicent.ReasonBudget {
			t.Errorf("the caller gets %v", e.Detail)
		}
		if s := w.status(t); s.State != millicent.BudgetStopped || !s.Resumes.Equal(begins) || s.Spent != limit || s.Refused != 1 {
			t.Errorf("the budget says %+v", s)
		}
		time.Sleep(time.Until(begins) - 10*time.Second)
		_, err = w.call("hello", 0)
		if e := wantRefusal(t, err, "function/hello/day"); e.Detail["retryAfterSeconds"] != "10" {
			t.Errorf("ten seconds before the turn the caller gets %v", e.Detail)
		}
		time.Sleep(10 * time.Second)
		if _, err := w.call("hello", 0); err != nil {
			t.Errorf("after the turn: %v", err)
		}
		if s := w.status(t); s.State != millicent.BudgetOpen || s.Spent != perRequest || s.Refused != 0 || !s.From.Equal(begins) {
			t.Errorf("the budget says %+v", s)
		}
	})
}

// TestTurnWhileRunning: what began before the turn is paid by the period that
// it began in, and held against the next one until that is known.
func TestTurnWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 128, time.Minute)
		w.set(millicent.Budget{Per: millicent.PerHour, Amount: 2*most(f.Draft) - 1, Stop: true})
		time.Sleep(time.Hour - 20*time.Second)
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := w.call("hello", 30*time.Second); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(25 * time.Second)
		_, err := w.call("hello", 0)
		e := wantRefusal(t, err, "tenant/hour")
		if !strings.Contains(e.Message, "may be needed by the 1 invocations that run") || e.Detail["retryAfterSeconds"] != "1" {
			t.Errorf("got %v", e)
		}
		group.Wait()
		if s := w.status(t); s.Spent != 0 || s.Reserved != 0 {
			t.Errorf("the new hour has %+v", s)
		}
		if _, err := w.call("hello", time.Minute); err != nil {
			t.Error(err)
		}
	})
}
