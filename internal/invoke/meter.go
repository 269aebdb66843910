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

	// Durable returns when all that Record has taken is on disk.
	Durable(ctx context.Context) error
}

type unmetered struct{}

func (unmetered) Ready() error                  { return nil }
func (unmetered) Record(millicent.UsageRecord)  {}
func (unmetered) Durable(context.Context) error { return nil }

// meter records what an invocation used that a function has answered. Where no
// caller waits, the record is durable before the event's end can be: an error
// says that it is not.
func (i *Invoker) meter(ctx context.Context, inv *millicent.Invocation, f *millicent.Function, res *millicent.Result) error {
	i.cfg.Meter.Record(usageOf(inv, f, res, i.cfg.Book()))
	if inv.Attempt == 0 {
		return nil
	}
	if err := i.cfg.Meter.Durable(ctx); err != nil {
		return errStopping(err)
	}
	return nil
}

// usageOf returns the record of an invocation that ended with a result.
func usageOf(inv *millicent.Invocation, f *millicent.Function, res *millicent.Result, book string) millicent.UsageRecord {
	u := &res.Usage
	rec := millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: inv.ID, Attempt: max(1, inv.Attempt),
		Tenant: inv.Tenant, Function: inv.Function, Version: res.Version, Key: inv.Key, Tags: f.Tags,
		Root: inv.Root, Parent: inv.Parent,
		Start: u.Start, Duration: u.Duration, Init: u.Init + u.RestoreBilled, Billed: u.Billed(),
		MemoryMB: u.MemoryMB, PeakMemoryMB: u.PeakMemoryMB, CPU: u.CPU,
		In: int64(len(inv.Event)), Out: int64(len(res.Payload)), Egress: u.Egress,
		Cold: u.Cold, Outcome: res.Outcome(), PriceBook: book,
	}
	if q := inv.Qualifier; q != "" && q != millicent.Latest && !millicent.IsNumber(q) {
		rec.Alias = q
	}
	return rec
}
