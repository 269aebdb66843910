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
