package meter

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

// aRecord returns a record as an invocation of a small function makes it.
func aRecord() millicent.UsageRecord {
	rec := someRecord(3)
	rec.Kind, rec.Quantity, rec.Tags, rec.Attempt = millicent.UsageInvocation, 0, map[string]string{"team": "a"}, 1
	return rec
}

// BenchmarkRecord is what recording costs its caller, groups included.
func BenchmarkRecord(b *testing.B) {
	m, _ := startMeter(b)
	rec := aRecord()
	ids := someIDs()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		rec.ID = ids[n%len(ids)]
		rec.Root = rec.ID
		n++
		m.Record(rec)
	}
	if err := m.Durable(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDurable records from 8 goroutines and waits until all is on disk; the
// project's bench reads its records/s.
func BenchmarkDurable(b *testing.B) {
	m, _ := startMeter(b)
	ids := someIDs()
	const callers, burst = 8, 2000
	records := 0
	for b.Loop() {
		var group sync.WaitGroup
		for c := range callers {
			group.Go(func() {
				rec := aRecord()
				for i := range burst {
					rec.ID = ids[(c*burst+i)%len(ids)]
					rec.Root = rec.ID
					m.Record(rec)
				}
			})
		}
		group.Wait()
		if err := m.Durable(b.Context()); err != nil {
			b.Fatal(err)
		}
		records += callers * burst
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkVerify is what the verification of a group of 100 records costs.
func BenchmarkVerify(b *testing.B) {
	_, _, message := someGroup(100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeGroup(message); err != nil {
			b.Fatal(err)
		}
	}
}

func someIDs() []string {
	ids := make([]string, 4096)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	return ids
}
