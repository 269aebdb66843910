package meter

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// frame returns the sealed frame of a number.
func frame(number uint64, record []byte) []byte {
	return seal(append(appendFrame(nil, number), record...), 0)
}

// A journal keeps what the ledger does not have, over many turns of its files.
func TestJournalTurns(t *testing.T) {
	dir := t.TempDir()
	j, kept, err := openJournal(dir)
	if err != nil || len(kept) > 0 {
		t.Fatal(kept, err)
	}
	if err := j.reset(1); err != nil {
		t.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 64<<10)
	next, durable := uint64(1), uint64(1)
	for range 1000 { // 64 MB
		if err := j.append(frame(next, payload), next, durable); err != nil {
			t.Fatal(err)
		}
		next++
		durable = max(durable, next-min(next, 100))
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	_, kept, err = openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range kept {
		if want := next - uint64(len(kept)-i); k.number != want {
			t.Fatalf("record %d of %d has number %d, want %d", i, len(kept), k.number, want)
		}
	}
	if len(kept) < 99 || len(kept) > 300 {
		t.Errorf("%d records", len(kept))
	}
}

// What is torn, and what was there before, ends a journal.
func TestJournalTorn(t *testing.T) {
	dir := t.TempDir()
	j, _, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(from, n uint64) {
		t.Helper()
		if err := j.reset(from); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := j.append(frame(from+i, []byte("record")), from+i, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(1, 10)
	fill(11, 3) // over the ten
	content, err := os.ReadFile(filepath.Join(dir, "journal-0"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := readJournal(content)
	if err != nil || len(kept) != 3 || kept[2].number != 13 {
		t.Errorf("got %v, %v", kept, err)
	}
	length := frameHead + len("record")
	for cut := journalHead; cut < journalHead+3*length; cut++ {
		kept, err := readJournal(content[:cut])
		if err != nil || len(kept) != (cut-journalHead)/length {
			t.Fatalf("cut at %d: %d records, %v", cut, len(kept), err)
		}
	}
	for at := range journalHead + 3*length {
		bad := bytes.Clone(content)
		bad[at] ^= 1
		if kept, _ := readJournal(bad); len(kept) >= 3 {
			t.Fatalf("byte %d is of no meaning", at)
		}
	}
}

// What does not go into the mapped memory goes into the file: at its end, and
// where the kernel has no page for it.
func TestJournalBesideMapping(t *testing.T) {
	dir := t.TempDir()
	j, _, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.reset(1); err != nil {
		t.Fatal(err)
	}
	record := bytes.Repeat([]byte("x"), 200_000)
	next := uint64(1)
	add := func(n int) {
		t.Helper()
		for range n {
			if err := j.append(frame(next, record), next, 0); err != nil {
				t.Fatal(err)
			}
			next++
		}
		records := uint64(0)
		for _, name := range []string{"journal-0", "journal-1"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			kept, err := readJournal(content)
			if err != nil {
				t.Fatal(err)
			}
			records += uint64(len(kept))
		}
		if records != next-1 {
			t.Fatalf("%d records of %d", records, next-1)
		}
	}
	add(1)
	if j.files[0].mem.mem == nil {
		t.Fatal("not mapped")
	}
	add(2*mapSize/len(record) + 1) // the second file goes on, since the ledger has none of the first

	if err := j.begin(1, 1); err != nil {
		t.Fatal(err)
	}
	if err := j.reset(1); err != nil {
		t.Fatal(err)
	}
	next = 1
	add(1)
	if err := os.Truncate(filepath.Join(dir, "journal-0"), j.files[0].end); err != nil {
		t.Fatal(err)
	}
	add(3)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(append([]byte(journalMagic), make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		kept, _ := readJournal(b)
		for _, k := range kept {
			_, _ = decodeRecord(k.record) // whatever it is, it does not panic
		}
	})
}
