package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// This file measures functions that are WebAssembly modules: a request by the
// engine alone, which its package's own benchmarks tell, and then the platform
// with them, from outside.

// wasmTargets are what requests by the engine alone may take, in µs.
var wasmTargets = []struct {
	name   string
	target *target
}{{"C", atMost(5)}, {"Rust", atMost(10)}, {"JavaScript", atMost(30)}, {"Go", atMost(40)}}

// benchmarkLine is one of `go test -bench`'s.
var benchmarkLine = regexp.MustCompile(`(?m)^BenchmarkServe/(\w+)/(\w+)-\d+\s+\d+\s+([0-9.]+) ns/op\s+([0-9.]+) cpu-ns/op`)

// wasmEngine runs the engine's benchmarks. It needs the module's sources, and
// the compilers that `make examples-wasm` installs.
func (b *bench) wasmEngine(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkServe$",
		"-benchtime", b.size.engine.String(), "-count", strconv.Itoa(engineRounds), "github.com/millicent-run/millicent/internal/wasm")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmarks of the engine: %w\n%s", err, out)
	}
	for _, w := range wasmTargets {
		whole, cpu := engineFigures(out, w.name, "isolated")
		alone, _ := engineFigures(out, w.name, "not")
		if len(whole) == 0 {
			b.rec.fail(w.name+": isolated request", w.target, errors.New("its compiler is not installed"))
			continue
		}
		s := summarise(whole)
		note := fmt.Sprintf("processor time %s µs; without isolation %s µs", digits(median(cpu)), digits(median(alone)))
		if len(alone) == 0 {
			note = fmt.Sprintf("processor time %s µs; a command, which begins anew each time", digits(median(cpu)))
		}
		b.rec.add(figure{
			Name: w.name + ": isolated request", Unit: "µs", Value: number(s.p50), Spread: number(s.mad), N: s.n,
			Target: w.target, Bare: unknown, Note: note,
		})
	}
	return b.wasmOthers(ctx)
}

// wasmOthers measures how long the collector of garbage waits for guests that
// do nothing but loop, and whoever asked for it.
func (b *bench) wasmOthers(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkOthersWait$",
		"-benchtime", fmt.Sprintf("%dx", max(1, int(b.size.engine/time.Second))), "github.com/millicent-run/millicent/internal/wasm")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of others beside guests: %w\n%s", err, out)
	}
	m := othersLine.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("benchmark of others beside guests: no figure in %q", out)
	}
	longest, _ := strconv.ParseFloat(string(m[1]), 64) // both matched as numbers
	b.rec.add(figure{
		Name: "longest collection of garbage beside guests that loop", Unit: "ms", Value: number(longest), Spread: unknown, N: 1,
		Target: atMost(50), Bare: unknown, Note: fmt.Sprintf("a guest on each processor; the median is %s ms", m[2]),
	})
	return nil
}

var othersLine = regexp.MustCompile(`([0-9.]+) longest-ms\s+([0-9.]+) median-ms`)

// engineRounds is how often each benchmark runs.
const engineRounds = 5

// engineFigures finds a benchmark's rounds: µs for each request, and µs of
// the process's processor time.
func engineFigures(out []byte, name, kind string) (whole, cpu []float64) {
	for _, m := range benchmarkLine.FindAllSubmatch(out, -1) {
		if string(m[1]) != name || string(m[2]) != kind {
			continue
		}
		ns, _ := strconv.ParseFloat(string(m[3]), 64) // both matched as numbers
		used, _ := strconv.ParseFloat(string(m[4]), 64)
		whole, cpu = append(whole, ns/1e3), append(cpu, used/1e3)
	}
	return whole, cpu
}
