package queue

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
