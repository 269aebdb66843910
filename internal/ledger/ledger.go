package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// A followed stream is looked at every so often, and what was counted is written
// to the file at one look of many: a transaction costs as much as to count
// thousands of records. Who asks has it written first, by CatchUp.
const (
	every  = 200 * time.Millisecond
	writes = 50
)

// A Group is some records of the stream that became durable together.
type Group struct {
	Seq     uint64 // from 1, without gaps
	First   uint64 // number of the first record
	Hash    [32]byte
	Records []millicent.UsageRecord
}

// A Source calls each for the groups of the stream after a number, in order,
// and returns when there are no more for now, or with each's error.
type Source func(ctx context.Context, after uint64, each func(Group) error) error

// Config configures a Ledger; all of it is required.
type Config struct {
	Dir    string // of the file; it is made when it does not exist
	Books  *billing.Books
	Source Source
	First  func(context.Context) (uint64, error) // number of the first group that the stream still has
	Now    func() time.Time
	Log    *slog.Logger
}

// A Ledger is the projection. It may be used concurrently.
type Ledger struct {
	cfg   Config
	index index

	// Queries hold it for reading while they use db, which a rebuild replaces.
	files sync.RWMutex
	db    *sql.DB

	through atomic.Uint64 // at.seq
	places  places

	turn    chan struct{} // has a value while the stream is read, which guards what follows; taken before files
	at      position      // that the file knows
	read    position      // that pending knows, with the file
	checked bool          // at was found in the stream
	pending batch         // what the file does not know yet
	pruned  time.Time     // the day that old sums were removed for
}

// Open opens the projection, which does not read the stream yet. A file that
// cannot be used is replaced by an empty one. Books in another currency than
// those that the file's usage is priced by are an error.
func Open(cfg Config) (*Ledger, error) {
	l := &Ledger{cfg: cfg, index: index{most: maxSeries}, turn: make(chan struct{}, 1)}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the usage file: %w", err)
	}
	err := l.open()
	if damaged(err) || errors.Is(err, errFormat) {
		cfg.Log.Warn("usage file is made again", "reason", err)
		err = l.remake()
	}
	if err != nil {
		return nil, fmt.Errorf("open the usage file: %w", err)
	}
	if err := l.oneCurrency(); err != nil {
		return nil, errors.Join(err, l.db.Close())
	}
	return l, nil
}

// oneCurrency refuses books in another currency than what is in the file: no
// bill or budget can add both up.
func (l *Ledger) oneCurrency() error {
	now := l.cfg.Books.At(l.cfg.Now())
	for id := range l.index.books() {
		if b, ok := l.cfg.Books.Book(id); ok && b.Currency != now.Currency {
			return fmt.Errorf("price book %s is in %s, and usage that is recorded is priced in %s, by %s: one server has one currency",
				now.ID(), now.Currency, b.Currency, id)
		}
	}
	return nil
}

// open opens the file and takes up where it stands.
func (l *Ledger) open() (err error) {
	if l.db, err = openFile(l.cfg.Dir); err != nil {
		return err
	}
	return l.resume()
}

// resume forgets what the file does not know.
func (l *Ledger) resume() (err error) {
	l.pending = batch{}
	l.checked = false
	if l.at, err = positionOf(l.db); err != nil {
		return err
	}
	l.read = l.at
	l.through.Store(l.at.seq)
	written, err := writtenPlaces(l.db)
	if err != nil {
		return err
	}
	l.places.reset(written)
	return l.index.load(l.db)
}

// remake replaces the file by an empty one.
func (l *Ledger) remake() error {
	l.files.Lock()
	defer l.files.Unlock()
	if l.db != nil {
		if err := l.db.Close(); err != nil {
			l.cfg.Log.Warn("usage file not closed", "error", err)
		}
	}
	if err := removeFile(l.cfg.Dir); err != nil {
		return err
	}
	return l.open()
}

// Close closes the file. Nothing may use the Ledger any more.
func (l *Ledger) Close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.files.Lock()
	defer l.files.Unlock()
	return l.db.Close()
}

