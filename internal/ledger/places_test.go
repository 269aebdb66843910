package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// find returns the groups in which a record may be.
func find(t *testing.T, l *Ledger, tenant, id string) (groups []uint64) {
	t.Helper()
	through, err := l.Find(t.Context(), tenant, id, func(seq uint64) bool {
		groups = append(groups, seq)
		return true
	})
	if err != nil || through != l.Through() {
		t.Fatalf("looked up to group %d of %d: %v", through, l.Through(), err)
	}
	return groups
}

// TestFind: each record is found, through rows of the file and what is in
// memory, after the ledger was opened again, and when it is made anew; what is
// nowhere is looked for in next to no group.
func TestFind(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	s, dir := &stream{}, t.TempDir()
	tenant := func(n int) string { return fmt.Sprintf("%012d", n%3) }
	n := 0
	more := func(groups, records int) {
		for range groups {
			var group []millicent.UsageRecord
			for range 1 + r.IntN(records) {
				group = append(group, millicent.UsageRecord{
					Kind: millicent.UsageInvocation, ID: fmt.Sprint("id ", n), Tenant: tenant(n), Function: "fn", Start: now, PriceBook: "default@1",
				})
				n++
			}
			s.append(group...)
		}
	}
	check := func(l *Ledger) {
		t.Helper()
		catchUp(t, l)
		wrong, id := 0, 0
		for _, g := range s.groups {
			for range g.Records {
				if r.IntN(100) == 0 || id == n-1 {
					name := fmt.Sprint("id ", id)
					groups := find(t, l, tenant(id), name)
					if !slices.Contains(groups, g.Seq) || !slices.IsSortedFunc(groups, func(a, b uint64) int { return int(b) - int(a) }) {
						t.Fatalf("%s is in group %d, found in %v", name, g.Seq, groups)
					}
					wrong += len(groups) - 1 + len(find(t, l, tenant(id+1), name))
				}
				id++
			}
		}
		if wrong > 20 { // of some 1000 searches among 40,000 records, of which 16 million hashes tell
			t.Errorf("%d groups would be read in vain", wrong)
		}
	}
	l := openLedger(t, dir, s.each)
	more(placesGroups+50, 2) // a row for its groups
	check(l)
	more(30, 2*placesRecords/20) // and one or more for their records
	check(l)
	l.Close()
	l = openLedger(t, dir, s.each)
	more(2, 5)
	check(l)
	if err := l.remake(); err != nil {
		t.Fatal(err)
	}
	check(l)
	// The first rows' groups are removed.
	gone := s.groups[0].Records[0]
	l.cfg.First = func(context.Context) (uint64, error) { return uint64(placesGroups + 40), nil }
	l.cfg.Now = func() time.Time { return now.Add(48 * time.Hour) }
	catchUp(t, l)
	if got := find(t, l, gone.Tenant, gone.ID); slices.Contains(got, 1) {
		t.Errorf("what was removed is looked for in group 1")
	}
	if _, err := l.Find(t.Context(), "x", "y", func(uint64) bool { return false }); err != nil {
		t.Error(err)
	}
}

func FuzzSearch(f *testing.F) {
	var p places
	p.add(&Group{Seq: 7, Records: []millicent.UsageRecord{{ID: "a", Tenant: "t"}, {ID: "b", Tenant: "t"}}})
	f.Add(p.open.buf, "a")
	f.Fuzz(func(t *testing.T, row []byte, id string) {
		found := 0
		search(7, row, placeOf("t", id), func(uint64) bool { found++; return true })
		if found > len(row) {
			t.Errorf("%d groups in %d bytes", found, len(row))
		}
	})
}
