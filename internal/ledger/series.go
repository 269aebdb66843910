package ledger

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millicent-run/millicent"
)

// Other is the function that usage counts for which is beyond the bound of a
// tenant's series.
const Other = "(other)"

// total is the function of the series that has all of a tenant's usage, so that
// its charts need not add up all others. It is in no answer by name.
const total = "(all)"

// maxSeries bounds the series of a tenant, but for those of Other and total.
const maxSeries = 10_000

// A series is what sums are told apart by.
type series struct {
	tenant, function, alias, key string
	memoryMB                     int
	tags                         string // a JSON object with sorted keys, or ""
	book                         string // the price book's id
}

// seriesOf returns the series of a record that was priced by a book.
func seriesOf(rec *millicent.UsageRecord, book string) series {
	return series{
		tenant: rec.Tenant, function: rec.Function, alias: rec.Alias, key: rec.Key,
		memoryMB: rec.MemoryMB, tags: canonical(rec.Tags), book: book,
	}
}

// alike reports whether records that were priced by the same book are of the
// same series.
func alike(a, b *millicent.UsageRecord) bool {
	return a.Function == b.Function && a.Tenant == b.Tenant && a.Alias == b.Alias && a.Key == b.Key &&
		a.MemoryMB == b.MemoryMB && maps.Equal(a.Tags, b.Tags)
}

// canonical returns the one text of a set of tags.
func canonical(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	text, err := json.Marshal(tags) // sorts the keys
	if err != nil {
		return "" // of a map of strings: it never fails
	}
	return string(text)
}

// tag returns the value of a tag; ok is false when there is none.
func (s *series) tag(key string) (value string, ok bool) {
	if s.tags == "" {
		return "", false
	}
	var tags map[string]string
	if err := json.Unmarshal([]byte(s.tags), &tags); err != nil {
		return "", false // canonical wrote it
	}
	value, ok = tags[key]
	return value, ok
}

// index knows all series. Ids are given once, from 1.
type index struct {
	most int // series of a tenant

	mu    sync.RWMutex // guards what follows
	ids   map[series]int64
	all   []series       // by id-1
	count map[string]int // of a tenant's
}

// load reads the index from the file.
func (x *index) load(db *sql.DB) error {
	rows, err := db.Query("SELECT id, tenant, function, alias, key, memory_mb, tags, book FROM series ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids, x.all, x.count = map[series]int64{}, nil, map[string]int{}
	for rows.Next() {
		var id int64
		var s series
		if err := rows.Scan(&id, &s.tenant, &s.function, &s.alias, &s.key, &s.memoryMB, &s.tags, &s.book); err != nil {
			return err
		}
		if id != int64(len(x.all))+1 {
			return fmt.Errorf("series %d is missing", len(x.all)+1)
		}
		x.put(s)
	}
	return rows.Err()
}

// size returns how many series there are; it only grows.
func (x *index) size() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.all)
}

func (x *index) put(s series) int64 {
	x.all = append(x.all, s)
	id := int64(len(x.all))
	x.ids[s] = id
	if s.function != total {
		x.count[s.tenant]++
	}
	return id
}

// id returns the id of a series, a new one where it has none yet, or that of
// the tenant's Other when it has too many.
func (x *index) id(s series) int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if id, ok := x.ids[s]; ok {
		return id
	}
	if x.count[s.tenant] >= x.most && s.function != total {
		s = series{tenant: s.tenant, function: Other, book: s.book}
		if id, ok := x.ids[s]; ok {
			return id
		}
	}
	return x.put(s)
}

// totalOf returns the id of the total of a series' tenant.
func (x *index) totalOf(id int64) int64 {
	x.mu.RLock()
	tenant := x.all[id-1].tenant
	x.mu.RUnlock()
	return x.id(series{tenant: tenant, function: total})
}

// books returns the ids of the price books that series have.
func (x *index) books() map[string]bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := map[string]bool{}
	for i := range x.all {
		if s := &x.all[i]; s.function != total {
			found[s.book] = true
		}
	}
	return found
}

// since returns the series from an id on, and the id after the last.
func (x *index) since(id int64) (list []series, next int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(x.all[id-1:]), int64(len(x.all)) + 1
}

// A group is the series whose sums are asked for together.
type group struct {
	names []string
	ids   []int64
}

// groups returns the series that a query is about, by what it tells apart, in
// the order of their first ids.
func (x *index) groups(q *Query) []group {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []group
	at := map[string]int{}
	ofTenants := q.ofTenants()
	for i := range x.all {
		s := &x.all[i]
		if !q.matches(s) || (s.function == total) != ofTenants {
			continue
		}
		names := make([]string, len(q.By))
		for i, d := range q.By {
			names[i] = d.of(s)
		}
		name := strings.Join(names, "\x00")
		n, ok := at[name]
		if !ok {
			n = len(list)
			at[name] = n
			list = append(list, group{names: names})
		}
		list[n].ids = append(list[n].ids, int64(i)+1)
	}
	return list
}
