package meter

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// What is recorded comes back as it was, in order, with a follower that was
// there before and one that comes later.
func TestRecord(t *testing.T) {
	m, _ := startMeter(t)
	const n = 3000
	follower := make(chan []millicent.UsageRecord, 1)
	go func() {
		_, records := read(t, m, n)
		follower <- records
	}()
	var want []millicent.UsageRecord
	for i := range uint64(n) {
		want = append(want, someRecord(i))
		m.Record(want[i])
		if i%1000 == 0 {
			if err := m.Durable(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(want, <-follower); diff != "" {
		t.Error("a follower:", diff)
	}
	groups, records := read(t, m, n)
	if diff := cmp.Diff(want, records); diff != "" {
		t.Error(diff)
	}
	if h := m.Head(); h.Records != n || h.Seq != uint64(len(groups)) || h.Hash != groups[len(groups)-1].Hash {
		t.Errorf("head %+v after %d groups", h, len(groups))
	}
}

// A Meter that is killed at any time has what it took when it comes back, once.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	defer stop()
	var want []millicent.UsageRecord
	for round := range 12 {
		m := openMeter(t, js, dir)
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 40 * round {
					mu.Lock()
					rec := someRecord(uint64(len(want)))
					m.Record(rec)
					want = append(want, rec)
					mu.Unlock()
				}
			})
		}
		switch round % 3 {
		case 1:
			if err := m.Durable(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 2:
			group.Wait()
		}
		group.Wait()
		kill(t, m)
	}
	m := openMeter(t, js, dir)
	_, records := read(t, m, len(want))
	if diff := cmp.Diff(want, records); diff != "" {
		t.Error(diff)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error("closed twice:", err)
	}
}

// What is recorded while the ledger takes nothing waits in the journal, over the
// end of the process, and the journal's files take turns.
func TestLedgerAway(t *testing.T) {
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	m := openMeter(t, js, dir)
	m.Record(someRecord(0))
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop() // the state engine
	for i := range uint64(200) {
		m.Record(someRecord(i + 1))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Durable(ctx); err == nil {
		t.Error("durable, without a ledger")
	}
	if err := m.Close(ctx); err == nil {
		t.Error("closed, with records in the journal alone")
	}
	js, stop = startJetStream(t, dir)
	defer stop()
	m = openMeter(t, js, dir)
	_, records := read(t, m, 201)
	for i, rec := range records {
		if diff := cmp.Diff(someRecord(uint64(i)), rec); diff != "" {
			t.Error(diff)
		}
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A journal that can't be written is told at admission, and no longer once the
// ledger has what was to be in it.
func TestJournalBroken(t *testing.T) {
	m, _ := startMeter(t)
	m.mu.Lock()
	whole := m.journal.files
	m.journal.files = [2]segment{} // writes fail
	m.mu.Unlock()
	m.Record(someRecord(0))
	if got := millicent.ErrorCode(m.Ready()); got != millicent.CodeServerUnavailable {
		t.Errorf("ready: %q", got)
	}
	m.mu.Lock()
	m.journal.files = whole
	m.mu.Unlock()
	if _, records := read(t, m, 1); records[0].ID != someRecord(0).ID {
		t.Error("lost")
	}
	for m.Ready() != nil {
		m.Record(someRecord(1))
		if err := m.Durable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// What runs again after a crash has one record, and so has what runs again
// before one; another attempt has its own.
func TestRecordOnce(t *testing.T) {
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	defer stop()
	m := openMeter(t, js, dir)
	for i := range uint64(300) { // groups of one
		for range 2 {
			if _, err := m.RecordOnce(t.Context(), someRecord(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kill(t, m)
	m = openMeter(t, js, dir)
	for i := range uint64(300) {
		if n, err := m.RecordOnce(t.Context(), someRecord(i)); err != nil || n != 0 {
			t.Fatal(err)
		}
	}
	again := someRecord(299)
	again.Attempt++
	if n, err := m.RecordOnce(t.Context(), again); err != nil || n == 0 {
		t.Fatal(err)
	}
	if h := m.Head(); h.Records != 301 {
		t.Errorf("%d records", h.Records)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := m.RecordOnce(t.Context(), someRecord(1_000_000)); err == nil {
		t.Error("a closed ledger says that it has a record")
	}
}

func TestNamesAreBounded(t *testing.T) {
	var n names
	for i := range 3 * maxNames {
		n.add(strconv.Itoa(i))
		if back := i - maxNames + 1; back >= 0 && !n.has(strconv.Itoa(back)) {
			t.Fatalf("%d is forgotten at %d", back, i)
		}
	}
	if len(n.young)+len(n.old) > 2*maxNames || n.has("0") {
		t.Error("nothing is forgotten")
	}
}
