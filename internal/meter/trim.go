package meter

import (
	"context"
	"sort"
	"time"
)

// DefaultKeep is how long records are kept: a year, and time to bill it.
const DefaultKeep = 400 * 24 * time.Hour

const (
	// trimInterval is how often a ledger that is written is looked over.
	trimInterval = time.Hour

	// A ledger that has grown to fullParts of spareParts of its bound gives up
	// the oldest of these parts: it must not come to refuse what is used.
	fullParts, spareParts = 15, 16
)

// trim removes groups at the front: those older than records are kept, and the
// oldest where the disk space for the ledger runs out. The last group stays.
func (m *Meter) trim(ctx context.Context) {
	now := m.cfg.Now()
	if now.Sub(m.trimmed) < trimInterval {
		return
	}
	m.trimmed = now
	first, bytes, err := m.log.Extent(ctx)
	if err != nil {
		m.cfg.Log.Warn("the ledger could not be looked over", "error", err)
		return
	}
	below := m.olderThan(ctx, first, now.Add(-m.cfg.Keep))
	if bytes > m.cfg.maxBytes/spareParts*fullParts {
		below = max(below, first+(m.Head().Seq-first)/spareParts)
		m.cfg.Log.Warn("the ledger is as large as it may be: its oldest records are removed before their time", "bytes", bytes)
	}
	if below <= first {
		return
	}
	if err := m.log.Cut(ctx, below); err != nil {
		m.cfg.Log.Warn("old records of the ledger could not be removed", "error", err)
		return
	}
	m.cfg.Log.Info("old records of the ledger were removed", "groups", below-first, "first", below)
}

// olderThan returns the first group that was not made before a time, or the
// last one.
func (m *Meter) olderThan(ctx context.Context, first uint64, limit time.Time) uint64 {
	n := int(m.Head().Seq - min(first, m.Head().Seq))
	return first + uint64(sort.Search(n, func(i int) bool {
		at, err := m.timeOf(ctx, first+uint64(i))
		return err != nil || !at.Before(limit) // what can't be read stays, for verification to tell
	}))
}
