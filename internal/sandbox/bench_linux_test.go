package sandbox

import (
	"crypto/rand"
	"slices"
	"syscall"
	"testing"
	"time"
)

var benchSpec = Spec{Memory: 128 * mib, CPU: 1, Tmp: 512 * mib, Redirect: 1000, Hostname: "bench"}

// A stopwatch keeps how long each phase took.
type stopwatch struct {
	last  time.Time
	laps  map[string][]time.Duration
	names []string
}

func (w *stopwatch) start() { w.last = time.Now() }

func (w *stopwatch) lap(name string) {
	now := time.Now()
	if w.laps == nil {
		w.laps = map[string][]time.Duration{}
	}
	if w.laps[name] == nil {
		w.names = append(w.names, name)
	}
	w.laps[name] = append(w.laps[name], now.Sub(w.last))
	w.last = now
}

// report reports the median of each phase.
func (w *stopwatch) report(b *testing.B) {
	for _, name := range w.names {
		l := w.laps[name]
		slices.Sort(l)
		b.ReportMetric(float64(l[len(l)/2].Microseconds()), "µs-"+name)
	}
}

// used returns the processor time of this process, and of its children.
func used() (self, children time.Duration) {
	for who, d := range map[int]*time.Duration{syscall.RUSAGE_SELF: &self, syscall.RUSAGE_CHILDREN: &children} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			*d = time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return self, children
}

// BenchmarkPhases makes a sandbox step by step, as build does, runs /bin/true
// in it and closes it. It reports the median of each phase, and the processor
// time of the server and of pid 1 with its child.
func BenchmarkPhases(b *testing.B) {
	h := openHost(b)
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	var w stopwatch
	self, children := used()
	for b.Loop() {
		w.start()
		began := w.last
		s := h.newSandbox(rand.Text()[:16])
		must(h.adopt(s))
		var p parts
		must(s.claim(&p))
		w.lap("1-claim")
		must(s.startPID1())
		w.lap("2-clone")
		must(s.gather(b.Context(), benchSpec, &p))
		w.lap("3-gather")
		must(s.setUp(b.Context(), benchSpec, &p))
		w.lap("4-set-up")
		must(s.group.limit(benchSpec))
		p.close()
		w.lap("5-limit")
		w.last = began
		w.lap("new")
		w.start()
		t, err := s.Start(Cmd{Path: "/bin/true", Args: []string{"true"}})
		must(err)
		w.lap("start")
		<-t.Done()
		w.start()
		must(s.Close())
		w.lap("close")
	}
	selfNow, childrenNow := used()
	w.report(b)
	b.ReportMetric(float64((selfNow-self).Microseconds())/float64(b.N), "µs-cpu-server")
	b.ReportMetric(float64((childrenNow-children).Microseconds())/float64(b.N), "µs-cpu-pid1")
}

// BenchmarkChurn makes and closes sandboxes as fast as four callers can.
func BenchmarkChurn(b *testing.B) {
	h := openHost(b)
	b.SetParallelism(2) // per processor
	began := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s, err := h.New(b.Context(), benchSpec)
			if err != nil {
				b.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "sandboxes/s")
}

// BenchmarkAttach shows a directory in a running sandbox.
func BenchmarkAttach(b *testing.B) {
	h := openHost(b)
	s := newSandbox(b, h, benchSpec)
	dir := b.TempDir()
	var w stopwatch
	for n := 0; b.Loop(); n++ {
		if n%100 == 99 { // a few on top of one another, not thousands
			b.StopTimer()
			s = newSandbox(b, h, benchSpec)
			b.StartTimer()
		}
		w.start()
		if err := s.Attach(Mount{dir, "/var/task"}); err != nil {
			b.Fatal(err)
		}
		w.lap("attach")
	}
	w.report(b)
}

// BenchmarkYardstick runs /bin/true without a sandbox: how fast the machine is
// at this moment.
func BenchmarkYardstick(b *testing.B) {
	for b.Loop() {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
}
