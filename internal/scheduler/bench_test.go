package scheduler

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// BenchmarkWarm is the scheduler's part of a warm invocation.
func BenchmarkWarm(b *testing.B) {
	s := start(b, &fakeLauncher{}, Config{MaxMemoryMB: 1 << 20})
	v := fakeVersion("a", 128)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		lease, err := s.Acquire(ctx, v, nil)
		if err != nil {
			b.Fatal(err)
		}
		lease.Release(false)
	}
}

// BenchmarkWarmParallel has all cores at 200 functions with one environment
// or more each.
func BenchmarkWarmParallel(b *testing.B) {
	s := start(b, &fakeLauncher{}, Config{MaxMemoryMB: 1 << 20})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for i := 0; pb.Next(); i++ {
			lease, err := s.Acquire(ctx, benchVersions[i%len(benchVersions)], nil)
			if err != nil {
				b.Error(err)
				return
			}
			lease.Release(false)
		}
	})
}

var benchVersions = func() (vs [200]*millicent.Version) {
	for i := range vs {
		vs[i] = fakeVersion("function-"+strconv.Itoa(i), 128)
	}
	return vs
}()

// BenchmarkPlan is what an event costs on a full machine while callers of 200
// functions wait.
func BenchmarkPlan(b *testing.B) {
	s := start(b, &fakeLauncher{}, Config{MaxEnvironments: 1, QueueWait: time.Hour})
	lease, err := s.Acquire(context.Background(), fakeVersion("a", 128), nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, v := range benchVersions {
		wg.Go(func() {
			if l, err := s.Acquire(ctx, v, nil); err == nil {
				l.Release(false)
			}
		})
	}
	for s.Snapshot().Waiting < len(benchVersions) {
		runtime.Gosched()
	}
	for b.Loop() {
		s.mu.Lock()
		s.plan()
		s.mu.Unlock()
	}
	cancel()
	wg.Wait()
	lease.Release(false)
}
