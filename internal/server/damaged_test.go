package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/meter"
)

// Who asks for usage beyond a damaged group is told which one it is and what
// can be done, and gets no bill that is less than it should be.
func TestDamagedLedgerIsTold(t *testing.T) {
	books, err := billing.NewBooks([]*billing.Book{billing.Default()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	damage := fmt.Errorf("pack 42: %w: group 42: it is missing. `millicent ledger skip 42`", meter.ErrDamaged)
	s := &server{log: slog.New(slog.DiscardHandler)}
	s.ledger, err = ledger.Open(ledger.Config{
		Dir: t.TempDir(), Books: books, Now: time.Now, Log: s.log,
		Source: func(context.Context, uint64, func(ledger.Group) error) error { return damage },
		First:  func(context.Context) (uint64, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.ledger.Close()
	s.latest = rounds{do: s.ledger.CatchUp, most: time.Second}
	_, err = latestUsage{s}.Series(t.Context(), ledger.Query{To: time.Now()})
	if millicent.ErrorCode(err) != millicent.CodeInternal || !strings.Contains(err.Error(), "group 42: it is missing") || !strings.Contains(err.Error(), "ledger skip 42") {
		t.Errorf("got %v", err)
	}
}