// Follow keeps the projection up with the stream until ctx ends.
func (l *Ledger) Follow(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for look := 1; ; look++ {
		err := l.advance(ctx, look%writes == 0)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			l.cfg.Log.Error("usage is not counted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// CatchUp counts all groups that the stream has by now. After an error some
// may be counted; it is safe to call it again.
func (l *Ledger) CatchUp(ctx context.Context) error { return l.advance(ctx, true) }

// advance reads what the stream has by now, and writes all of it to the file
// if wanted.
func (l *Ledger) advance(ctx context.Context, write bool) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.advanceInTurn(ctx, write)
}

// Latest counts all groups that the stream has by now, and returns the sums of
// a query of just these, and the number of their last record: what is recorded
// from the next one on is not in them.
func (l *Ledger) Latest(ctx context.Context, q Query) (rows []Row, last uint64, err error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if err := l.advanceInTurn(ctx, true); err != nil {
		return nil, 0, err
	}
	rows, err = l.Series(ctx, q)
	return rows, l.at.records, err
}

// advanceInTurn is advance in one's turn.
func (l *Ledger) advanceInTurn(ctx context.Context, write bool) error {
	err := l.count(ctx)
	if err == nil && write {
		err = l.flush()
	}
	if err == nil {
		return nil
	}
	if damaged(err) {
		l.cfg.Log.Warn("usage file is made again", "reason", err)
		return errors.Join(err, l.remake())
	}
	return errors.Join(err, l.resume())
}

// count counts what the stream has by now. Where that is much, most of it is in
// the file then.
func (l *Ledger) count(ctx context.Context) error {
	if err := l.check(ctx); err != nil {
		return err
	}
	now := l.cfg.Now()
	from := [len(keep)]int64{}
	for s := range keep {
		from[s] = kept(Step(s), now).Unix()
	}
	err := l.cfg.Source(ctx, l.read.seq, func(g Group) error {
		if l.read.seq > 0 && g.Seq != l.read.seq+1 {
			return fmt.Errorf("the stream has group %d after %d", g.Seq, l.read.seq)
		}
		if err := l.gather(&g, from); err != nil {
			return err
		}
		l.read.seq, l.read.hash = g.Seq, g.Hash
		if n := len(g.Records); n > 0 { // none of one that is left out
			l.read.records = g.First + uint64(n) - 1
		}
		if l.pending.records < batchRecords && len(l.pending.sums) < batchBottoms {
			return nil
		}
		return l.flush()
	})
	if err != nil || Day.Floor(now).Equal(l.pruned) {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	return l.prune(ctx, now)
}

// check sees once that the file is of this stream: its last group is in there,
// with the same hash. A file of another is made again. On the way it reads the
// places that the file does not have.
func (l *Ledger) check(ctx context.Context) error {
	if l.checked || l.at.seq == 0 {
		l.checked = true
		return nil
	}
	found := false
	done := errors.New("found")
	err := l.cfg.Source(ctx, min(l.at.seq-1, l.places.last), func(g Group) error {
		if g.Seq < l.at.seq {
			l.places.add(&g)
			return nil
		}
		if found = g.Seq == l.at.seq && g.Hash == l.at.hash; found {
			l.places.add(&g)
		}
		return done
	})
	switch {
	case err != nil && !errors.Is(err, done):
		return err
	case found:
		l.checked = true
		return nil
	}
	l.cfg.Log.Warn("usage file is made again", "reason", "it is of another stream", "group", l.at.seq)
	return l.remake()
}

// gather adds a group to the batch.
func (l *Ledger) gather(g *Group, from [len(keep)]int64) error {
	var before *millicent.UsageRecord
	var book *billing.Book
	var id int64 // of the series of both
	for i := range g.Records {
		rec := &g.Records[i]
		b := book
		if before == nil || rec.PriceBook == "" || rec.PriceBook != before.PriceBook {
			b = l.cfg.Books.Of(rec)
		}
		if b == nil {
			return fmt.Errorf("price book %.60q of group %d is not known: `millicent up --prices FILE` makes it so", rec.PriceBook, g.Seq)
		}
		if before == nil || b != book || !alike(before, rec) {
			id = l.index.id(seriesOf(rec, b.ID()))
		}
		before, book = rec, b
		charge := b.Price(rec)
		sums := sumsOf(rec, &charge)
		l.pending.add(bottomOf(id, rec.Start, from), &sums)
	}
	l.places.add(g)
	l.pending.records += len(g.Records)
	return nil
}

// Through returns the number of the last group that is counted.
func (l *Ledger) Through() uint64 { return l.through.Load() }
