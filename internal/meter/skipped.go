package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/durable"
	"github.com/millicent-run/millicent/internal/packs"
)

// ErrDamaged is what errors wrap that are about a group which is not as it was
// written.
var ErrDamaged = errors.New("the ledger is damaged")

// A skipped is a damaged group that the operator has had left out: usage is
// counted without its records. Verification goes on to tell of it.
type skipped struct {
	Group   uint64    `json:"group"`
	Time    time.Time `json:"time"`    // when that was decided
	Problem string    `json:"problem"` // what was wrong with the group
}

// skippedFile has them in JSON, by the order in which they were decided.
const skippedFile = "skipped"

// readSkipped takes up which groups are left out.
func (m *Meter) readSkipped() error {
	content, err := os.ReadFile(filepath.Join(m.cfg.Dir, skippedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(content, &m.skipped)
	}
	for _, s := range m.skipped {
		m.cfg.Log.Warn("a damaged group of the ledger is left out of all sums", "group", s.Group, "problem", s.Problem, "since", s.Time)
	}
	return err
}

// isSkipped reports whether a group is left out.
func (m *Meter) isSkipped(seq uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.skipped {
		if s.Group == seq {
			return true
		}
	}
	return false
}

// Skip has a damaged group left out from now on: Groups gives it without
// records. It is remembered, and logged at each start. A group that is as it was
// written is not left out.
func (m *Meter) Skip(ctx context.Context, seq uint64) error {
	problem := "it is missing"
	message, err := m.log.Read(ctx, seq)
	switch {
	case seq == 0 || seq > m.Head().Seq:
		return millicent.Errorf(millicent.CodeInvalid, "The ledger has no group %d.", seq)
	case errors.Is(err, packs.ErrNoPack):
	case err != nil:
		return err
	default:
		g, err := decodeGroup(message)
		if err == nil && g.seq == seq {
			return millicent.Errorf(millicent.CodeInvalid, "The group %d is not damaged.", seq)
		}
		problem = errPlace.Error()
		if err != nil {
			problem = err.Error()
		}
	}
	if m.isSkipped(seq) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(m.skipped[:len(m.skipped):len(m.skipped)], skipped{seq, m.cfg.Now().UTC().Truncate(time.Second), problem})
	content, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = durable.WriteFile(filepath.Join(m.cfg.Dir, skippedFile), append(content, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("skip a group of the ledger: %w", err)
	}
	m.skipped = all
	m.cfg.Log.Warn("a damaged group of the ledger is left out of all sums from now on", "group", seq, "problem", problem)
	return nil
}

// wayOut says of a damage where it is, and what can be done.
func wayOut(seq uint64, err error) error {
	var d *damage
	if errors.As(err, &d) {
		d.group = seq
	}
	return fmt.Errorf("%w: %w. `millicent ledger verify` checks the whole of it; `millicent ledger skip %d` has usage counted without that group's records",
		ErrDamaged, err, seq)
}
