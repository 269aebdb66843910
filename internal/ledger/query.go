package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// maxRows bounds an answer.
const maxRows = 50_000

// A Dimension is something that sums are told apart by: one of the constants,
// or a tag by its key as "tag:KEY".
type Dimension string

// The dimensions.
const (
	ByTenant   Dimension = "tenant"
	ByFunction Dimension = "function"
	ByAlias    Dimension = "alias"
	ByKey      Dimension = "key"
	ByMemory   Dimension = "memory" // MB
	ByTags     Dimension = "tags"   // all of them, as a JSON object; "" for none
	ByBook     Dimension = "book"   // the price book's id

	tagPrefix = "tag:"
)

// DimensionNamed returns the dimension of a name.
func DimensionNamed(name string) (Dimension, bool) {
	switch d := Dimension(name); d {
	case ByTenant, ByFunction, ByAlias, ByKey, ByMemory, ByTags, ByBook:
		return d, true
	case "tag":
		return ByTags, true
	default:
		return d, strings.HasPrefix(name, tagPrefix) && len(name) > len(tagPrefix)
	}
}

func (d Dimension) of(s *series) string {
	switch d {
	case ByTenant:
		return s.tenant
	case ByFunction:
		return s.function
	case ByAlias:
		return s.alias
	case ByKey:
		return s.key
	case ByMemory:
		return strconv.Itoa(s.memoryMB)
	case ByTags:
		return s.tags
	case ByBook:
		return s.book
	}
	key, _ := strings.CutPrefix(string(d), tagPrefix)
	value, _ := s.tag(key)
	return value
}

// A Query selects sums.
type Query struct {
	// Only what is of these; empty is all.
	Tenant, Function, Alias, Key string
	Tag, TagValue                string // has the tag, with this value

	// WithOther adds the tenants' usage that is beyond the bound of series:
	// it may be of any function, alias, key and tag.
	WithOther bool

	// From From until before To, whole minutes. Where minutes are not kept any
	// more it is whole hours, and then days: From is rounded down, To up.
	From, To time.Time

	Each *Step       // sums of each such step apart; nil for one of all time
	By   []Dimension // and of each of these apart
}

func (q *Query) matches(s *series) bool {
	if q.WithOther && s.function == Other {
		return q.Tenant == "" || q.Tenant == s.tenant
	}
	return (q.Tenant == "" || q.Tenant == s.tenant) && (q.Function == "" || q.Function == s.function) &&
		(q.Alias == "" || q.Alias == s.alias) && (q.Key == "" || q.Key == s.key) &&
		(q.Tag == "" || s.has(q.Tag, q.TagValue))
}

// has reports whether a series has a tag with a value.
func (s *series) has(key, value string) bool {
	v, ok := s.tag(key)
	return ok && v == value
}

// ofTenants reports whether the query tells nothing apart but tenants.
func (q *Query) ofTenants() bool {
	for _, d := range q.By {
		if d != ByTenant {
			return false
		}
	}
	return q.Function == "" && q.Alias == "" && q.Key == "" && q.Tag == ""
}

// A Row is some of the sums that were asked for.
type Row struct {
	Time  time.Time // when the step began; zero for all time
	Names []string  // of Query.By, in its order
	Sums
}

// Series returns the sums of a query, by time and then by names. What has no
// usage has no row.
func (l *Ledger) Series(ctx context.Context, q Query) ([]Row, error) {
	for {
		known := l.index.size()
		rows, err := l.series(ctx, &q)
		// Series that came meanwhile may be in the file already: an answer
		// without them would have a part of what was written at once.
		if err != nil || l.index.size() == known {
			return rows, err
		}
	}
}

