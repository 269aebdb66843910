package server

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/meter"
	"github.com/millicent-run/millicent/internal/telemetry"
)

// countWait is how long an answer about usage waits for the latest of it.
const countWait = 2 * time.Second

// countRest is the least time between two countings for answers: how many ask,
// and how often, makes no more groups in the ledger than that.
const countRest = 100 * time.Millisecond

// openLedger opens the sums of usage, and keeps them up with the records.
func (s *server) openLedger(context.Context) (err error) {
	if s.meter == nil {
		return nil
	}
	s.ledger, err = ledger.Open(ledger.Config{
		Dir: filepath.Join(s.cfg.Data, "ledger"), Books: s.books, Source: s.recorded, First: s.meter.First, Now: time.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.latest = rounds{do: s.count, rest: countRest, most: countWait}
	s.built.push("sums of usage", func(context.Context) error { return s.ledger.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // until the server stops
		defer close(done)
		s.ledger.Follow(ctx)
	}()
	s.built.push("follower of usage", func(context.Context) error { cancel(); <-done; return nil })
	return nil
}

// recorded calls each for the groups of records after a number that are there.
func (s *server) recorded(ctx context.Context, after uint64, each func(ledger.Group) error) error {
	last := s.meter.Head().Seq
	if after >= last {
		return nil
	}
	end := errors.New("the last one")
	err := s.meter.Groups(ctx, after, func(g meter.Group) error {
		err := each(ledger.Group{Seq: g.Seq, First: g.First, Hash: g.Hash, Records: g.Records})
		if err == nil && g.Seq >= last {
			return end
		}
		return err
	})
	if errors.Is(err, end) {
		return nil
	}
	return err
}

// book returns the id of the price book in force.
func (s *server) book() string { return s.books.IDAt(time.Now()) }

// latestUsage answers from the ledger once it has what was recorded before.
type latestUsage struct{ s *server }

// Series returns sums as the ledger does. Where the latest records take long
// to be counted, it answers without them.
func (u latestUsage) Series(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	if u.s.ledger == nil {
		return nil, millicent.Errorf(millicent.CodeNotFound, "This server records no usage.")
	}
	wait, cancel := context.WithTimeout(ctx, countWait)
	defer cancel()
	err := u.s.latest.wait(wait)
	if errors.Is(err, meter.ErrDamaged) {
		return nil, &millicent.Error{Code: millicent.CodeInternal, Message: "Usage is not counted: " + err.Error() + ".", Err: err}
	}
	if err != nil && ctx.Err() == nil {
		u.s.log.Warn("usage is told without the latest", "error", err)
	}
	return u.s.ledger.Series(ctx, q)
}

// count brings all that was recorded before the call into the sums.
func (s *server) count(ctx context.Context) error {
	if err := s.meter.Durable(ctx); err != nil {
		return err
	}
	return s.ledger.CatchUp(ctx)
}

// usageTotals returns what each tenant has used in all, as far as it is in the
// ledger.
func (s *server) usageTotals() []telemetry.Usage {
	ctx, cancel := context.WithTimeout(context.Background(), countWait)
	defer cancel()
	if err := s.ledger.CatchUp(ctx); err != nil {
		s.log.Warn("metrics of usage are told without the latest", "error", err)
	}
	rows, err := s.ledger.Series(ctx, ledger.Query{
		From: time.Unix(0, 0), To: time.Now().AddDate(0, 0, 1), By: []ledger.Dimension{ledger.ByTenant},
	})
	if err != nil {
		s.log.Warn("no metrics of usage", "error", err)
		return nil
	}
	totals := make([]telemetry.Usage, 0, len(rows))
	for _, row := range rows {
		u := telemetry.Usage{Tenant: row.Names[0], Receipts: row.Records, Charged: row.Charged.Float(), Quantities: map[string]int64{}}
		for i, n := range row.Quantities {
			u.Quantities[billing.Item(i).String()] = n
		}
		totals = append(totals, u)
	}
	return totals
}
