package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEngineFigures(t *testing.T) {
	out := []byte(`goos: linux
BenchmarkServe/C/isolated-2         	   39202	     17302 ns/op	      4769 cpu-ns/op	      3956 instructions/op
BenchmarkServe/C/isolated-2         	   17029	      2234.5 ns/op	      6124 cpu-ns/op	      3956 instructions/op
BenchmarkServe/Rust/not-2           	   89436	      5816 ns/op	      2625 cpu-ns/op	      2005 instructions/op
PASS
`)
	for _, c := range []struct {
		name, kind string
		whole, cpu []float64
	}{
		{"C", "isolated", []float64{17.302, 2.2345}, []float64{4.769, 6.124}},
		{"C", "not", nil, nil},
		{"Rust", "not", []float64{5.816}, []float64{2.625}},
	} {
		whole, cpu := engineFigures(out, c.name, c.kind)
		if diff := cmp.Diff(c.whole, whole) + cmp.Diff(c.cpu, cpu); diff != "" {
			t.Errorf("%s %s: %s", c.name, c.kind, diff)
		}
	}
}
