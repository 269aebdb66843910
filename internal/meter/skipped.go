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

// Skip has the damaged groups from one to another left out from now on, and
// returns them: Groups gives them without records. It is remembered, and logged
// at each start. Groups that are as they were written are not left out; where
// there are no others the error has CodeInvalid.
func (m *Meter) Skip(ctx context.Context, from, to uint64) (damaged []uint64, err error) {
	if end := m.Head().Seq; from == 0 || to < from || from > end || to > end {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The ledger has groups 1 to %d.", end)
	}
	first, err := m.First(ctx)
	if err != nil {
		return nil, err
	}
	var found []skipped
	now := m.cfg.Now().UTC().Truncate(time.Second)
	for seq := max(from, first); seq <= to; seq++ { // those before were removed by retention
		problem, err := m.problemOf(ctx, seq)
		if err != nil {
			return nil, err
		}
		if problem == "" {
			continue
		}
		damaged = append(damaged, seq)
		if !m.isSkipped(seq) {
			found = append(found, skipped{seq, now, problem})
		}
	}
	switch {
	case len(damaged) == 0 && from == to:
		return nil, millicent.Errorf(millicent.CodeInvalid, "The group %d is not damaged.", from)
	case len(damaged) == 0:
		return nil, millicent.Errorf(millicent.CodeInvalid, "None of the groups %d to %d is damaged.", from, to)
	}
	return damaged, m.leaveOut(found)
}

// problemOf returns what is wrong with a group; "" where nothing is.
func (m *Meter) problemOf(ctx context.Context, seq uint64) (string, error) {
	message, err := m.log.Read(ctx, seq)
	if errors.Is(err, packs.ErrNoPack) {
		return "it is missing", nil
	}
	if err != nil {
		return "", err
	}
	g, err := decodeGroup(message)
	switch {
	case err != nil:
		return err.Error(), nil
	case g.seq != seq:
		return errPlace.Error(), nil
	}
	return "", nil
}

// leaveOut remembers groups that are left out.
func (m *Meter) leaveOut(found []skipped) error {
	if len(found) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(m.skipped[:len(m.skipped):len(m.skipped)], found...)
	content, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = durable.WriteFile(filepath.Join(m.cfg.Dir, skippedFile), append(content, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("skip groups of the ledger: %w", err)
	}
	m.skipped = all
	for _, s := range found {
		m.cfg.Log.Warn("a damaged group of the ledger is left out of all sums from now on", "group", s.Group, "problem", s.Problem)
	}
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
