package process

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// BenchmarkSustained starts environments, has each answer once and closes it,
// with as many at a time as four callers of each processor make. The processor
// time is that of cpuTime and of what ran in the sandboxes. It fails when
// one start does, or when something is left: -benchtime 20s for the long run.
func BenchmarkSustained(b *testing.B) {
	subjectsWith(b, func(c *Config) { networked(b)(c); c.Pool = DefaultPool }, func(b *testing.B, l *Launcher, v *millicent.Version) {
		warm := func() {
			env, err := l.Launch(b.Context(), v)
			if err != nil {
				b.Fatal(err)
			}
			benchInvoke(b, env, 0)
			if err := env.Close(); err != nil {
				b.Fatal(err)
			}
		}
		warm()
		goroutines := runtime.NumGoroutine()
		var pooled, inside atomic.Int64
		b.SetParallelism(4)
		b.ResetTimer()
		began, cpu := time.Now(), cpuTime()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				env, err := l.Launch(b.Context(), v)
				if err != nil {
					b.Error(err)
					return
				}
				if res := benchInvoke(b, env, 1); res.Start.From != millicent.FromNothing {
					pooled.Add(1)
				}
				st, err := env.(*environment).box.Stats()
				if err != nil {
					b.Error(err)
					return
				}
				inside.Add(int64(st.CPU))
				if err := env.Close(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		took := time.Since(began)
		b.StopTimer()
		b.ReportMetric(float64(b.N)/took.Seconds(), "starts/s")
		b.ReportMetric(micros(cpuTime()-cpu+time.Duration(inside.Load()))/float64(b.N), "µs-cpu/start")
		b.ReportMetric(100*float64(pooled.Load())/float64(b.N), "%-from-pool")
		if err := l.pool.close(); err != nil {
			b.Error(err)
		}
		for deadline := time.Now().Add(testWait); runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%d goroutines, from %d", runtime.NumGoroutine(), goroutines)
			}
		}
		l.pool = newPool(l.cfg.Pool, l.pool.prepare, l.pool.warn)
	})
}

// cpuTime returns the processor time of this process and of those of its
// children that have ended. What the kernel does for nobody in particular is
// not in it, nor what was killed with its pid 1, for which nobody waits.
func cpuTime() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return sum
}

// BenchmarkBurst has a hundred functions called for the first time at once and
// waits for the last answer.
func BenchmarkBurst(b *testing.B) {
	const calls = 100
	subjectsWith(b, func(c *Config) { networked(b)(c); c.Pool = DefaultPool }, func(b *testing.B, l *Launcher, v *millicent.Version) {
		var last []time.Duration
		for b.Loop() {
			var wg sync.WaitGroup
			envs := make([]millicent.Environment, calls)
			began := time.Now()
			for i := range envs {
				wg.Go(func() {
					own := v.Clone()
					own.Function = fmt.Sprint("function-", i)
					env, err := l.Launch(b.Context(), own)
					if err != nil {
						b.Error(err)
						return
					}
					envs[i] = env
					benchInvoke(b, env, i)
				})
			}
			wg.Wait()
			last = append(last, time.Since(began))
			b.StopTimer()
			for _, env := range envs {
				if env != nil {
					wg.Go(func() {
						if err := env.Close(); err != nil {
							b.Error(err)
						}
					})
				}
			}
			wg.Wait()
			rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
			filled(b, l, kindOf(v, rt), l.cfg.Pool.Max)
			b.StartTimer()
		}
		b.ReportMetric(micros(quantile(last, 0.5))/1000, "ms-all-answered")
	})
}

// BenchmarkFork forks stems into sandboxes that are there, and reports the
// processor time of one: of this process, and of the forked with its sandbox.
func BenchmarkFork(b *testing.B) {
	machine.need(b)
	l := machine.launcher(b, b.TempDir(), discardLog{}, networked(b))
	rt, ok := l.cfg.Runtimes.Lookup("python3.11")
	if !ok {
		b.Skip(rt.Note)
	}
	z := l.zygote(rt)
	var took []time.Duration
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		p, err := l.prepare(b.Context(), l.preparedSpec(), false)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		before, began := cpuTime(), time.Now()
		if p.stem, err = z.fork(b.Context(), p.box, nil); err != nil {
			b.Fatal(err)
		}
		took, cpu = append(took, time.Since(began)), cpu+cpuTime()-before
		b.StopTimer()
		if err := p.close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(micros(quantile(took, 0.5)), "µs-p50")
	b.ReportMetric(micros(cpu)/float64(b.N), "µs-cpu-server")
}
