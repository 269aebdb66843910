package budget

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// What a function sends is paid for before it is sent, in all budgets or in none;
// after its end nothing is, and without a budget that stops nobody asks.
func TestEgressIsPaidAhead(t *testing.T) {
	w := newWorld(t)
	f := w.function("hello", 128, time.Second)
	inv := &millicent.Invocation{Tenant: account1, Function: "hello"}
	settle, err := w.gate.Reserve(inv, f, f.Draft)
	if err != nil || inv.Pay != nil {
		t.Fatal("somebody is to pay without a budget", err)
	}
	settle(nil)
	limit := most(f.Draft) + 1000
	w.set(millicent.Budget{Per: millicent.PerMonth, Amount: 10 * limit})
	if _, err := w.gate.Reserve(inv, f, f.Draft); err != nil || inv.Pay != nil {
		t.Fatal("somebody is to pay where nothing stops", err)
	}
	w.set(millicent.Budget{Per: millicent.PerDay, Amount: limit, Stop: true})
	if settle, err = w.gate.Reserve(inv, f, f.Draft); err != nil || inv.Pay == nil {
		t.Fatal("nobody pays", err)
	}
	for _, c := range []struct {
		bytes int64
		paid  bool
	}{{400, true}, {601, false}, {600, true}, {1, false}} {
		if paid := inv.Pay(c.bytes); paid != c.paid {
			t.Errorf("%d bytes: %v", c.bytes, paid)
		}
	}
	for _, s := range w.gate.Statuses(account1) {
		want := limit
		if !s.Stop {
			want += most(f.Draft) // of the one that still runs
		}
		if s.Reserved != want {
			t.Errorf("%s: %v is reserved, want %v", s.ID, s.Reserved, want)
		}
	}
	settle(&millicent.UsageRecord{Kind: millicent.UsageInvocation, Tenant: account1, Function: "hello", Start: time.Now(), Egress: 700, MemoryMB: 128, Billed: time.Millisecond})
	if inv.Pay(1) {
		t.Error("an invocation that has ended pays")
	}
	for _, s := range w.gate.Statuses(account1) {
		if s.Stop && (s.Reserved != 0 || s.Spent != perRequest+128*perMBms+700) {
			t.Errorf("%s: %v is reserved and %v spent", s.ID, s.Reserved, s.Spent)
		}
	}
}

// A budget is exhausted when it stops, covers all of a function, and is spent.
func TestExhausted(t *testing.T) {
	f := &millicent.Function{Tenant: account1, Name: "hello", Tags: map[string]string{"team": "red"}}
	for name, c := range map[string]struct {
		budget millicent.Budget
		want   bool
	}{
		"account":          {millicent.Budget{Stop: true}, true},
		"function":         {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Function: "hello"}}, true},
		"tag":              {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Tag: "team", Value: "red"}}, true},
		"another tag":      {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Tag: "team", Value: "blue"}}, false},
		"alias":            {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Function: "hello", Alias: "live"}}, false},
		"key":              {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Key: "AK"}}, false},
		"stops nothing":    {millicent.Budget{}, false},
		"not spent":        {millicent.Budget{Stop: true, Amount: 1001}, false},
		"another function": {millicent.Budget{Stop: true, Scope: millicent.BudgetScope{Function: "other"}}, false},
	} {
		w := newWorld(t)
		if w.gate.Exhausted(f) {
			t.Error("exhausted without a budget")
		}
		b := c.budget
		b.Tenant, b.Per = account1, millicent.InAll
		if b.Amount == 0 {
			b.Amount = 1000
		}
		w.set(b)
		w.gate.Count(&millicent.UsageRecord{
			Kind: millicent.UsageProvisioned, Tenant: account1, Function: "hello", Alias: "live", Key: "AK", Tags: f.Tags, Start: time.Now(), Quantity: 1000,
		})
		if got := w.gate.Exhausted(f); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
