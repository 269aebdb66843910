package meter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

var errKilled = errors.New("killed")

// largeRecord is one of which few make a group.
func largeRecord(seed uint64) millicent.UsageRecord {
	rec := someRecord(seed)
	rec.Kind, rec.ID, rec.Attempt = millicent.UsageInvocation, fmt.Sprint("large ", seed), 1
	rec.Tags = map[string]string{"fill": strings.Repeat("x", 15<<10)}
	return rec
}

// writeJournal makes a journal's file of records by their numbers, which are
// those of their seeds.
func writeJournal(t *testing.T, dir string, file int, numbers ...uint64) {
	t.Helper()
	content := appendJournalHead(nil, numbers[0])
	for _, n := range numbers {
		rec := normal(largeRecord(n))
		f := frame(n, appendRecord(nil, &rec))
		content = append(content, f[:len(f)-frameEnd]...)
	}
	if err := os.WriteFile(filepath.Join(dir, "usage", fmt.Sprintf("journal-%d", file)), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func numbers(from, to uint64) (list []uint64) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// TestJournalGap: of a journal of which a power cut took a part, each record
// that is left is in the ledger once, and so is each that comes after it: also
// where recovery is killed, at each of its points, again and again.
func TestJournalGap(t *testing.T) {
	for _, kills := range [][]string{
		{}, {"kept"}, {"group 2"}, {"group 3"}, {"published"}, {"reset"},
		{"kept", "group 2"}, {"group 2", "group 3"}, {"published", "published"}, {"reset", "published"},
	} {
		t.Run("gap/"+strings.Join(kills, "/"), func(t *testing.T) { recoverGap(t, true, kills...) })
	}
	for _, point := range []string{"group 2", "reset"} {
		t.Run("no gap/"+point, func(t *testing.T) { recoverGap(t, false, point) })
	}
}

func recoverGap(t *testing.T, gap bool, kills ...string) {
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	defer stop()
	m := openMeter(t, js, dir)
	var want []string
	for n := range uint64(3) {
		m.Record(largeRecord(n + 1))
		want = append(want, largeRecord(n+1).ID)
	}
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	kill(t, m)
	older, newer := numbers(2, 90), numbers(91, 200)
	if gap {
		older, newer = numbers(2, 60), numbers(91, 200)
	}
	writeJournal(t, dir, 0, older...)
	writeJournal(t, dir, 1, newer...)
	for _, n := range slices.Concat(older[2:], newer) {
		want = append(want, largeRecord(n).ID)
	}
	for i, point := range kills {
		m, err := Open(t.Context(), js, Config{Dir: filepath.Join(dir, "usage"), kill: func(at string) error {
			if at == point {
				return errKilled
			}
			return nil
		}})
		switch {
		case err == nil && i > 0: // there is no such point the second time
			kill(t, m)
		case !errors.Is(err, errKilled):
			t.Fatalf("not killed at %q: %v", point, err)
		}
	}
	for round := range 2 { // what is left behind does no harm to what comes
		m = openMeter(t, js, dir)
		for n := range uint64(5) {
			rec := largeRecord(1000 + uint64(round)*10 + n)
			m.Record(rec)
			want = append(want, rec.ID)
		}
		kill(t, m)
	}
	m = openMeter(t, js, dir)
	defer kill(t, m)
	_, records := read(t, m, int(m.Head().Records))
	var got []string
	for _, r := range records {
		got = append(got, r.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +ledger) %.2000s", diff)
	}
	if r, err := m.Verify(t.Context()); err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "usage", leftoversFile)); err == nil {
		t.Error("the leftovers are there still")
	}
}
