package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// wasmMemory measures what one live instance adds to its worker: functions with
// one package are deployed and called once each, the first of them before. They
// rest before they are looked at.
func (b *bench) wasmMemory(ctx context.Context, m wasmModule) (err error) {
	targets := map[string]*target{"Rust": atMost(100), "JavaScript": atMost(400), "Go": atMost(600)}
	f, err := m.zipped()
	if err != nil {
		return err
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	names, err := s.deploy(ctx, f, b.size.instances+1)
	if err != nil {
		return err
	}
	var busy, rested [2]workload // with the first one, with all
	for i, some := range [][]string{names[:1], names[1:]} {
		if err := s.greetAll(ctx, some); err != nil {
			return err
		}
		if busy[i], err = s.workers(); err != nil {
			return err
		}
		if err := sleep(ctx, wasmRest); err != nil {
			return err
		}
		if rested[i], err = s.workers(); err != nil {
			return err
		}
	}
	each := func(w [2]workload) float64 { return (w[1].all() - w[0].all()) * 1024 / float64(len(names)-1) }
	b.rec.add(figure{
		Name: m.label + ": memory of a live instance", Unit: "KB", Value: number(each(rested)),
		Spread: unknown, N: len(names) - 1, Target: targets[m.label], Bare: unknown,
		Note: fmt.Sprintf("after %v at rest; %s KB right after the calls, with garbage of the starts; with the first one %s MB at rest",
			wasmRest, digits(each(busy)), digits(rested[0].all())),
	})
	return nil
}

// wasmRest is longer than it takes a worker to give back what it does not use.
const wasmRest = 8 * time.Second

// greetAll calls functions one after the other.
func (s *server) greetAll(ctx context.Context, names []string) (err error) {
	l, err := newLoader(s.addr, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, name := range names {
		if _, err := greet(ctx, l, s.event(name, "", `{"name":"somebody"}`)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// greet invokes one of these functions, and returns how long it took in ms.
func greet(ctx context.Context, l *loader, event []byte) (float64, error) {
	a, ms, err := l.once(ctx, event)
	if err == nil {
		err = a.greeted()
	}
	return ms, err
}

// A workload is the memory of processes that run WebAssembly, in MB.
type workload struct {
	pss      float64
	unmapped float64 // pages of files in memory that no process has touched by a mapping
	pids     []int
}

func (w workload) all() float64 { return w.pss + w.unmapped }

// workers looks at the processes below a server that run WebAssembly.
func (s *server) workers() (w workload, err error) {
	if w.pids, err = workersOf(s.pid()); err != nil {
		return w, err
	}
	for _, p := range w.pids {
		h, err := memoryOf(p)
		if err != nil {
			return w, err
		}
		w.pss += h.pss
		files, err := memoryFiles(p)
		if err != nil {
			return w, err
		}
		w.unmapped += max(0, files-h.shared)
	}
	if len(w.pids) == 0 {
		return w, errors.New("no worker for WebAssembly runs")
	}
	return w, nil
}

// workersOf lists the processes below pid that run WebAssembly.
func workersOf(pid int) (found []int, err error) {
	all, err := descendants(pid)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p)); err == nil && strings.HasPrefix(string(cmd), "millicent-wasm") {
			found = append(found, p)
		}
	}
	return found, nil
}

// memoryFiles is how many MB there are in the files that a process has in
// memory and open.
func memoryFiles(pid int) (mb float64, err error) {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return 0, err
	}
	for _, fd := range fds {
		var st unix.Stat_t
		if name, err := os.Readlink(fd); err != nil || !strings.HasPrefix(name, "/memfd:") || unix.Stat(fd, &st) != nil {
			continue // another kind, or closed meanwhile
		}
		mb += float64(st.Blocks) * 512 / (1 << 20)
	}
	return mb, nil
}

// wasmManyMB is what 10,000 functions in JavaScript may take of which 1,000
// are live.
const wasmManyMB = 1.5 * 1024

// wasmMany deploys many functions in JavaScript, no two of the same code, and
// calls some of them once each.
func (b *bench) wasmMany(ctx context.Context) (err error) {
	modules, err := b.wasmModules(ctx)
	if err != nil {
		return err
	}
	var all []function
	for _, m := range modules {
		if m.label == "JavaScript" {
			if all, err = m.distinct(b.size.wasmDeployed); err != nil {
				return err
			}
		}
	}
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	names, err := s.deployAll(ctx, all)
	if err != nil {
		return err
	}
	rate := float64(len(names)) / time.Since(began).Seconds()
	began = time.Now()
	if err := s.greetAll(ctx, names[:b.size.wasmLive]); err != nil {
		return err
	}
	starts := time.Since(began)
	if err := sleep(ctx, wasmRest); err != nil {
		return err
	}
	own, err := memoryOf(s.pid())
	if err != nil {
		return err
	}
	w, err := s.workers()
	if err != nil {
		return err
	}
	label := fmt.Sprintf("%s functions in JavaScript, %s live: ", digits(float64(len(names))), digits(float64(b.size.wasmLive)))
	var bound *target
	if len(names) >= deployedTarget {
		bound = atMost(wasmManyMB)
	}
	b.rec.add(figure{
		Name: label + "memory", Unit: "MB", Value: number(own.pss + w.all()), Spread: unknown, N: 1, Target: bound, Bare: unknown,
		Note: fmt.Sprintf("PSS of the server %s, of the worker %s, of images that it does not map %s; after %v at rest",
			digits(own.pss), digits(w.pss), digits(w.unmapped), wasmRest),
	})
	b.rec.add(figure{
		Name: label + "first call", Unit: "ms", Value: number(starts.Seconds() * 1e3 / float64(b.size.wasmLive)), Spread: unknown,
		N: b.size.wasmLive, Bare: unknown, Note: fmt.Sprintf("one after the other, mean; %s deployed a second, %d at a time", digits(rate), deployers),
	})
	return nil
}
