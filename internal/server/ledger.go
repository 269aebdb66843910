package server

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/ledger"
	"github.com/millicent-run/millicent/internal/meter"
)

// countWait is how long an answer about usage waits for the latest of it.
const countWait = 2 * time.Second

// openLedger opens what sums usage up, and keeps it up with the records.
func (s *server) openLedger(context.Context) (err error) {
	if s.meter == nil {
		return nil
	}
	s.ledger, err = ledger.Open(ledger.Config{
		Dir: filepath.Join(s.cfg.Data, "ledger"), Books: s.books, Source: groupsOf(s.meter), Now: time.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // until the server stops
		defer close(done)
		s.ledger.Follow(ctx)
	}()
	s.built.push("usage sums", func(context.Context) error {
		cancel()
		<-done
		return s.ledger.Close()
	})
	return nil
}

// groupsOf returns the groups of a meter as a Source: those that there are.
func groupsOf(m *meter.Meter) ledger.Source {
	enough := errors.New("enough")
	return func(ctx context.Context, after uint64, each func(ledger.Group) error) error {
		head := m.Head().Seq
		if after >= head {
			return nil
		}
		err := m.Groups(ctx, after, func(g meter.Group) error {
			if err := each(ledger.Group{Seq: g.Seq, Hash: g.Hash, Records: g.Records}); err != nil {
				return err
			}
			if g.Seq >= head {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			return nil
		}
		return err
	}
}

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
	err := u.s.meter.Durable(wait)
	if err == nil {
		err = u.s.ledger.CatchUp(wait)
	}
	if err != nil && ctx.Err() == nil {
		u.s.log.Warn("usage is told without the latest", "error", err)
	}
	return u.s.ledger.Series(ctx, q)
}
