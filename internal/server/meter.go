package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/api/native"
	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/meter"
	"github.com/millicent-run/millicent/internal/natsd"
)

// usageDir is the directory of the usage journal in a data directory.
const usageDir = "usage"

// openMeter opens the ledger, and completes it from the journal.
func (s *server) openMeter(ctx context.Context) (err error) {
	if s.cfg.Unmetered {
		s.log.Warn("no usage is recorded")
		return nil
	}
	s.meter, err = meter.Open(ctx, s.js, meter.Config{
		Dir: filepath.Join(s.cfg.Data, usageDir), Keep: time.Duration(s.cfg.KeepUsage) * 24 * time.Hour, Log: s.log,
	})
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

// ledgerAPI is the ledger that the API reads, if there is one.
func (s *server) ledgerAPI() native.Ledger {
	if s.meter == nil {
		return nil // likewise
	}
	return provenLedger{s.meter, s.ledger}
}

// A provenLedger finds receipts where the sums' file knows records to be.
type provenLedger struct {
	*meter.Meter
	places meter.Places
}

// Receipt returns a receipt: see [meter.Meter.Receipt].
func (l provenLedger) Receipt(ctx context.Context, tenant, id string, attempt int) (*meter.Receipt, error) {
	return l.Meter.Receipt(ctx, l.places, tenant, id, attempt)
}

// VerifyLedger verifies the ledger in the data directory of a server that does
// not run: see [meter.VerifyStopped].
func VerifyLedger(ctx context.Context, data string, anchors ...meter.Anchor) (report meter.Report, err error) {
	state := filepath.Join(data, "standalone")
	if _, err := os.Stat(state); err != nil {
		return meter.Report{}, fmt.Errorf("%s is not the data directory of a server: %w", data, err)
	}
	if r, err := meter.CheckFiles(natsd.Blocks(state, meter.Stream)); err != nil || !r.OK {
		return r, err
	}
	nats, err := natsd.Start(state, slog.New(slog.DiscardHandler))
	if err != nil {
		return meter.Report{}, err
	}
	defer func() { err = errors.Join(err, nats.Close()) }()
	conn, err := nats.Connect()
	if err != nil {
		return meter.Report{}, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return meter.Report{}, err
	}
	return meter.VerifyStopped(ctx, js, filepath.Join(data, usageDir), anchors...)
}
