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
	batchBottoms = 25_000
)

// A cell is a series in a time of a step.
type cell struct {
	series int64
	time   int64 // when it began, in Unix seconds
}

// A bottom is where a record counts first: its series' cell of the shortest step
// that is kept for its time.
type bottom struct {
	step Step
	cell cell
}

// A batch is sums that the file does not have yet.
type batch struct {
	records int
	sums    map[bottom]*Sums

	latest bottom // of the record before: mostly that of the next
	there  *Sums  // its sums; nil before the first
}

// add adds a record's sums.
func (b *batch) add(at bottom, sums *Sums) {
	if b.there == nil || b.latest != at {
		if b.sums == nil {
			b.sums = map[bottom]*Sums{}
		}
		if b.there = b.sums[at]; b.there == nil {
			b.there = &Sums{}
			b.sums[at] = b.there
		}
		b.latest = at
	}
	b.there.Add(sums)
}

// bottomOf returns the bottom of a series' record. Of the shortest steps only what
// is from the given times on is kept.
func bottomOf(series int64, start time.Time, from [len(keep)]int64) bottom {
	for s := range Step(len(from)) {
		if t := s.Floor(start).Unix(); t >= from[s] {
			return bottom{s, cell{series, t}}
		}
	}
	s := Step(len(from))
	return bottom{s, cell{series, s.Floor(start).Unix()}}
}

// cells returns the sums of a batch by steps: those of a bottom are also those
// of the longer steps that it lies in, and of its tenant.
func (b *batch) cells(x *index) (all [len(tables)]map[cell]*Sums) {
	for s := range all {
		all[s] = map[cell]*Sums{}
	}
	for at, sums := range b.sums {
		for _, series := range [...]int64{at.cell.series, x.totalOf(at.cell.series)} {
			for s := at.step; int(s) < len(all); s++ {
				c := cell{series, s.Floor(time.Unix(at.cell.time, 0)).Unix()}
				there := all[s][c]
				if there == nil {
					there = &Sums{}
					all[s][c] = there
				}
				there.Add(sums)
			}
		}
	}
	return all
}

// flush writes the batch, and that the file now knows all up to what was read.
func (l *Ledger) flush() error {
	if l.read == l.at {
		return nil
	}
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says that there is none after a commit
	all := l.pending.cells(&l.index)
	if err := l.writeSeries(tx); err != nil {
		return err
	}
	for s, cells := range all {
		if err := write(tx, tables[s], cells); err != nil {
			return err
		}
	}
	placed, err := l.places.write(tx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO facts VALUES ('position', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", l.read.String()); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	placed()
	l.at, l.pending = l.read, batch{}
	l.through.Store(l.at.seq)
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
