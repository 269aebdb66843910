package worker

import (
	"testing"
	"time"

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
		for b.Loop() {
			serveOne(b, s)
		}
	})
	b.Run("eight", func(b *testing.B) {
		spec := newSpec(b)
		b.SetParallelism(4) // by two processors
		b.ReportAllocs()
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

func serveOne(b *testing.B, s wasm.Session) {
	if a, err := s.Serve(b.Context(), &wasm.Request{Event: []byte("echo this"), Deadline: time.Now().Add(time.Minute), Log: nil}); err != nil || a.Failure != nil {
		b.Error(a, err)
	}
}
