package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// openSpending opens what a server records and spends with, on a data directory.
func openSpending(t *testing.T, data string) (s *server, end func()) {
	t.Helper()
	s = &server{cfg: Config{Data: data, Account: DefaultAccount, Region: DefaultRegion}, log: slog.New(slog.DiscardHandler), begin: time.Now()}
	for _, dir := range []string{"standalone", usageDir} {
		if err := os.MkdirAll(filepath.Join(data, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []func(context.Context) error{s.startStopped, s.openLedger, s.openBudgets} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s, func() {
		if err := s.built.close(t.Context(), s.log); err != nil {
			t.Error(err)
		}
	}
}

// What is used without an invocation is spent of its tenant's budgets: when it is
// recorded, when it is recorded for a server that was killed, and after a start.
func TestStandingUsageIsSpent(t *testing.T) {
	const perRequest = 400_000 // 10⁻¹² of the default book's currency
	data := t.TempDir()
	s, end := openSpending(t, data)
	operator := millicent.Identity{Tenant: DefaultAccount, Operator: true}
	budget := millicent.Budget{Tenant: DefaultAccount, Per: millicent.InAll, Amount: 100 * perRequest, Stop: true}
	if _, err := s.budgets.Set(t.Context(), operator, budget); err != nil {
		t.Fatal(err)
	}
	want := func(requests millicent.Money) {
		t.Helper()
		all := s.budgets.Statuses(DefaultAccount)
		if len(all) != 1 || all[0].Spent != requests*perRequest {
			t.Errorf("the budgets are %+v, want %v spent", all, requests*perRequest)
		}
	}
	begin := time.Now().Add(-time.Minute)
	rec := standingRecord(millicent.UsageQueue, DefaultAccount, "", "orders", lookName(begin), "life")
	rec.Start, rec.Duration, rec.Quantity, rec.PriceBook = begin, time.Minute, 3, s.book()
	s.recordStanding(rec)
	want(3)
	left := standingState{Format: 1, Life: "before", Last: begin, Seen: begin.Add(time.Second), Requests: []requestsState{{DefaultAccount, "orders", 4}, {DefaultAccount, "bills", 5}}}
	if err := saveStanding(filepath.Join(data, usageDir), left); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is known
		if err := s.restoreStanding(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(12)
	}
	end()
	s, end = openSpending(t, data)
	want(12)
	if err := s.restoreStanding(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(12)
	end()
}
