package server

import (
	"context"
	"path/filepath"

	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/meter"
)

// openMeter opens the ledger, and completes it from the journal.
func (s *server) openMeter(ctx context.Context) (err error) {
	if s.cfg.Unmetered {
		s.log.Warn("no usage is recorded")
		return nil
	}
	s.meter, err = meter.Open(ctx, s.js, meter.Config{Dir: filepath.Join(s.cfg.Data, "usage"), Log: s.log})
	if err != nil {
		return err
	}
	s.built.push("ledger", s.meter.Close)
	return nil
}

// metering is where invocations are recorded.
func (s *server) metering() invoke.Meter {
	if s.meter == nil {
		return nil // and not an interface of a nil Meter
	}
	return s.meter
}