// series is Series for the series that are known when it begins.
func (l *Ledger) series(ctx context.Context, q *Query) ([]Row, error) {
	groups := l.index.groups(q)
	pick, err := picks(groups)
	if err != nil {
		return nil, err
	}
	type place struct {
		time  int64
		group int
	}
	found := map[place]*Row{}
	err = l.sum(ctx, l.parts(q), q.Each != nil, pick, func(t int64, group int, s *Sums) error {
		p := place{t, group}
		if row := found[p]; row != nil {
			row.Add(s)
			return nil
		}
		if len(found) == maxRows {
			return millicent.Errorf(millicent.CodeInvalid, "The answer has more than %d rows: ask for less time, longer steps or fewer names.", maxRows)
		}
		row := &Row{Names: groups[group].names, Sums: *s}
		if q.Each != nil {
			row.Time = time.Unix(t, 0).UTC()
		}
		found[p] = row
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows := make([]Row, 0, len(found))
	for _, row := range found {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.Names, b.Names))
	})
	return rows, nil
}

// picks returns the series of groups, as JSON: [[series, group], …].
func picks(groups []group) (string, error) {
	list := [][2]int64{}
	for n, g := range groups {
		for _, id := range g.ids {
			list = append(list, [2]int64{id, int64(n)})
		}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// A part is a range of times of one table.
type part struct {
	step     Step
	from, to int64 // Unix seconds
}

// parts returns where a query's sums are.
func (l *Ledger) parts(q *Query) []part {
	if q.Each != nil {
		s := *q.Each
		return []part{{s, s.Floor(q.From).Unix(), q.To.Unix()}}
	}
	return cover(q.From, q.To, l.cfg.Now())
}

// cover covers a time by steps as long as possible. Its ends are moved apart to
// whole steps of those that are still kept of its begin.
func cover(from, to, now time.Time) []part {
	shortest := Minute
	for from.Before(kept(shortest, now)) {
		shortest++
	}
	from = shortest.Floor(from)
	if f := shortest.Floor(to); f.Before(to) {
		to = shortest.Next(f)
	}
	var parts []part
	for t := from; t.Before(to); {
		s := Month
		for s > shortest && (s.Floor(t).Before(t) || s.Next(t).After(to)) {
			s--
		}
		next := s.Next(t)
		if n := len(parts); n > 0 && parts[n-1].step == s {
			parts[n-1].to = next.Unix()
		} else {
			parts = append(parts, part{s, t.Unix(), next.Unix()})
		}
		t = next
	}
	return parts
}

// sum calls each for the sums of each group in each part, and of each time if
// they are wanted apart. All are of one state of the file.
func (l *Ledger) sum(ctx context.Context, parts []part, apart bool, pick string, each func(t int64, group int, s *Sums) error) error {
	if len(parts) == 0 {
		return nil
	}
	l.files.RLock()
	defer l.files.RUnlock()
	rows, err := l.db.QueryContext(ctx, sumStatement(parts, apart), pick)
	if err != nil {
		return fmt.Errorf("read the usage: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t int64
		var group int
		var n numbers
		if err := rows.Scan(append([]any{&t, &group}, n.values()...)...); err != nil {
			return fmt.Errorf("read the usage: %w", err)
		}
		s := n.sum()
		if err := each(t, group, &s); err != nil {
			return err
		}
	}
	return rows.Err()
}

// sumStatement returns the statement that adds up the rows of parts: one for
// all of them, so that no others are written in between.
func sumStatement(parts []part, apart bool) string {
	sums := fileColumns()
	for i, c := range sums {
		sums[i] = "sum(" + c + ")"
		if c == peakColumn {
			sums[i] = "max(" + c + ")"
		}
	}
	when := "0"
	if apart {
		when = "r.time"
	}
	selects := make([]string, len(parts))
	for i, p := range parts {
		selects[i] = fmt.Sprintf("SELECT %s, grp, %s FROM pick CROSS JOIN %s AS r ON r.series = pick.series WHERE r.time >= %d AND r.time < %d GROUP BY 1, 2",
			when, strings.Join(sums, ", "), tables[p.step], p.from, p.to)
	}
	return "WITH pick AS MATERIALIZED (SELECT value ->> 0 AS series, value ->> 1 AS grp FROM json_each(?)) " + strings.Join(selects, " UNION ALL ")
}
