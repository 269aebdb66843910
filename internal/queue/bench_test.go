package queue

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/packs"
)

// benchmarkCallers runs f b.N times from a number of callers and reports how
// often a second, and how long the median took.
func benchmarkCallers(b *testing.B, callers, perCall int, f func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				began := time.Now()
				if err := f(); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N*perCall)/elapsed.Seconds(), "messages/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			q, stop := openStored(b, b.TempDir(), Config{})
			defer stop()
			m := Message{Queue: orders, Body: bytes.Repeat([]byte("x"), 1024)}
			benchmarkCallers(b, callers, 1, func() error {
				_, err := q.Put(b.Context(), m)
				return err
			})
		})
	}
}

func BenchmarkPutLeaseSettle(b *testing.B) {
	for _, c := range []struct{ callers, batch int }{{1, 1}, {16, 1}, {1, 10}, {16, 10}} {
		b.Run(fmt.Sprintf("callers=%d/batch=%d", c.callers, c.batch), func(b *testing.B) {
			q, stop := openStored(b, b.TempDir(), Config{})
			defer stop()
			batch := slices.Repeat([]Message{{Queue: orders, Body: bytes.Repeat([]byte("x"), 1024)}}, c.batch)
			benchmarkCallers(b, c.callers, c.batch, func() error {
				if _, err := q.Put(b.Context(), batch...); err != nil {
					return err
				}
				got, err := q.Lease(b.Context(), LeaseRequest{Queue: orders, Max: c.batch, Visibility: time.Minute, Wait: time.Second})
				if err != nil {
					return err
				}
				handles := make([]Handle, len(got))
				for i := range got {
					handles[i] = got[i].Handle
				}
				if errs := q.Settle(b.Context(), orders, handles...); errs != nil {
					return errs[0]
				}
				return nil
			})
		})
	}
}

// fill puts n messages of 1 KB to 1,000 queues, by a number of callers, each
// perCall at a time.
func fill(b *testing.B, q *Queues, n, callers, perCall int) {
	b.Helper()
	body := bytes.Repeat([]byte("x"), 1024)
	var left atomic.Int64
	left.Store(int64(n / perCall))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				batch := make([]Message, perCall)
				for j := range batch {
					batch[j] = Message{Queue: Name{"async", "t", fmt.Sprint(i % 1000)}, Body: body}
				}
				if _, err := q.Put(context.Background(), batch...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkOpen opens queues with 100,000 waiting messages of 1 KB: in packs as
// a burst of many callers makes them, and in packs of a few.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct{ callers, perCall int }{{64, 10}, {4, 1}} {
		b.Run(fmt.Sprintf("callers=%d", c.callers), func(b *testing.B) {
			dir := b.TempDir()
			q, stop := openStored(b, dir, Config{})
			fill(b, q, 100_000, c.callers, c.perCall)
			b.ReportMetric(float64(len(q.ix.packs.packs)), "packs")
			stop()
			js, stop := startJetStream(b, dir)
			defer stop()
			for b.Loop() {
				q, err := Open(b.Context(), js, Config{Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if n := len(q.ix.entries); n != 100_000 {
					b.Fatalf("%d messages", n)
				}
				mustClose(b, q)
				b.StartTimer()
			}
		})
	}
}

// noLog is a log that keeps nothing.
type noLog struct{ seq uint64 }

func (l *noLog) Append(context.Context, []byte) (uint64, error)                   { l.seq++; return l.seq, nil }
func (l *noLog) Read(context.Context, uint64) ([]byte, error)                     { return nil, packs.ErrNoPack }
func (l *noLog) Last(context.Context) ([]byte, error)                             { return nil, nil }
func (l *noLog) Replay(context.Context, uint64, func(uint64, []byte) error) error { return nil }
func (l *noLog) Cut(context.Context, uint64) error                                { return nil }

// BenchmarkMemory tells how much memory a waiting message takes, bodies in the
// cache aside.
func BenchmarkMemory(b *testing.B) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const n = 1_000_000
	for b.Loop() {
		before := heap()
		q, err := open(b.Context(), &noLog{}, Config{})
		if err != nil {
			b.Fatal(err)
		}
		fill(b, q, n, 64, 10)
		q.cache.mu.Lock()
		cached := int64(q.cache.bytes)
		q.cache.mu.Unlock()
		b.ReportMetric(float64(heap()-before-cached)/n, "B/message")
		mustClose(b, q)
	}
}
