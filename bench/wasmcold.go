package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Cold starts of WebAssembly functions: from the first byte of an Invoke
// request to the last of its answer, of functions that were compiled when they
// were deployed, no two of which have the same code. Before each round the
// tenant's worker process is killed, so nothing of them is in memory; then each
// function is called once, and none again before the next round. The languages
// take turns.

// A wasmStart is what a cold start has to begin with.
type wasmStart int

const (
	wasmModuleOnly wasmStart = iota // the worker runs
	wasmEngineToo                   // and has not run JavaScript yet
	wasmWorkerToo                   // there is no worker
	wasmStarts
)

var (
	wasmColdTargets = map[string]*target{"Rust": atMost(5), "JavaScript": atMost(20), "Go": atMost(60)}
	wasmStartNotes  = [wasmStarts]string{"the tenant's worker runs", "the same, and the first in JavaScript there", "the worker process is started, too"}
)

// wasmCold measures them.
func (b *bench) wasmCold(ctx context.Context) (err error) {
	modules, err := b.wasmModules(ctx)
	if err != nil {
		return err
	}
	s, err := b.startServer(ctx, "--keep-alive", keepAlive.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	events := make([][][]byte, len(modules))
	for i, m := range modules {
		all, err := m.distinct(b.size.wasmModules)
		if err != nil {
			return err
		}
		names, err := s.deployAll(ctx, all)
		if err != nil {
			return err
		}
		if err := s.greetAll(ctx, names); err != nil { // which waits until they are compiled
			return err
		}
		for _, name := range names {
			events[i] = append(events[i], s.event(name, "", `{"name":"somebody"}`))
		}
	}
	samples := make([][wasmStarts][]float64, len(modules))
	for round := range b.size.wasmRounds {
		if err := b.wasmColdRound(ctx, s, round, modules, events, samples); err != nil {
			return err
		}
	}
	for i, m := range modules {
		b.recordWasmCold(m.label, &samples[i])
	}
	return nil
}

// wasmColdRound calls each function once, beginning with another language in
// each round.
func (b *bench) wasmColdRound(ctx context.Context, s *server, round int, modules []wasmModule, events [][][]byte, samples [][wasmStarts][]float64) (err error) {
	if err := s.endWorkers(ctx); err != nil {
		return err
	}
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for n := range events[0] {
		for turn := range modules {
			i := (round + turn) % len(modules)
			kind := wasmModuleOnly
			switch {
			case n == 0 && turn == 0:
				kind = wasmWorkerToo
			case n == 0 && modules[i].runtime == "javascript":
				kind = wasmEngineToo
			}
			if err := sleep(ctx, b.size.pause); err != nil {
				return err
			}
			ms, err := greet(ctx, l, events[i][n])
			if err != nil {
				return fmt.Errorf("%s: %w", modules[i].label, err)
			}
			samples[i][kind] = append(samples[i][kind], ms)
		}
	}
	return nil
}

// endWorkers waits until no environment is left, and kills the processes that
// run WebAssembly.
func (s *server) endWorkers(ctx context.Context) error {
	if err := sleep(ctx, keepAlive*3/2); err != nil {
		return err
	}
	for {
		pids, err := workersOf(s.pid())
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// recordWasmCold records the cold starts of one language. The target is that of
// a module that is not in memory: for JavaScript with and without its engine's.
func (b *bench) recordWasmCold(label string, samples *[wasmStarts][]float64) {
	bounds := [wasmStarts]*target{wasmModuleOnly: wasmColdTargets[label], wasmEngineToo: wasmColdTargets[label]}
	for kind, all := range samples {
		if len(all) == 0 {
			continue
		}
		s := summarise(all)
		b.rec.add(figure{
			Name: label + ", " + wasmStartNotes[kind] + ": p50", Unit: "ms", Value: number(s.p50), Spread: number(s.mad), N: s.n,
			Target: bounds[kind], Bare: unknown, Note: fmt.Sprintf("min %s, p90 %s, max %s", digits(s.min), digits(s.p90), digits(s.max)),
		})
	}
}
