// Package meter keeps the ledger of usage: who used what, and when, from which
// bills are made.
//
//	m, err := meter.Open(ctx, js, meter.Config{Dir: dir, Log: log})
//	m.Record(millicent.UsageRecord{Kind: millicent.UsageInvocation, ID: id, …})
//	err = m.Groups(ctx, after, func(g meter.Group) error { … })
//	defer m.Close(ctx)
//
// What it guarantees:
//
//   - What Record has taken is in the ledger once, whenever the process is
//     killed: it was written to the journal first. Where the power fails, what
//     was recorded in the last 50 ms may be lost.
//   - What RecordOnce has returned from is on disk, and there once, also when
//     it happened again because the process was killed just after it.
//   - Record waits neither for the disk nor for the network.
//   - Groups form a chain by their hashes: nothing in the ledger can be changed
//     without changing the hash of its end. Each record is provably a part.
//   - A ledger that can't be written is not passed over: the Meter is not Ready,
//     and nothing should be run.
//
// # How it works
//
//	Record ─► journal (mapped) ─► open batch ─ some 45 ms, or when Durable is called ─► group (one synced message)
//
// Records have numbers, in the order of Record, in the journal and in the
// ledger alike. A group says how many records came before it, so that after a
// crash the journal's records beyond the last group are those that are
// missing, each of them once.
//
// # Locks
//
// Meter.mu alone. Under it a record is encoded and copied to the journal.
package meter
