package meter

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/packs"
)

const (
	// onceWindow is how far back before the end of the ledger a Meter that is
	// opened knows the names of records. What runs again because a process was
	// killed had its record just before that: between it and the end of the
	// event lies one write to the queues, for which a machine that is busy beyond
	// measure may take seconds.
	onceWindow = time.Minute

	// onceGroups bounds the groups that are read for that.
	onceGroups = 4096

	// maxNames bounds how many names are known; it is reached twice before the
	// first is forgotten.
	maxNames = 1 << 16
)

// names are those of the latest records that may come again. The zero value is
// empty. A name is forgotten when maxNames others have come after it.
type names struct {
	young, old map[string]struct{}
}

func nameOf(rec *millicent.UsageRecord) string {
	return string(rec.Kind) + " " + rec.ID + " " + strconv.Itoa(rec.Attempt)
}

func (n *names) has(name string) bool {
	_, young := n.young[name]
	_, old := n.old[name]
	return young || old
}

func (n *names) add(name string) {
	if len(n.young) >= maxNames || n.young == nil {
		n.young, n.old = map[string]struct{}{}, n.young
	}
	n.young[name] = struct{}{}
}

// RecordOnce is Record for what may happen again after a crash, such as the run
// of an event whose end was not written yet: a record of the same kind, id and
// attempt is left out. It returns when the record is on disk, some 0.3 ms later:
// it does not wait for a group to fill. What was left out has no number.
func (m *Meter) RecordOnce(ctx context.Context, rec millicent.UsageRecord) (number uint64, err error) {
	if number, err = m.recordNew(rec); err != nil {
		return 0, err
	}
	return number, m.Durable(ctx)
}

// RecordAllOnce is RecordOnce for several records, which become durable together.
func (m *Meter) RecordAllOnce(ctx context.Context, all []millicent.UsageRecord) (numbers []uint64, err error) {
	for _, rec := range all {
		number, err := m.recordNew(rec)
		if err != nil {
			return numbers, err
		}
		numbers = append(numbers, number)
	}
	return numbers, m.Durable(ctx)
}

// recordNew records what has a name that is not known; what is known has no
// number.
func (m *Meter) recordNew(rec millicent.UsageRecord) (number uint64, err error) {
	normalise(&rec)
	m.mu.Lock()
	name := nameOf(&rec)
	known := m.once.has(name)
	if !known {
		m.once.add(name)
	}
	m.mu.Unlock()
	if known {
		return 0, nil
	}
	return m.record(&rec)
}

// remember notes the names of what was recorded last before the Meter was
// opened.
func (m *Meter) remember(ctx context.Context) error {
	end := m.log.Seq()
	if end == 0 {
		return nil
	}
	last, err := m.timeOf(ctx, end)
	if err != nil {
		return err
	}
	begin := uint64(0)
	for n := uint64(64); n < end; n *= 4 {
		at, err := m.timeOf(ctx, end-n)
		if err != nil || n >= onceGroups || at.Before(last.Add(-onceWindow)) {
			begin = end - n // cut off, or long enough ago
			break
		}
	}
	return m.log.Replay(ctx, begin, func(_ uint64, message []byte) error {
		g, err := decodeGroup(message)
		if err != nil {
			return nil // verification tells; here it is of no meaning
		}
		for i := range g.records {
			m.once.add(nameOf(&g.records[i]))
		}
		return nil
	})
}

// timeOf returns when a group was made.
func (m *Meter) timeOf(ctx context.Context, seq uint64) (time.Time, error) {
	message, err := m.log.Read(ctx, seq)
	if errors.Is(err, packs.ErrNoPack) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	r := reader{b: message}
	return r.header().time, r.err
}
