package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"
)

// How much is written to the file at a time.
const (
	batchRecords = 200_000
	batchRows    = 50_000
)

// A cell is a series in a time of a step.
type cell struct {
	series int64
	time   int64 // when it began, in Unix seconds
}

// A batch is sums that the file does not have yet.
type batch struct {
	records int
	cells   [len(tables)]map[cell]*Sums
}

// add adds a record's sums. Of the shortest steps only what is from the given
// times on is kept.
func (b *batch) add(series int64, start time.Time, sums *Sums, from [len(keep)]int64) {
	for s := range Step(len(tables)) {
		t := s.Floor(start).Unix()
		if int(s) < len(from) && t < from[s] {
			continue
		}
		if b.cells[s] == nil {
			b.cells[s] = map[cell]*Sums{}
		}
		c := cell{series, t}
		if there := b.cells[s][c]; there != nil {
			there.Add(sums)
			continue
		}
		first := *sums
		b.cells[s][c] = &first
	}
}

func (b *batch) rows() int {
	n := 0
	for _, cells := range b.cells {
		n += len(cells)
	}
	return n
}

// flush writes the batch, and that the file now knows all up to a group.
func (l *Ledger) flush(at position) error {
	if at == l.at {
		return nil
	}
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says that there is none after a commit
	if err := l.writeSeries(tx); err != nil {
		return err
	}
	for s, cells := range l.pending.cells {
		if err := write(tx, tables[s], cells); err != nil {
			return err
		}
	}
	placed, err := l.places.write(tx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO facts VALUES ('position', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", at.String()); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	placed()
	l.at, l.pending = at, batch{}
	l.through.Store(at.seq)
	return nil
}

// writeSeries writes the series that the file does not have.
func (l *Ledger) writeSeries(tx *sql.Tx) error {
	var last int64
	if err := tx.QueryRow("SELECT coalesce(max(id), 0) FROM series").Scan(&last); err != nil {
		return err
	}
	list, _ := l.index.since(last + 1)
	for i, s := range list {
		_, err := tx.Exec("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			last+1+int64(i), s.tenant, s.function, s.alias, s.key, s.memoryMB, s.tags, s.book)
		if err != nil {
			return err
		}
	}
	return nil
}

func write(tx *sql.Tx, table string, cells map[cell]*Sums) error {
	if len(cells) == 0 {
		return nil
	}
	statement, err := tx.Prepare(upsert(table))
	if err != nil {
		return err
	}
	defer statement.Close()
	// In the order of the table: what is next to each other is written together.
	order := slices.SortedFunc(maps.Keys(cells), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.series, b.series), cmp.Compare(a.time, b.time))
	})
	for _, c := range order {
		numbers := cells[c].numbers()
		if _, err := statement.Exec(append([]any{c.series, c.time}, numbers.values()...)...); err != nil {
			return err
		}
	}
	return nil
}

// prune removes sums by minute and hour that are old, and the places of groups
// that are gone.
func (l *Ledger) prune(ctx context.Context, now time.Time) error {
	first, err := l.cfg.First(ctx)
	if err != nil {
		return err
	}
	if _, err := l.db.Exec("DELETE FROM places WHERE last < ?", int64(first)); err != nil {
		return err
	}
	for s := range keep {
		if _, err := l.db.Exec("DELETE FROM "+tables[s]+" WHERE time < ?", kept(Step(s), now).Unix()); err != nil {
			return err
		}
	}
	l.pruned = Day.Floor(now)
	return nil
}
