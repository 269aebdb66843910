package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// TestScopes: an invocation is held against every budget that covers it, and
// against no other; where one refuses, none holds anything.
func TestScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 128, time.Second)
		f.Tags = map[string]string{"team": "red"}
		f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: millicent.Latest}}
		w.function("other", 128, time.Second)
		for _, scope := range []millicent.BudgetScope{
			{}, {Function: "hello"}, {Function: "hello", Alias: "live"}, {Tag: "team", Value: "red"}, {Tag: "team", Value: "blue"},
			{Tag: "team"}, {Key: "K"}, {Key: "L"}, {Function: "other"}, {Function: "other", Alias: "live"},
		} {
			w.set(millicent.Budget{Scope: scope, Per: millicent.PerDay, Amount: millicent.Unit, Stop: true})
		}
		w.set(millicent.Budget{Tenant: "222222222222", Per: millicent.PerDay, Amount: millicent.Unit})
		if _, err := w.invoke(&millicent.Invocation{Tenant: account1, Function: "hello", Qualifier: "live", Key: "K"}); err != nil {
			t.Fatal(err)
		}
		spentBy := func() []string {
			var ids []string
			for _, s := range w.gate.Statuses("") {
				if s.Spent == perRequest {
					ids = append(ids, s.ID)
				}
				if s.Reserved != 0 || s.Running != 0 {
					t.Errorf("%s still holds %v", s.ID, s.Reserved)
				}
			}
			return ids
		}
		want := []string{"alias/hello:live/day", "function/hello/day", "key/K/day", "tag/team=red/day", "tenant/day"}
		if diff := cmp.Diff(want, spentBy()); diff != "" {
			t.Errorf("charged (-want +got): %s", diff)
		}
		w.set(millicent.Budget{Scope: millicent.BudgetScope{Key: "K"}, Per: millicent.PerDay, Amount: 1, Stop: true})
		_, err := w.invoke(&millicent.Invocation{Tenant: account1, Function: "hello", Key: "K"})
		wantRefusal(t, err, "key/K/day")
		if diff := cmp.Diff(want, spentBy()); diff != "" {
			t.Errorf("charged after a refusal (-want +got): %s", diff)
		}
	})
}

// TestCount: what was used without being invoked counts for the tenant, and so
// does what began before there was a budget.
func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.function("hello", 128, time.Minute)
		w.gate.Count(&millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Quantity: 7, Start: time.Now()})
		done := make(chan millicent.Money)
		go func() {
			cost, err := w.call("hello", 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			done <- cost
		}()
		time.Sleep(time.Second)
		w.set(millicent.Budget{Per: millicent.InAll, Amount: millicent.Unit, Stop: true})
		w.gate.Count(&millicent.UsageRecord{Kind: millicent.UsageStorage, Tenant: account1, Quantity: 5, Start: time.Now()})
		w.gate.Count(&millicent.UsageRecord{Kind: millicent.UsageStorage, Tenant: "222222222222", Quantity: 5, Start: time.Now()})
		cost := <-done
		if s := w.status(t); s.Spent != cost+5 {
			t.Errorf("%v is spent, want %v", s.Spent, cost+5)
		}
	})
}

// TestAffords: a look at what would be refused changes nothing.
func TestAffords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 128, time.Second)
		inv := &millicent.Invocation{Tenant: account1, Function: "hello"}
		if err := w.Affords(t.Context(), inv); err != nil {
			t.Error(err)
		}
		w.set(millicent.Budget{Per: millicent.PerDay, Amount: most(f.Draft), Stop: true})
		if err := w.Affords(t.Context(), inv); err != nil {
			t.Error(err)
		}
		if _, err := w.call("hello", time.Second); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, w.Affords(t.Context(), inv), "tenant/day")
		if s := w.status(t); s.Refused != 0 || s.Reserved != 0 {
			t.Errorf("a look left %+v", s)
		}
	})
}

// TestRedefined: a budget that is changed keeps what is spent and reserved, and
// one that is deleted holds nothing back.
func TestRedefined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 128, time.Minute)
		b := millicent.Budget{Tenant: account1, Per: millicent.PerDay, Amount: most(f.Draft), Stop: true}
		w.set(b)
		done := make(chan error)
		go func() {
			_, err := w.call("hello", time.Minute)
			done <- err
		}()
		time.Sleep(time.Second)
		b.Amount *= 2
		b.Amount--
		w.set(b)
		_, err := w.call("hello", 0)
		wantRefusal(t, err, "tenant/day")
		w.gate.drop(&b)
		if _, err := w.call("hello", 0); err != nil {
			t.Error(err)
		}
		w.set(b)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := w.status(t); s.Reserved != 0 || s.Running != 0 || s.Spent != most(f.Draft) {
			t.Errorf("got %+v", s)
		}
	})
}

func BenchmarkReserve(b *testing.B) {
	inv := &millicent.Invocation{Tenant: account1, Function: "hello"}
	f := &millicent.Function{Tenant: account1, Name: "hello"}
	v := &millicent.Version{MemoryMB: 128, Timeout: 3 * time.Second}
	rec := &millicent.UsageRecord{Kind: millicent.UsageInvocation, Tenant: account1, Function: "hello", MemoryMB: 128, Billed: time.Millisecond, Start: time.Now()}
	for name, budgets := range map[string][]millicent.Budget{
		"none": nil,
		"two":  {{Tenant: account1, Per: millicent.PerMonth, Amount: millicent.MaxMoney, Stop: true}, {Tenant: account1, Scope: millicent.BudgetScope{Function: "hello"}, Per: millicent.PerDay, Amount: millicent.MaxMoney, Stop: true}},
	} {
		book := billing.Default()
		g := NewGate(GateConfig{Currency: func() string { return "EUR" }, Most: book.Most, Egress: book.Egress, Price: func(rec *millicent.UsageRecord) millicent.Money {
			c := book.Price(rec)
			return c.Total.Money()
		}, Now: time.Now, News: func(News) {}})
		for i := range budgets {
			from, _ := g.put(&budgets[i], counting)
			g.open(&budgets[i], from, 0, 0, 0)
		}
		run := func(b *testing.B) {
			settle, err := g.Reserve(inv, f, v)
			if err != nil {
				b.Fatal(err)
			}
			settle(rec)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run(b)
			}
		})
		b.Run(name+"/256 callers", func(b *testing.B) {
			b.SetParallelism(128)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					run(b)
				}
			})
		})
	}
}
