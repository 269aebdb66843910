package store

import (
	"fmt"
	"testing"

	"github.com/millicent-run/millicent"
)

// benchmarkOpen measures from nothing to a store that serves: the state
// server's start, the connection and Open.
func benchmarkOpen(b *testing.B, functions int) {
	state, packages := b.TempDir(), b.TempDir()
	js, stop := startJetStream(b, state)
	s, err := Open(b.Context(), js, Config{Dir: packages})
	if err != nil {
		b.Fatal(err)
	}
	for i := range functions {
		f := newFunction(fmt.Sprintf("function-%d", i), millicent.Package{})
		f.Draft.Package.SHA256 = fmt.Sprintf("%064x", i)
		f.Draft.Environment = map[string]string{"TABLE": "orders", "STAGE": "production", "LEVEL": "info"}
		f.Tags = map[string]string{"team": "checkout"}
		f.Published = []int{1}
		f.URLs = map[string]*millicent.FunctionURL{"": {ID: fmt.Sprintf("%032d", i)}}
		f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "1"}}
		if _, err := s.Create(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	stop()
	for b.Loop() {
		js, stop := startJetStream(b, state)
		s, err := Open(b.Context(), js, Config{Dir: packages})
		if err != nil {
			b.Fatal(err)
		}
		if n := len(s.Functions(testTenant)); n != functions {
			b.Fatalf("%d functions", n)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		stop()
		b.StartTimer()
	}
}

func BenchmarkOpen1000(b *testing.B)  { benchmarkOpen(b, 1000) }
func BenchmarkOpen10000(b *testing.B) { benchmarkOpen(b, 10000) }

func BenchmarkResolve(b *testing.B) {
	s := mustOpen(b, newJetStream(b), Config{})
	f := newFunction("hello", millicent.Package{})
	f.Published = []int{1}
	f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "1"}}
	mustCreate(b, s, f)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Resolve(testTenant, "hello", "live", 0.5); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	s := mustOpen(b, newJetStream(b), Config{})
	mustCreate(b, s, newFunction("hello", millicent.Package{}))
	for i := 0; b.Loop(); i++ {
		mustUpdate(b, s, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 128 + i })
	}
}

// BenchmarkCreate measures a deploy: package, function and activation.
func BenchmarkCreate(b *testing.B) {
	s := mustOpen(b, newJetStream(b), Config{})
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("function-%d", i)
		p := putZip(b, s, zipOf(b, file{name: "app.py", content: name}))
		mustCreate(b, s, newFunction(name, p))
		awaitSettled(b, s, name, millicent.Latest)
	}
}
