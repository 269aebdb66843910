package invoke

import "github.com/millicent-run/millicent"

// usage returns the record of an invocation that ended with a result. Its names
// are the function's own: the same words in the same places as in other records of
// it, which costs those less who count them later.
func usage(inv *millicent.Invocation, f *millicent.Function, res *millicent.Result, book string) *millicent.UsageRecord {
	u := &res.Usage
	rec := &millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: inv.ID, Attempt: max(1, inv.Attempt),
		Tenant: f.Tenant, Function: f.Name, Version: res.Version, Key: inv.Key, Tags: f.Tags,
		Root: inv.Root, Parent: inv.Parent,
		Start: u.Start, Duration: u.Duration, Init: u.Init + u.RestoreBilled, Billed: u.Billed(),
		MemoryMB: u.MemoryMB, PeakMemoryMB: u.PeakMemoryMB, CPU: u.CPU,
		In: int64(len(inv.Event)), Out: int64(len(res.Payload)) + u.Streamed, Egress: u.Egress, Fuel: u.Fuel,
		Cold: u.Cold, Outcome: res.Outcome(), PriceBook: book,
	}
	if a, ok := f.Aliases[inv.Qualifier]; ok {
		rec.Alias = a.Name
	}
	return rec
}

// unlimited is a Budget that lets everything run.
type unlimited struct{}

func (unlimited) Reserve(*millicent.Invocation, *millicent.Function, *millicent.Version) (func(*millicent.UsageRecord), error) {
	return free, nil
}

func (unlimited) Affords(*millicent.Invocation, *millicent.Function, *millicent.Version) error {
	return nil
}

func free(*millicent.UsageRecord) {}
