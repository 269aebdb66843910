package invoke

import "github.com/millicent-run/millicent"

// usage returns the record of an invocation that reached the function; nil for
// one that did not.
func usage(inv *millicent.Invocation, f *millicent.Function, res *millicent.Result) *millicent.UsageRecord {
	if res == nil {
		return nil
	}
	rec := &millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: inv.ID, Attempt: 1,
		Tenant: inv.Tenant, Function: inv.Function, Version: res.Version, Key: inv.Key, Tags: f.Tags, Root: inv.Root,
		Start: res.Usage.Start, Duration: res.Usage.Duration, Init: res.Usage.Init + res.Usage.RestoreBilled, Billed: res.Usage.Billed(),
		MemoryMB: res.Usage.MemoryMB, PeakMemoryMB: res.Usage.PeakMemoryMB, Cold: res.Usage.Cold,
	}
	if _, ok := f.Aliases[inv.Qualifier]; ok {
		rec.Alias = inv.Qualifier
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
