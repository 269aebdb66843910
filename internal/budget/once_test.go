package budget

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

// A busyLedger gives numbers to records, and takes its time.
type busyLedger struct {
	mu   sync.Mutex
	cost []millicent.Money // by number-1
}

// pause lets others run, or not.
func pause() {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func (l *busyLedger) record(cost millicent.Money) (number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cost = append(l.cost, cost)
	return uint64(len(l.cost))
}

func (l *busyLedger) sum() (sum millicent.Money, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.cost {
		sum += c
	}
	return sum, uint64(len(l.cost))
}

func (l *busyLedger) spent(context.Context, string, millicent.BudgetScope, time.Time) (millicent.Money, uint64, error) {
	pause()
	sum, last := l.sum()
	pause()
	return sum, last, nil
}

// TestSetUnderLoad: of budgets that are set while much runs each record counts
// once, whether it is recorded, counted, read or set first.
func TestSetUnderLoad(t *testing.T) {
	st := newState(t)
	log := slog.New(slog.DiscardHandler)
	definitions, err := store.OpenCatalog[millicent.Budget](t.Context(), st.js, "budgets", log)
	if err != nil {
		t.Fatal(err)
	}
	defer definitions.Close()
	states, err := store.OpenCatalog[State](t.Context(), st.js, "budget-states", log)
	if err != nil {
		t.Fatal(err)
	}
	defer states.Close()
	for round := range 20 {
		l := &busyLedger{}
		s, err := Open(t.Context(), Config{
			Definitions: definitions, States: states, Most: most, Price: price, Egress: egressPrice, Currency: func() string { return "EUR" }, Spent: l.spent, Enqueue: st.enqueue,
			Now: func() time.Time { return noon }, Log: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for range 200 {
					rec := millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Function: "hello", Quantity: rand.Int64N(1000), Start: noon}
					rec.Number = l.record(price(&rec))
					pause()
					s.Count(&rec)
				}
			})
		}
		for n := range 3 {
			b := millicent.Budget{Scope: millicent.BudgetScope{Function: []string{"hello", "", "hello"}[n]}, Per: millicent.PerDay, Amount: millicent.Unit, Zone: []string{"", "", "UTC"}[n]}
			mustSet(t, s, someone, b)
			pause()
		}
		work.Wait()
		want, _ := l.sum()
		for _, status := range s.Statuses(account1) {
			if status.Spent != want || status.State != millicent.BudgetOpen {
				t.Fatalf("round %d: %s: %d is spent, and said to be %d (%s)", round, status.ID, want, status.Spent, status.State)
			}
			if err := s.Delete(t.Context(), someone, account1, status.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCountedOnce goes through the orders of what happens to one record.
func TestCountedOnce(t *testing.T) {
	for name, steps := range map[string][]string{
		"counted before the budget is set":         {"record", "count", "set", "read", "open"},
		"recorded before it is set, counted after": {"record", "set", "count", "read", "open"},
		"counted after the ledger is read":         {"record", "set", "read", "count", "open"},
		"counted when all is known":                {"record", "set", "read", "open", "count"},
		"recorded before the ledger is read":       {"set", "record", "read", "open", "count"},
		"recorded after the ledger is read":        {"set", "read", "record", "count", "open"},
		"recorded after, counted when it is known": {"set", "read", "record", "open", "count"},
		"after all": {"set", "read", "open", "record", "count"},
	} {
		g := NewGate(GateConfig{Most: most, Price: price, Egress: egressPrice, Currency: func() string { return "EUR" }, Now: func() time.Time { return noon }, News: func(News) {}})
		l := &busyLedger{}
		b := millicent.Budget{Tenant: account1, Per: millicent.PerDay, Amount: millicent.Unit}
		rec := millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Quantity: 7, Start: noon}
		l.record(100) // of before
		var from time.Time
		var sum millicent.Money
		var last uint64
		for _, step := range steps {
			switch step {
			case "record":
				rec.Number = l.record(7)
			case "count":
				g.Count(&rec)
			case "set":
				from, _ = g.put(&b, counting)
			case "read":
				sum, last = l.sum()
			case "open":
				g.open(&b, from, sum, last, 0)
			}
		}
		if got := g.Statuses(account1)[0].Spent; got != 107 {
			t.Errorf("%s: %d is spent, want 107", name, got)
		}
	}
}
