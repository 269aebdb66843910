package server

import (
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// What stands is paid for the time that it stood, once, however long the time
// between two looks; each record has a name of its own.
func TestStandingUsage(t *testing.T) {
	const mb = 256
	pkg := millicent.Package{SHA256: "a", Size: 1000}
	f := &millicent.Function{
		Tenant: "000000000000", Name: "fn", LastVersion: 2, Draft: &millicent.Version{Package: pkg},
		Provisioned: map[string]*millicent.Provisioned{"live": {}},
	}
	held := int64(500)
	var records []millicent.UsageRecord
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	locked := false // the store
	l := &usageLook{
		functions: func(each func(*millicent.Function)) { locked = true; each(f); locked = false },
		provided:  func(*millicent.Version) int { return 3 },
		version: func(_, _, number string) (*millicent.Version, error) {
			if locked {
				t.Error("a version is asked for while the store is locked, for ever when a change waits")
			}
			if number == "1" {
				return &millicent.Version{Package: millicent.Package{SHA256: "b", Size: 10}}, nil
			}
			return &millicent.Version{Package: pkg}, nil // the draft's, paid once
		},
		resolve: func(_, _, qualifier string) (*millicent.Version, error) {
			return &millicent.Version{Number: "2", MemoryMB: mb}, nil
		},
		queues: func() []queueBytes { return []queueBytes{{tenant: "000000000000", name: "sqs/orders", bytes: held}} },
		record: func(r millicent.UsageRecord) { records = append(records, r) },
		book:   func() string { return "default@1" },
		life:   "life", last: begin,
	}
	now := begin
	for minute := range 130 {
		l.count("000000000000", "orders")
		l.count("000000000000", "orders")
		now = now.Add(time.Minute + time.Duration(minute%3-1)*time.Second)
		l.look(now, false)
		l.look(now, false) // of no time
	}
	l.look(now.Add(500*time.Millisecond), true)
	names, sums := map[string]bool{}, map[string]int64{}
	for _, r := range records {
		name := r.ID
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		sums[strings.Join(strings.Split(name, "/")[:1], "/")+" "+r.Function] += r.Quantity
		if r.Tenant == "" || r.PriceBook == "" || r.Start.Before(begin) || !strings.HasSuffix(name, "/life") {
			t.Errorf("%+v", r)
		}
	}
	took := now.Sub(begin).Milliseconds() + 500
	near := func(got, want, within int64) bool { return got <= want && got >= want-within }
	switch {
	case sums["provisioned fn"] != 3*mb*took:
		t.Errorf("provisioned: %d MB-ms, want %d", sums["provisioned fn"], 3*mb*took)
	case sums["queue "] != 260:
		t.Errorf("%d requests", sums["queue "])
	case !near(sums["storage fn"], 1010*took/1000, 200), !near(sums["storage "], held*took/1000, 200):
		t.Errorf("storage: %v of %d ms", sums, took)
	}
}

// A server that is killed has its usage recorded by the next one, but for the
// last seconds: all together, each record once, whenever it is killed.
func TestStandingSurvives(t *testing.T) {
	f := &millicent.Function{
		Tenant: "000000000000", Name: "fn", Tags: map[string]string{"team": "a"}, Draft: &millicent.Version{Package: millicent.Package{SHA256: "a", Size: 1_000_000}},
		Provisioned: map[string]*millicent.Provisioned{"7": {}},
	}
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, killed := range []int{1, 11, 12, 13, 700, 725, 900} { // after so many times of 5 s
		names, sums, requests := map[string]bool{}, map[millicent.UsageKind]int64{}, int64(0)
		record := func(r millicent.UsageRecord) {
			if names[r.ID] {
				t.Errorf("%s is there twice", r.ID)
			}
			if r.Kind == millicent.UsageStorage && r.Tags["team"] != "a" {
				t.Errorf("%s has the tags %v", r.ID, r.Tags)
			}
			names[r.ID] = true
			sums[r.Kind] += r.Quantity
		}
		l := &usageLook{
			functions: func(each func(*millicent.Function)) { each(f) },
			provided:  func(*millicent.Version) int { return 2 },
			version:   func(string, string, string) (*millicent.Version, error) { return f.Draft, nil },
			resolve: func(string, string, string) (*millicent.Version, error) {
				return &millicent.Version{Number: "7", MemoryMB: 128}, nil
			},
			queues: func() []queueBytes { return nil }, record: record, book: func() string { return "default@1" }, life: "life", last: begin,
		}
		l.see()
		now := begin
		for n := range killed {
			l.count("000000000000", "orders")
			requests++
			if now = now.Add(standingEvery); (n+1)%12 == 0 {
				l.look(now, false)
			}
		}
		dir := t.TempDir()
		if err := saveStanding(dir, l.state(now)); err != nil {
			t.Fatal(err)
		}
		st, err := readStanding(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range st.records("default@1") {
			record(rec)
		}
		took := now.Sub(begin)
		if got, want := sums[millicent.UsageProvisioned], 2*128*took.Milliseconds(); got != want {
			t.Errorf("killed after %v: %d MB-ms are recorded, want %d", took, got, want)
		}
		if got, want := sums[millicent.UsageStorage], int64(took.Seconds())*1_000_000; got != want {
			t.Errorf("killed after %v: %d byte-seconds are recorded, want %d", took, got, want)
		}
		if got := sums[millicent.UsageQueue]; got != requests {
			t.Errorf("killed after %v: %d requests are recorded of %d", took, got, requests)
		}
	}
	if st, err := readStanding(t.TempDir()); err != nil || len(st.records("default@1")) > 0 {
		t.Errorf("of no server: %+v, %v", st, err)
	}
	jumped := standingState{Last: begin, Seen: begin.AddDate(1, 0, 0), Stored: []storedState{{Tenant: "t", What: "w", Bytes: 1}}}
	if all := jumped.records("default@1"); len(all) != 1 || all[0].Quantity > int64(maxUnseen.Seconds()) {
		t.Errorf("with a clock that jumped: %+v", all)
	}
}

// More queues than are counted in a minute take nothing from those that are
// known.
func TestManyQueues(t *testing.T) {
	var l usageLook
	l.count("t", "known")
	for n := range maxCounted + 10 {
		l.count("t", strings.Repeat("q", 1+n%3)+time.Duration(n).String())
	}
	l.count("t", "known")
	if got := l.requests[queueOf{"t", "known"}]; got != 2 || len(l.requests) != maxCounted {
		t.Errorf("%d requests of one of %d queues", got, len(l.requests))
	}
}

// What is large and long is no more than it is.
func TestByteSeconds(t *testing.T) {
	for _, c := range []struct {
		bytes int64
		took  time.Duration
		want  int64
	}{
		{1000, 1500 * time.Millisecond, 1500}, {7, time.Second / 2, 3}, {1 << 50, 30 * 24 * time.Hour / 512, 1 << 50 / 512 * 30 * 24 * 3600}, {0, time.Hour, 0},
	} {
		if got := byteSeconds(c.bytes, c.took); got < c.want-c.want/1_000_000 || got > c.want {
			t.Errorf("%d bytes in %v: %d, want %d", c.bytes, c.took, got, c.want)
		}
	}
}
