package invoke

import (
	"context"
	"math"

	"github.com/millicent-run/millicent"
)

// Meter keeps what invocations used.
type Meter interface {
	// Ready returns why usage can't be recorded, nil when it can. It does not
	// block.
	Ready() error

	// Record takes a record, whose kind, id and attempt name it, and returns its
	// number in the ledger. It is called before the caller has its answer, and
	// must not wait.
	Record(rec millicent.UsageRecord) (number uint64)

	// RecordOnce is Record for what may run again after a crash: the same
	// record is not kept twice, and has no number the second time. It returns
	// when it is on disk; an error says that it may not be there yet.
	RecordOnce(ctx context.Context, rec millicent.UsageRecord) (number uint64, err error)
}

type unmetered struct{}

func (unmetered) Ready() error                        { return nil }
func (unmetered) Record(millicent.UsageRecord) uint64 { return math.MaxUint64 }
func (unmetered) RecordOnce(context.Context, millicent.UsageRecord) (uint64, error) {
	return math.MaxUint64, nil
}

// meter keeps the record of an invocation that a function has answered, and
// returns it to be counted, nil where it was before. Where no caller waits, it
// is durable before the event's end can be: an error says that it is not.
func (i *Invoker) meter(ctx context.Context, inv *millicent.Invocation, used *millicent.UsageRecord) (*millicent.UsageRecord, error) {
	if inv.Attempt == 0 {
		used.Number = i.cfg.Meter.Record(*used)
		return used, nil
	}
	var err error
	used.Number, err = i.cfg.Meter.RecordOnce(ctx, *used)
	switch {
	case err != nil:
		return used, errStopping(err)
	case used.Number == 0:
		return nil, nil // the ledger has it of an earlier run
	}
	return used, nil
}
