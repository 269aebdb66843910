package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// wasmFunctions makes functions of the runtimes for WebAssembly. It needs the
// module's sources, and the compilers that `make examples-wasm` installs.
func (b *bench) wasmFunctions(ctx context.Context) (all []function, err error) {
	dir := filepath.Join(b.tmp, "wasm")
	if out, err := exec.CommandContext(ctx, "examples/build-wasm.sh", dir, "wasm-rust", "wasm-go-reactor").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the examples: %w\n%s", err, out)
	}
	for _, f := range []struct{ name, runtime, handler, file, path string }{
		{"Rust", "wasm", "bootstrap", "bootstrap", "wasm-rust/bootstrap"},
		{"JavaScript", "javascript", "index.handler", "index.mjs", ""},
		{"Go", "wasm", "bootstrap", "bootstrap", "wasm-go-reactor/bootstrap"},
	} {
		code := []byte(source("wasm/index.mjs"))
		if f.path != "" {
			if code, err = os.ReadFile(filepath.Join(dir, f.path)); err != nil {
				return nil, err
			}
		}
		zip, err := zipOf(map[string]string{f.file: string(code)})
		if err != nil {
			return nil, err
		}
		all = append(all, function{name: "wasm-" + strings.ToLower(f.name), runtime: f.runtime, handler: f.handler, zip: zip, memoryMB: defaultMB})
	}
	return all, nil
}

// wasmLabels are the languages of wasmFunctions.
var wasmLabels = []string{"Rust", "JavaScript", "Go"}

// wasm measures functions that are WebAssembly modules through the Lambda API,
// in a worker process: with one caller, with 8 connections, and their memory.
func (b *bench) wasm(ctx context.Context) (err error) {
	functions, err := b.wasmFunctions(ctx)
	if err != nil {
		return err
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	all := []contestant{b.bareContestant()}
	for i, f := range functions {
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		all = append(all, contestant{name: wasmLabels[i], addr: s.addr, event: s.event(names[0], "", `{"name":"somebody"}`), check: answer.greeted, pid: s.pid()})
	}
	latency := func(_ int, us []float64, _ time.Duration) []float64 { return us }
	if err := b.race(ctx, all, nil, 1, latency, b.recordWasmLatency); err != nil {
		return err
	}
	rate := func(_ int, us []float64, took time.Duration) []float64 {
		return []float64{float64(len(us)) / took.Seconds()}
	}
	if err := b.race(ctx, all, nil, throughputConns, rate, b.recordWasmRate); err != nil {
		return err
	}
	for i, f := range functions {
		if err := b.wasmMemory(ctx, wasmLabels[i], f); err != nil {
			return err
		}
	}
	return nil
}

// greeted checks the answer of these functions.
func (a answer) greeted() error {
	if a.status != 200 || !bytes.Contains(a.body, []byte("Hello, somebody!")) {
		return fmt.Errorf("status %d: %.300s", a.status, a.body)
	}
	return nil
}

func (b *bench) recordWasmLatency(r *race) {
	bare := median(r.results[0].medians())
	for i, c := range r.contestants[1:] {
		over := summarise(r.results[i+1].over(&r.results[0]))
		s := summarise(r.results[i+1].all())
		b.rec.add(figure{
			Name: c.name + ": p50 above bare net/http", Unit: "µs", Value: number(over.p50), Spread: number(over.mad), N: over.n,
			Target: atMost(100), Bare: number(bare), Note: fmt.Sprintf("of each round's medians; in all p50 %s, p99 %s", digits(s.p50), digits(s.p99)),
		})
	}
}

func (b *bench) recordWasmRate(r *race) {
	targets := map[string]*target{"Rust": atLeast(20_000), "JavaScript": atLeast(15_000)}
	bare := median(r.results[0].all())
	for i, c := range r.contestants[1:] {
		s := summarise(r.results[i+1].all())
		b.rec.add(figure{
			Name: c.name + ": 8 connections", Unit: "/s", Value: number(s.p50), Spread: number(s.mad), N: s.n,
			Target: targets[c.name], Bare: number(bare), Note: strings.TrimSuffix(fmt.Sprint(r.bills[i+1]), "; "),
		})
	}
}

// wasmMemory measures what one live instance adds to the server and its worker:
// functions with one package are deployed and called once each, the first of
// them before.
func (b *bench) wasmMemory(ctx context.Context, label string, f function) (err error) {
	targets := map[string]*target{"Rust": atMost(100), "JavaScript": atMost(400), "Go": atMost(600)}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	names, err := s.deploy(ctx, f, b.size.instances+1)
	if err != nil {
		return err
	}
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var before float64
	for i, name := range names {
		a, _, err := l.once(ctx, s.event(name, "", `{"name":"somebody"}`))
		if err == nil {
			err = a.greeted()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 {
			if before, err = workersMB(s.pid()); err != nil {
				return err
			}
		}
	}
	after, err := workersMB(s.pid())
	if err != nil {
		return err
	}
	b.rec.add(figure{
		Name: label + ": memory of a live instance", Unit: "KB", Value: number((after - before) * 1024 / float64(len(names)-1)), Spread: unknown,
		N: len(names) - 1, Target: targets[label], Bare: unknown, Note: fmt.Sprintf("PSS of the worker, %s MB with the first", digits(before)),
	})
	return nil
}

// workersMB is the PSS of the processes below a server that run WebAssembly.
func workersMB(pid int) (mb float64, err error) {
	all, err := descendants(pid)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); err != nil || !strings.HasPrefix(string(cmd), "millicent-wasm") {
			continue // another kind, or ended meanwhile
		}
		h, err := memoryOf(p)
		if err != nil {
			return 0, err
		}
		mb += h.pss
	}
	if mb == 0 {
		return 0, errors.New("no worker for WebAssembly runs")
	}
	return mb, nil
}
