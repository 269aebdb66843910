package meter

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// known is a Places that knows some groups, and that nothing else has a record.
type known struct {
	through uint64
	groups  []uint64
}

func (k known) Find(_ context.Context, _, _ string, each func(uint64) bool) (uint64, error) {
	for _, seq := range k.groups {
		if !each(seq) {
			break
		}
	}
	return k.through, nil
}

// Each record has a receipt, which proves it and nothing else.
func TestReceipts(t *testing.T) {
	m, _ := startMeter(t)
	const n = 700
	for i := range uint64(n) {
		m.Record(someRecord(i))
		if i%7 < 3 {
			if err := m.Durable(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	groups, records := read(t, m, n)
	for _, i := range []int{0, 1, 2, 3, 100, 255, 256, n - 2, n - 1, rand.IntN(n)} {
		want := records[i]
		r, err := m.Receipt(t.Context(), known{}, want.Tenant, want.ID, 0)
		if err != nil {
			t.Fatal(i, err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Receipt
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		rec, group, err := back.Check()
		if err != nil || cmp.Diff(want, rec) != "" || back.Number != uint64(i+1) || back.Head != m.Head() {
			t.Fatalf("receipt of record %d: %v\n%s", i, err, text)
		}
		if group.Hash != groups[group.Seq-1].Hash || len(back.Links) > 24 {
			t.Errorf("group %d, %d links to it", group.Seq, len(back.Links))
		}
		forge(t, text)
		again, err := m.Receipt(t.Context(), known{groups[len(groups)-1].Seq, []uint64{1, group.Seq}}, want.Tenant, want.ID, 0)
		if diff := cmp.Diff(r, again); err != nil || diff != "" {
			t.Error(diff, err)
		}
		if _, err := m.Receipt(t.Context(), known{through: 7}, "222222222222", want.ID, 0); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("another tenant got a receipt: %v", err)
		}
	}
}

// What is nowhere is searched for in few groups, and what can't be told is not
// said to be nowhere.
func TestReceiptOfNothing(t *testing.T) {
	m, _ := startMeter(t)
	rec := someRecord(1)
	m.Record(rec)
	if _, err := m.Receipt(t.Context(), known{through: 1}, rec.Tenant, rec.ID, 0); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("group 1 was searched, of which it is known that it is not there: %v", err)
	}
	m.mu.Lock()
	m.head.Seq += findGroups
	m.mu.Unlock()
	if _, err := m.Receipt(t.Context(), known{}, rec.Tenant, rec.ID, 0); millicent.ErrorCode(err) != millicent.CodeServerUnavailable {
		t.Errorf("with %d groups to be searched: %v", findGroups+1, err)
	}
	m.mu.Lock()
	m.head.Seq -= findGroups
	m.mu.Unlock()
	if _, err := m.Receipt(t.Context(), known{}, rec.Tenant, rec.ID, 0); err != nil {
		t.Error(err)
	}
}

// forge changes a receipt in all places: none of the changed ones proves
// anything but what the receipt says of the head's number of records.
func forge(t *testing.T, text []byte) {
	t.Helper()
	var good Receipt
	if err := json.Unmarshal(text, &good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(r *Receipt){
		"format":    func(r *Receipt) { r.Format++ },
		"usage":     func(r *Receipt) { r.Usage.BilledMs++ },
		"record":    func(r *Receipt) { r.Record[len(r.Record)-20] ^= 1 },
		"number":    func(r *Receipt) { r.Number++ },
		"index":     func(r *Receipt) { r.Index++; r.Number++ },
		"negative":  func(r *Receipt) { r.Index -= 1 << 20; r.Number -= 1 << 20 },
		"path":      func(r *Receipt) { r.Path = append(r.Path, make([]byte, 32)) },
		"short":     func(r *Receipt) { r.Path = append(r.Path, nil) },
		"header":    func(r *Receipt) { r.Header[40] ^= 1 },
		"no header": func(r *Receipt) { r.Header = nil },
		"head":      func(r *Receipt) { r.Head.Hash[0] ^= 1 },
		"links":     func(r *Receipt) { r.Links = append(r.Links, r.Header) },
	} {
		var r Receipt
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		change(&r)
		if _, _, err := r.Check(); err == nil {
			t.Errorf("with another %s it is as good", name)
		}
	}
}

func FuzzReceipt(f *testing.F) {
	_, _, message := someGroup(5)
	g, err := decodeGroup(message)
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(receiptOf(&g, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(_ *testing.T, b []byte) {
		var r Receipt
		if json.Unmarshal(b, &r) == nil {
			_, _, _ = r.Check() // whatever it is, it does not panic
		}
	})
}

func TestParseHead(t *testing.T) {
	h := Head{Seq: 42, Hash: Hash{1, 2, 3}}
	if got, err := ParseHead(h.String()); err != nil || got != h {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "42", "42:", "0:" + h.String()[3:], "x" + h.String(), h.String() + "00"} {
		if got, err := ParseHead(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// Each attempt of an event has a receipt, wherever the others are.
func TestReceiptOfAttempt(t *testing.T) {
	m, _ := startMeter(t)
	rec := someRecord(1)
	for attempt := 1; attempt <= 4; attempt++ {
		rec.Attempt, rec.Billed = attempt, time.Duration(attempt)*time.Second
		if n, err := m.RecordOnce(t.Context(), rec); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	for _, places := range []known{{}, {4, []uint64{4, 3, 2, 1}}, {2, []uint64{2, 1}}} {
		for attempt, want := range []int{4, 1, 2, 3, 4} {
			r, err := m.Receipt(t.Context(), places, rec.Tenant, rec.ID, attempt)
			if err != nil || r.Usage.Attempt != want || r.Usage.BilledMs != int64(want)*1000 {
				t.Errorf("of attempt %d: %+v (%v)", attempt, r, err)
			}
		}
		if _, err := m.Receipt(t.Context(), places, rec.Tenant, rec.ID, 5); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("of an attempt that was not: %v", err)
		}
	}
}
