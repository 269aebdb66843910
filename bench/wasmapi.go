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

// A wasmModule is what a function of a runtime for WebAssembly is made of.
type wasmModule struct {
	label    string // its language
	function        // without its zip
	file     string // its name in the package
	code     []byte
}

// zipped returns the function.
func (m wasmModule) zipped() (function, error) {
	zip, err := zipOf(map[string]string{m.file: string(m.code)})
	m.zip = zip
	return m.function, err
}

// distinct returns n functions with code that does the same and is no other's:
// a module has one section more, which names it, and JavaScript a comment.
func (m wasmModule) distinct(n int) (all []function, err error) {
	for i := range n {
		one := m
		name := fmt.Sprintf("%s-%d", m.name, i)
		if one.code = append(bytes.Clone(m.code), "\n// "+name...); m.runtime == "wasm" {
			section := append([]byte{byte(len(name))}, name...)
			one.code = append(append(bytes.Clone(m.code), 0, byte(len(section))), section...)
		}
		f, err := one.zipped()
		if err != nil {
			return nil, err
		}
		f.name = name
		all = append(all, f)
	}
	return all, nil
}

// wasmModules are the code of functions in three languages that do the same. It
// needs the module's sources, and the compilers that `make examples-wasm`
// installs.
func (b *bench) wasmModules(ctx context.Context) (all []wasmModule, err error) {
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
		all = append(all, wasmModule{
			label: f.name, file: f.file, code: code,
			function: function{name: "wasm-" + strings.ToLower(f.name), runtime: f.runtime, handler: f.handler, memoryMB: defaultMB},
		})
	}
	return all, nil
}

// wasm measures functions that are WebAssembly modules through the Lambda API,
// in a worker process: with one caller, with 8 connections, and their memory.
func (b *bench) wasm(ctx context.Context) (err error) {
	modules, err := b.wasmModules(ctx)
	if err != nil {
		return err
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	all := []contestant{b.bareContestant()}
	for _, m := range modules {
		f, err := m.zipped()
		if err != nil {
			return err
		}
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		all = append(all, contestant{name: m.label, addr: s.addr, event: s.event(names[0], "", `{"name":"somebody"}`), check: answer.greeted, pid: s.pid()})
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
	for _, m := range modules {
		if err := b.wasmMemory(ctx, m); err != nil {
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
