package sandbox

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkStart makes a sandbox and runs /bin/true in it. Beside the mean it
// reports the medians of the making, of the running and of the closing.
func BenchmarkStart(b *testing.B) {
	h := openHost(b)
	var made, ran, closed []time.Duration
	for b.Loop() {
		t0 := time.Now()
		s, err := h.New(b.Context(), Spec{Memory: 128 * mib, CPU: 1, Tmp: 512 * mib, Redirect: 1000})
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		p, err := s.Start(Cmd{Path: "/bin/true", Args: []string{"true"}})
		if err != nil {
			b.Fatal(err)
		}
		<-p.Done()
		t2 := time.Now()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		made, ran, closed = append(made, t1.Sub(t0)), append(ran, t2.Sub(t1)), append(closed, time.Since(t2))
	}
	for what, l := range map[string][]time.Duration{"ms-new": made, "ms-run": ran, "ms-close": closed} {
		slices.Sort(l)
		b.ReportMetric(float64(l[len(l)/2].Microseconds())/1000, what)
	}
}
