package meter

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// Old groups go, as far as they are old or there is no room for them; what is
// left is verified, and has receipts.
func TestTrim(t *testing.T) {
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	defer stop()
	var clock atomic.Int64 // hours times two, since the beginning
	now := func() time.Time {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(clock.Load()) * 30 * time.Minute)
	}
	open := func(maxBytes int64) *Meter {
		m, err := Open(t.Context(), js, Config{Dir: filepath.Join(dir, "usage"), Now: now, Keep: 10 * time.Hour, maxBytes: maxBytes})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	firstOf := func(m *Meter) uint64 {
		t.Helper()
		first, _, err := m.log.Extent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	m := open(0)
	for i := range uint64(100) {
		clock.Add(1)
		m.Record(someRecord(i))
		if err := m.Durable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(t.Context()); err != nil { // the last trim is over
		t.Fatal(err)
	}
	first := firstOf(m)
	if first < 75 || first > 85 {
		t.Errorf("the first group is %d", first)
	}
	m = open(1) // no room
	clock.Add(4)
	m.Record(someRecord(100))
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := m.Verify(t.Context())
	if err != nil || !r.OK || r.Head != m.Head() {
		t.Errorf("%+v, %v", r, err)
	}
	last := someRecord(100)
	receipt, err := m.Receipt(t.Context(), known{}, last.Tenant, last.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := receipt.Check(); err != nil {
		t.Error(err)
	}
	old := someRecord(3)
	if _, err := m.Receipt(t.Context(), known{}, old.Tenant, old.ID, 0); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("a receipt of what is gone: %v", err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := firstOf(m); got <= first {
		t.Errorf("the first group is %d still", got)
	}
}
