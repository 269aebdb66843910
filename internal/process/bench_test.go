package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// discardLog is a sink that keeps nothing.
type discardLog struct{}

func (discardLog) Write(millicent.LogRecord) {}

// subjects are a launcher and a version of each kind of runtime here.
func subjects(b *testing.B, run func(b *testing.B, l *Launcher, v *millicent.Version)) {
	subjectsWith(b, nil, run)
}

func subjectsWith(b *testing.B, change func(*Config), run func(b *testing.B, l *Launcher, v *millicent.Version)) {
	machine.need(b)
	for _, s := range []struct{ runtime, file, text string }{
		{"provided.al2023", "", ""},
		{"python3.11", "app.py", "def handler(event, context):\n    return event\n"},
		{"nodejs20.x", "app.mjs", "export const handler = async (event) => event\n"},
	} {
		dir := machine.code("probe")
		if s.file != "" {
			dir = b.TempDir()
			if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
		l := machine.launcher(b, dir, discardLog{}, change)
		v := probeVersion()
		v.Runtime, v.Handler, v.MemoryMB = s.runtime, "app.handler", 1769
		if _, ok := l.cfg.Runtimes.Lookup(s.runtime); !ok {
			continue
		}
		b.Run(s.runtime, func(b *testing.B) { run(b, l, v) })
	}
}

func BenchmarkWarmInvoke(b *testing.B) {
	subjects(b, func(b *testing.B, l *Launcher, v *millicent.Version) {
		env, err := l.Launch(b.Context(), v)
		if err != nil {
			b.Fatal(err)
		}
		defer env.Close()
		for i := 0; b.Loop(); i++ {
			benchInvoke(b, env, i)
		}
	})
}

// BenchmarkColdStart starts environments one after another, from a pool that
// is given the time to fill up and from nothing, and reports the medians of
// the phases up to the first answer.
func BenchmarkColdStart(b *testing.B) {
	for name, size := range map[string]int{"pool-ready": 3, "pool-off": 0} {
		b.Run(name, func(b *testing.B) {
			subjectsWith(b, func(c *Config) { networked(b)(c); c.Pool.Max = size }, coldStarts)
		})
	}
}

func coldStarts(b *testing.B, l *Launcher, v *millicent.Version) {
	rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
	for range l.cfg.Pool.Max { // as if there had been starts
		if e, ok := l.pool.take(kindOf(v, rt)); ok {
			_ = e.close()
		}
	}
	var recs []*millicent.StartRecord
	var whole []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		if l.cfg.Pool.Max > 0 {
			filled(b, l, kindOf(v, rt), l.cfg.Pool.Max)
		}
		b.StartTimer()
		began := time.Now()
		env, err := l.Launch(b.Context(), v)
		if err != nil {
			b.Fatal(err)
		}
		res := benchInvoke(b, env, i)
		whole = append(whole, time.Since(began))
		recs = append(recs, res.Start)
		b.StopTimer()
		if err := env.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for name, phase := range map[string]func(r *millicent.StartRecord) time.Duration{
		"acquire": func(r *millicent.StartRecord) time.Duration { return r.Acquire },
		"attach":  func(r *millicent.StartRecord) time.Duration { return r.Attach },
		"boot":    func(r *millicent.StartRecord) time.Duration { return r.Boot },
		"init":    func(r *millicent.StartRecord) time.Duration { return r.Init },
		"invoke":  func(r *millicent.StartRecord) time.Duration { return r.FirstByte },
	} {
		var l []time.Duration
		for _, r := range recs {
			l = append(l, phase(r))
		}
		b.ReportMetric(micros(quantile(l, 0.5)), "µs-"+name)
	}
	b.ReportMetric(micros(quantile(whole, 0.5)), "µs-p50")
	b.ReportMetric(micros(quantile(whole, 0.99)), "µs-p99")
}

func micros(d time.Duration) float64 { return float64(d.Microseconds()) }

// quantile sorts l.
func quantile(l []time.Duration, q float64) time.Duration {
	slices.Sort(l)
	return l[min(len(l)-1, int(q*float64(len(l))))]
}

func benchInvoke(b *testing.B, env millicent.Environment, i int) *millicent.Result {
	inv := &millicent.Invocation{ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Event: []byte(`{"do":"echo","value":1}`)}
	res, err := env.Invoke(b.Context(), inv)
	if err != nil || res.FunctionError != "" {
		b.Fatalf("got %+v, %v", res, err)
	}
	return res
}
