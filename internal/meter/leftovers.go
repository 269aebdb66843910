package meter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millicent-run/millicent/internal/durable"
)

// What a journal has beyond the ledger is brought into it when a Meter is
// opened. The numbers of records say which those are: they follow those in the
// ledger, as long as none is missing in between. Where a power cut took some of
// the journal, those after the gap get the numbers that are next. So that a
// second crash, in the midst of that, doubles none and loses none, they are
// first written to a file of their own, with these numbers: as long as that is
// there, the journal is not looked at.

const leftoversFile = "leftovers"

// kept returns the records that were journalled, in the order of numbers.
func (m *Meter) kept() (all []journalled, err error) {
	if m.journal, all, err = openJournal(m.cfg.Dir); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(m.cfg.Dir, leftoversFile))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	left, err := readJournal(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", leftoversFile, err)
	}
	return left, nil
}

// recoverJournal appends what the journal has beyond the chain's end, and begins the
// journal anew.
func (m *Meter) recoverJournal(ctx context.Context) error {
	kept, err := m.kept()
	if err != nil {
		return err
	}
	left, missing, err := m.leftovers(kept)
	if err != nil {
		return err
	}
	if missing {
		if err := m.keepLeftovers(left); err != nil {
			return err
		}
	}
	if err := m.publish(ctx, left); err != nil {
		return err
	}
	if err := m.reached("published"); err != nil {
		return err
	}
	if err := m.journal.reset(m.head.Records + 1); err != nil {
		return err
	}
	if err := m.reached("reset"); err != nil {
		return err
	}
	err = os.Remove(filepath.Join(m.cfg.Dir, leftoversFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(m.cfg.Dir)) // it must not come back
}

// leftovers returns the records of a journal that are not in the ledger, with
// the numbers that are next there; missing says that these are not those that
// they had.
func (m *Meter) leftovers(kept []journalled) (left *batch, missing bool, err error) {
	left = &batch{}
	next, number := m.head.Records+1, m.head.Records+1
	for _, k := range kept {
		if k.number < next {
			continue
		}
		if k.number > next {
			missing = true
			m.cfg.Log.Error("usage records are missing from the journal", "records", k.number-next, "after", next-1)
		}
		rec, err := decodeRecord(k.record)
		if err != nil {
			return nil, false, fmt.Errorf("record %d of the journal: %w", k.number, err)
		}
		next = k.number + 1
		left.add(&rec, append(appendFrame(left.buf, number), k.record...))
		number++
	}
	if n := len(left.ends); n > 0 {
		m.cfg.Log.Info("usage records of a server that was killed are brought into the ledger", "records", n)
	}
	return left, missing, nil
}

// keepLeftovers writes records to their file, which is durable when it returns.
func (m *Meter) keepLeftovers(left *batch) error {
	content := appendJournalHead(nil, m.head.Records+1)
	for i := range left.ends {
		begin := len(content)
		content = seal(append(appendFrame(content, m.head.Records+1+uint64(i)), left.alone(i)...), begin)
		content = content[:len(content)-frameEnd]
	}
	if err := durable.WriteFile(filepath.Join(m.cfg.Dir, leftoversFile), content, 0o600); err != nil {
		return err
	}
	return m.reached("kept")
}

// reached is where tests have the process killed.
func (m *Meter) reached(point string) error {
	if m.cfg.kill == nil {
		return nil
	}
	return m.cfg.kill(point)
}
