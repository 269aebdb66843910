package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

var now = time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)

// A stream is a Source in memory.
type stream struct{ groups []Group }

func (s *stream) append(records ...millicent.UsageRecord) {
	n := uint64(len(s.groups)) + 1
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(fmt.Sprint(records)), n))
	s.groups = append(s.groups, Group{Seq: n, Hash: sum, Records: records})
}

func (s *stream) each(_ context.Context, after uint64, each func(Group) error) error {
	for _, g := range s.groups[min(after, uint64(len(s.groups))):] {
		if err := each(g); err != nil {
			return err
		}
	}
	return nil
}

func first(context.Context) (uint64, error) { return 1, nil }

func testBooks(t testing.TB) *billing.Books {
	t.Helper()
	odd := &billing.Book{Name: "odd", Version: 3, Currency: "USD", From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	for i := range odd.Prices {
		odd.Prices[i] = millicent.Money(1_234_567*i + 891)
	}
	books, err := billing.NewBooks([]*billing.Book{billing.Default(), odd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return books
}

func openLedger(t testing.TB, dir string, source Source) *Ledger {
	t.Helper()
	l, err := Open(Config{
		Dir: dir, Books: testBooks(t), Source: source, First: first, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func catchUp(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// randomRecord is of the last days before now.
func randomRecord(r *rand.Rand, books *billing.Books, n int) millicent.UsageRecord {
	rec := millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: fmt.Sprint(n), Attempt: 1,
		Tenant: fmt.Sprintf("%012d", r.IntN(2)), Function: []string{"a", "b", "c"}[r.IntN(3)],
		Alias: []string{"", "live"}[r.IntN(2)], MemoryMB: []int{128, 1769}[r.IntN(2)], PeakMemoryMB: 20 + r.IntN(100),
		Start:    now.Add(-time.Duration(r.Int64N(int64(40 * 24 * time.Hour)))).Truncate(time.Millisecond),
		Duration: time.Duration(r.IntN(3_000_000)) * time.Microsecond, CPU: time.Duration(r.IntN(1_000_000)) * time.Microsecond,
		In: r.Int64N(1000), Out: r.Int64N(1000), Egress: r.Int64N(1 << 30), Cold: r.IntN(9) == 0, Outcome: millicent.OutcomeSuccess,
	}
	switch r.IntN(12) {
	case 0:
		rec.Outcome = millicent.OutcomeTimeout
	case 1:
		rec.Kind, rec.Quantity = millicent.UsageStorage, r.Int64N(1<<50)
	case 2:
		rec.Kind, rec.Quantity = millicent.UsageQueue, r.Int64N(10)
	}
	if r.IntN(2) == 0 {
		rec.Tags = map[string]string{"team": []string{"x", "y\"'\x00"}[r.IntN(2)], "env": "prod"}
	}
	if rec.Cold {
		rec.Init = time.Duration(r.IntN(500_000)) * time.Microsecond
	}
	rec.Billed = millicent.Usage{Duration: rec.Duration, Init: rec.Init}.Billed()
	rec.PriceBook = books.At(rec.Start).ID()
	return rec
}

// naive answers a query from the records.
func naive(books *billing.Books, records []millicent.UsageRecord, q Query, from, to time.Time) []Row {
	found := map[string]*Row{}
	var order []string
	for i := range records {
		rec := &records[i]
		s := seriesOf(rec, rec.PriceBook)
		if !q.matches(&s) || rec.Start.Before(from) || !rec.Start.Before(to) {
			continue
		}
		row := Row{Names: []string{}}
		if q.Each != nil {
			row.Time = q.Each.Floor(rec.Start)
		}
		for _, d := range q.By {
			row.Names = append(row.Names, d.of(&s))
		}
		charge := books.Of(rec).Price(rec)
		row.Sums = sumsOf(rec, &charge)
		key := row.Time.Format(time.RFC3339) + "\x00" + strings.Join(row.Names, "\x00")
		if there := found[key]; there != nil {
			there.Add(&row.Sums)
			continue
		}
		found[key] = &row
		order = append(order, key)
	}
	slices.Sort(order)
	rows := []Row{}
	for _, key := range order {
		rows = append(rows, *found[key])
	}
	return rows
}

func all[T any](v T) *T { return &v }

// TestSeries holds answers against sums made from the records, while the
// ledger is closed, reopened and made again in between.
func TestSeries(t *testing.T) {
	books := testBooks(t)
	r := rand.New(rand.NewPCG(1, 1))
	s, dir := &stream{}, t.TempDir()
	var records []millicent.UsageRecord
	l := openLedger(t, dir, s.each)
	for round := range 4 {
		for range 30 {
			var group []millicent.UsageRecord
			for range 1 + r.IntN(30) {
				group = append(group, randomRecord(r, books, len(records)))
				records = append(records, group[len(group)-1])
			}
			s.append(group...)
		}
		switch round {
		case 1: // the file knows a part
			l.Close()
			l = openLedger(t, dir, s.each)
		case 2: // it knows nothing
			l.Close()
			if err := os.Remove(filepath.Join(dir, "usage.db")); err != nil {
				t.Fatal(err)
			}
			l = openLedger(t, dir, s.each)
		}
		catchUp(t, l)
		catchUp(t, l) // has nothing to count
	}
	if got := l.Through(); got != uint64(len(s.groups)) {
		t.Errorf("counted up to group %d of %d", got, len(s.groups))
	}
	from, to := now.Add(-41*24*time.Hour), now.Add(time.Minute)
	days := func(n int) time.Time { return now.Add(-time.Duration(n) * 24 * time.Hour) }
	for name, c := range map[string]struct {
		q        Query
		from, to time.Time // as rounded; zero as in the query
	}{
		"all":                {Query{From: from, To: to}, Hour.Floor(from), to},
		"month":              {Query{Tenant: "000000000001", From: Month.Floor(now), To: Month.Next(Month.Floor(now))}, time.Time{}, time.Time{}},
		"by function":        {Query{From: from, To: to, By: []Dimension{ByFunction, ByBook}}, Hour.Floor(from), to},
		"by tag":             {Query{From: from, To: to, By: []Dimension{"tag:team", ByTenant}}, Hour.Floor(from), to},
		"by tags and memory": {Query{From: from, To: to, By: []Dimension{ByTags, ByMemory, ByAlias, ByKey}}, Hour.Floor(from), to},
		"of a tag":           {Query{From: from, To: to, Tag: "team", TagValue: "y\"'\x00"}, Hour.Floor(from), to},
		"minutes":            {Query{From: days(2), To: to, Each: all(Minute), Function: "a"}, Minute.Floor(days(2)), to},
		"hours":              {Query{From: days(30), To: days(4), Each: all(Hour), By: []Dimension{ByTenant}}, Hour.Floor(days(30)), Hour.Next(Hour.Floor(days(4)))},
		"days":               {Query{From: from, To: to, Each: all(Day), Alias: "live"}, Day.Floor(from), to},
		"months":             {Query{From: from, To: to, Each: all(Month)}, Month.Floor(from), to},
		"a range of minutes": {Query{From: days(2), To: days(1)}, Minute.Floor(days(2)), Minute.Next(Minute.Floor(days(1)))},
		"an hour, long ago":  {Query{From: days(20), To: days(20).Add(time.Second)}, Hour.Floor(days(20)), Hour.Next(Hour.Floor(days(20)))},
		"nothing":            {Query{From: to, To: from}, to, from},
		"nobody":             {Query{Tenant: "x", From: from, To: to}, from, to},
		"from the beginning": {Query{To: to, By: []Dimension{ByTenant}}, time.Time{}, to},
	} {
		if c.from.IsZero() {
			c.from = c.q.From
		}
		if c.to.IsZero() {
			c.to = c.q.To
		}
		got, err := l.Series(t.Context(), c.q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(naive(books, records, c.q, c.from, c.to), got); diff != "" {
			t.Errorf("%s: (-records +ledger)\n%.2000s", name, diff)
		}
	}
}

// TestAnotherStream: a file of another stream, or one that is ahead of the
// stream after that lost its end, does not add to what it has.
func TestAnotherStream(t *testing.T) {
	books, r := testBooks(t), rand.New(rand.NewPCG(2, 2))
	for name, change := range map[string]func(*stream){
		"another":  func(s *stream) { *s = stream{}; s.append(randomRecord(r, books, 7)) },
		"shorter":  func(s *stream) { s.groups = s.groups[:2] },
		"reworked": func(s *stream) { s.groups[4].Hash[0]++ },
	} {
		s, dir := &stream{}, t.TempDir()
		for n := range 5 {
			s.append(randomRecord(r, books, n))
		}
		l := openLedger(t, dir, s.each)
		catchUp(t, l)
		l.Close()
		change(s)
		l = openLedger(t, dir, s.each)
		catchUp(t, l)
		rows, err := l.Series(t.Context(), Query{To: now.Add(time.Hour)})
		if err != nil || len(rows) != 1 || rows[0].Records != int64(len(s.groups)) {
			t.Errorf("%s: got %v, %v, want %d records", name, rows, err, len(s.groups))
		}
	}
}

// TestDamagedFile: what is no database is replaced.
func TestDamagedFile(t *testing.T) {
	s, dir := &stream{}, t.TempDir()
	s.append(randomRecord(rand.New(rand.NewPCG(3, 3)), testBooks(t), 1))
	for _, content := range []string{"no database at all, but long enough to be looked at: " + strings.Repeat("x", 4096), ""} {
		if err := os.WriteFile(filepath.Join(dir, "usage.db"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		l := openLedger(t, dir, s.each)
		catchUp(t, l)
		if got := l.Through(); got != 1 {
			t.Errorf("counted up to group %d", got)
		}
		l.Close()
	}
}

func TestGap(t *testing.T) {
	s := &stream{}
	r := rand.New(rand.NewPCG(4, 4))
	for n := range 3 {
		s.append(randomRecord(r, testBooks(t), n))
	}
	s.groups[2].Seq = 4
	l := openLedger(t, t.TempDir(), s.each)
	if err := l.CatchUp(t.Context()); err == nil || !strings.Contains(err.Error(), "group 4 after 2") {
		t.Errorf("got %v", err)
	}
	s.groups[2].Seq = 3
	catchUp(t, l)
	rows, err := l.Series(t.Context(), Query{To: now.Add(time.Hour)})
	if err != nil || len(rows) != 1 || rows[0].Records != 3 {
		t.Errorf("got %v, %v", rows, err)
	}
}

// TestEmptyGroup: a group that is left out is passed, and the records after it
// have their numbers.
func TestEmptyGroup(t *testing.T) {
	s := &stream{}
	r := rand.New(rand.NewPCG(4, 5))
	for n := range 3 {
		s.append(randomRecord(r, testBooks(t), n))
		s.groups[n].First = uint64(n) + 1
	}
	s.groups[1].Records = nil
	l := openLedger(t, t.TempDir(), s.each)
	rows, last, err := l.Latest(t.Context(), Query{To: now.Add(time.Hour)})
	if err != nil || len(rows) != 1 || rows[0].Records != 2 || last != 3 {
		t.Errorf("got %v up to record %d, %v", rows, last, err)
	}
	s.groups[2].Records = nil
	l = openLedger(t, t.TempDir(), s.each)
	if _, last, err = l.Latest(t.Context(), Query{To: now.Add(time.Hour)}); err != nil || last != 1 {
		t.Errorf("up to record %d, %v", last, err)
	}
}

// TestUnknownBook: what cannot be priced is not counted for nothing.
func TestUnknownBook(t *testing.T) {
	s := &stream{}
	rec := randomRecord(rand.New(rand.NewPCG(5, 5)), testBooks(t), 1)
	rec.PriceBook = "lost@7"
	s.append(rec)
	l := openLedger(t, t.TempDir(), s.each)
	if err := l.CatchUp(t.Context()); err == nil || !strings.Contains(err.Error(), `"lost@7"`) {
		t.Errorf("got %v", err)
	}
}

// TestTooManySeries: a tenant that makes ever more series has no more rows for
// it, and nothing of its usage is lost.
// Usage in dollars is not added up with usage in euros.
func TestOneCurrency(t *testing.T) {
	dir := t.TempDir()
	s := &stream{}
	s.append(millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: "a", Tenant: "000000000000", Function: "fn", Start: now, MemoryMB: 128, PriceBook: billing.Default().ID(),
	})
	l := openLedger(t, dir, s.each)
	catchUp(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	euros, err := billing.NewBooks([]*billing.Book{{Name: "euros", Version: 1, Currency: "EUR"}}, []*billing.Book{billing.Default()})
	if err != nil {
		t.Fatal(err)
	}
	open := func(dir string) error {
		l, err := Open(Config{Dir: dir, Books: euros, Source: s.each, First: first, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return l.Close()
	}
	if err := open(dir); err == nil || !strings.Contains(err.Error(), "priced in USD, by default@1") {
		t.Errorf("with usage in dollars: %v", err)
	}
	if err := open(t.TempDir()); err != nil {
		t.Errorf("without usage: %v", err)
	}
	openLedger(t, dir, s.each) // in dollars again
}

func TestTooManySeries(t *testing.T) {
	s := &stream{}
	rec := randomRecord(rand.New(rand.NewPCG(6, 6)), testBooks(t), 1)
	rec.Tags = nil
	var many []millicent.UsageRecord
	const most = 50
	for n := range most + 30 {
		rec.Alias = fmt.Sprint("a", n)
		many = append(many, rec)
	}
	s.append(many...)
	other := rec
	other.Tenant, other.Alias = "000000000009", "b"
	s.append(other)
	l := openLedger(t, t.TempDir(), s.each)
	l.index.most = most
	catchUp(t, l)
	rows, err := l.Series(t.Context(), Query{To: now.Add(time.Hour), By: []Dimension{ByTenant, ByFunction}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, row := range rows {
		got[row.Names[0]+" "+row.Names[1]] = row.Records
	}
	want := map[string]int64{rec.Tenant + " " + rec.Function: most, rec.Tenant + " " + Other: 30, "000000000009 " + rec.Function: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for alias, want := range map[string]int64{"": most + 30, "a3": 1 + 30, "a79": 30} {
		rows, err := l.Series(t.Context(), Query{
			Tenant: rec.Tenant, Function: rec.Function, Alias: alias, WithOther: true, To: now.Add(time.Hour),
		})
		if err != nil || len(rows) != 1 || rows[0].Records != want {
			t.Errorf("of alias %q and what is not told apart: %v, %v; want %d records", alias, rows, err, want)
		}
	}
}

// TestPrune: of the series and of its tenant, minutes and hours go, days stay.
func TestPrune(t *testing.T) {
	s := &stream{}
	rec := randomRecord(rand.New(rand.NewPCG(7, 7)), testBooks(t), 1)
	rec.Start = now.Add(-time.Hour)
	s.append(rec)
	dir, later := t.TempDir(), now
	l := openLedger(t, dir, s.each)
	l.cfg.Now = func() time.Time { return later }
	count := func() (n [len(tables)]int) {
		catchUp(t, l)
		for i, table := range tables {
			if err := l.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n[i]); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if got := count(); got != [...]int{2, 2, 2, 2} {
		t.Errorf("now: got %v", got)
	}
	later = now.Add(4 * 24 * time.Hour)
	if got := count(); got != [...]int{0, 2, 2, 2} {
		t.Errorf("after 4 days: got %v", got)
	}
	later = now.Add(401 * 24 * time.Hour)
	if got := count(); got != [...]int{0, 0, 2, 2} {
		t.Errorf("after 401 days: got %v", got)
	}
}
