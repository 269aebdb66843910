package meter

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

// someGroup returns a group of n records as a message.
func someGroup(n int) (header, []millicent.UsageRecord, []byte) {
	records := make([]millicent.UsageRecord, n)
	for i := range records {
		records[i] = someRecord(uint64(i))
	}
	h := header{seq: 6, first: 100, time: time.UnixMilli(1_800_000_000_000).UTC(), previous: Hash{1}, skip: Hash{2}}
	h, message := encodeGroup(h, records...)
	return h, records, message
}

func TestGroup(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000} {
		h, records, message := someGroup(n)
		g, err := decodeGroup(message)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, g.records); diff != "" || g.header != h {
			t.Error(diff, g.header, h)
		}
		for i, leaf := range g.leaves {
			if root, err := rootOf(leaf, i, n, merklePath(g.leaves, i)); err != nil || root != h.root {
				t.Fatalf("the path of leaf %d of %d leads to %x, %v", i, n, root, err)
			}
			if root, err := rootOf(leaf, (i+1)%n, n, merklePath(g.leaves, i)); n > 1 && err == nil && root == h.root {
				t.Fatalf("leaf %d of %d is another one, too", i, n)
			}
		}
		t.Logf("%d records: %d bytes each", n, len(message)/n)
	}
}

// Of what no record is, a normal one is made.
func TestNormal(t *testing.T) {
	rec := normal(millicent.UsageRecord{
		Start: time.Time{}, Duration: -1, Billed: 1500 * time.Microsecond, CPU: 999, MemoryMB: -5, Quantity: -1, Tags: map[string]string{},
	})
	b := appendRecord(nil, &rec)
	got, err := decodeRecord(b)
	if diff := cmp.Diff(rec, got); err != nil || diff != "" {
		t.Error(diff, err)
	}
	if rec.Billed != time.Millisecond || rec.Duration != 0 || rec.Start.UnixMilli() != 0 {
		t.Errorf("%+v", rec)
	}
}

// Any byte of a group that is changed is found, and where it is a record's, the
// record is named.
func TestGroupTampered(t *testing.T) {
	h, _, message := someGroup(20)
	named := 0
	for at := range message {
		message[at] ^= 0x10
		g, err := decodeGroup(message)
		message[at] ^= 0x10
		var d *damage
		switch {
		case err == nil && g.hash() == h.hash():
			t.Fatalf("byte %d may be changed", at)
		case err == nil: // the next group's header tells
		case !errors.As(err, &d):
			t.Fatalf("byte %d: %v", at, err)
		case d.record != 0:
			named++
			if d.record < 100 || d.record > 119 {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	}
	if named < len(message)/2 {
		t.Errorf("a record is named for %d bytes of %d", named, len(message))
	}
}

func FuzzDecodeGroup(f *testing.F) {
	_, _, message := someGroup(3)
	f.Add(message)
	f.Add([]byte{groupFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeGroup(b)
		if err != nil {
			return
		}
		again, message := encodeGroup(g.header, g.records...)
		if again.root != g.root {
			t.Error("written again, it is another")
		}
		if _, err := decodeGroup(message); err != nil {
			t.Error(err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	for i := range uint64(4) {
		rec := someRecord(i)
		f.Add(appendRecord(nil, &rec))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(appendRecord(nil, &rec))
		if diff := cmp.Diff(rec, again); err != nil || diff != "" {
			t.Error(diff, err)
		}
	})
}

// TestRecentGroups: those that follow closely get the groups from memory, the
// others from the log, and both the same.
func TestRecentGroups(t *testing.T) {
	m, _ := startMeter(t)
	const n = recentRecords + 5_000
	for i := range uint64(n) {
		m.Record(someRecord(i))
	}
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	oldest := m.recent.groups[0].Seq
	m.mu.Unlock()
	if oldest == 1 {
		t.Fatal("all groups are in memory")
	}
	all := func() (groups []Group) {
		end := errors.New("the last one")
		err := m.Groups(t.Context(), 0, func(g Group) error {
			g.Records = slices.Clone(g.Records)
			if groups = append(groups, g); g.Seq == m.Head().Seq {
				return end
			}
			return nil
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
		return groups
	}
	mixed := all()
	m.mu.Lock()
	m.recent.after(m.head.Seq)
	if left := m.recent; len(left.groups) > 0 || left.records != 0 {
		t.Errorf("%d groups that were followed beyond stay in memory, %d records", len(left.groups), left.records)
	}
	m.mu.Unlock()
	if !reflect.DeepEqual(all(), mixed) {
		t.Error("they differ from the log's")
	}
	last := mixed[len(mixed)-1]
	if got := last.First + uint64(len(last.Records)) - 1; got != n {
		t.Errorf("the last record is %d, want %d", got, n)
	}
}

// TestPlainUUID: an id is packed only if it comes back as it was.
func TestPlainUUID(t *testing.T) {
	const id = "0d9f6f1a-2b3c-4d5e-8f90-a1b2c3d4e5f6"
	ids := []string{id, "", id[1:], id + "0", "{" + id[1:35] + "}"}
	for at := range id {
		for _, c := range "0fFgG-/:`@\x00\xff" {
			ids = append(ids, id[:at]+string(byte(c))+id[at+1:])
		}
	}
	for _, id := range ids {
		u, err := uuid.Parse(id)
		want := err == nil && u.String() == id
		if got, ok := plainUUID(id); ok != want || ok && got != u {
			t.Errorf("%q: %v, %v", id, got, ok)
		}
	}
}
