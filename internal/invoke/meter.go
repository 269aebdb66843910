package invoke

import (
	"context"

	"github.com/millicent-run/millicent"
)

// Meter keeps what invocations used.
type Meter interface {
	// Ready returns why usage can't be recorded, nil when it can. It does not
	// block.
	Ready() error

	// Record takes a record, whose kind, id and attempt name it. It is called
	// before the caller has its answer, and must not wait.
	Record(rec millicent.UsageRecord)

	// RecordOnce is Record for what may run again after a crash: the same
	// record is not kept twice. It returns when it is on disk.
	RecordOnce(ctx context.Context, rec millicent.UsageRecord) error
}

type unmetered struct{}

func (unmetered) Ready() error                                            { return nil }
func (unmetered) Record(millicent.UsageRecord)                            {}
func (unmetered) RecordOnce(context.Context, millicent.UsageRecord) error { return nil }

// meter keeps the record of an invocation that a function has answered. Where
// no caller waits, it is durable before the event's end can be: an error says
// that it is not.
func (i *Invoker) meter(ctx context.Context, inv *millicent.Invocation, used *millicent.UsageRecord) error {
	if inv.Attempt == 0 {
		i.cfg.Meter.Record(*used)
		return nil
	}
	if err := i.cfg.Meter.RecordOnce(ctx, *used); err != nil {
		return errStopping(err)
	}
	return nil
}
