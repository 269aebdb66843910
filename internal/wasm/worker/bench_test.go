package worker

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/wasm"
)

// BenchmarkSession is a request whose guest does next to nothing: what is left
// is the way to the worker and back, and the reset.
func BenchmarkSession(b *testing.B) {
	b.Run("worker", func(b *testing.B) {
		requests(b, newHost(b, newPool(b, Config{}), "a"))
	})
	b.Run("local", func(b *testing.B) {
		l, err := wasm.NewLocal(wasm.LocalConfig{})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		requests(b, l)
	})
}

func requests(b *testing.B, h wasm.Host) {
	b.Run("one", func(b *testing.B) {
		s, err := h.Open(b.Context(), newSpec(b))
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		b.ReportAllocs()
		done := used(b, h)
		for b.Loop() {
			serveOne(b, s)
		}
		done()
	})
	b.Run("eight", func(b *testing.B) {
		spec := newSpec(b)
		b.SetParallelism(4) // by two processors
		b.ReportAllocs()
		done := used(b, h)
		defer func() { done() }()
		b.RunParallel(func(pb *testing.PB) {
			s, err := h.Open(b.Context(), spec)
			if err != nil {
				b.Error(err)
				return
			}
			defer s.Close()
			for pb.Next() {
				serveOne(b, s)
			}
		})
	})
}

// used begins to count the processor time of this process and of the worker's,
// which a loaded machine disturbs less than time.
func used(b *testing.B, h wasm.Host) (report func()) {
	times := func() (ours, theirs time.Duration) {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Error(err)
		}
		if h, ok := h.(*Host); ok {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.current != nil && h.current.process != nil {
				var err error
				if theirs, err = h.current.process.sandbox.CPU(); err != nil {
					b.Error(err)
				}
			}
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()), theirs
	}
	ours, theirs := times()
	return func() {
		nowOurs, nowTheirs := times()
		b.ReportMetric(float64(nowOurs-ours)/1e3/float64(b.N), "server-µs/op")
		if nowTheirs > 0 {
			b.ReportMetric(float64(nowTheirs-theirs)/1e3/float64(b.N), "worker-µs/op")
		}
	}
}

func serveOne(b *testing.B, s wasm.Session) {
	if a, err := s.Serve(b.Context(), &wasm.Request{Event: []byte("echo this"), Deadline: time.Now().Add(time.Minute), Log: nil}); err != nil || a.Failure != nil {
		b.Error(a, err)
	}
}
