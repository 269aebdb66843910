package server

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process"
	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/launcher"
	"github.com/millicent-run/millicent/internal/wasm/worker"
)

// launchers start environments of both kinds: the version says which.
type launchers struct {
	process *process.Launcher
	wasm    *launcher.Launcher
	code    func(ctx context.Context, v *millicent.Version) (string, error)

	mu      sync.Mutex
	modules map[string]bool // by digest: whether the bootstrap in there is a WebAssembly module
}

// Launch implements millicent.Launcher.
func (l *launchers) Launch(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	of, err := l.of(ctx, v)
	if err != nil {
		return nil, err
	}
	return of.Launch(ctx, v)
}

// Provision implements millicent.Provisioner.
func (l *launchers) Provision(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	of, err := l.of(ctx, v)
	if err != nil {
		return nil, err
	}
	return of.Provision(ctx, v)
}

// Uses reports whether an environment runs the package of a digest.
func (l *launchers) Uses(digest string) bool { return l.process.Uses(digest) || l.wasm.Uses(digest) }

// of returns the launcher for a version.
func (l *launchers) of(ctx context.Context, v *millicent.Version) (millicent.Provisioner, error) {
	is, err := l.isWasm(ctx, v)
	switch {
	case err != nil:
		return nil, err
	case is:
		return l.wasm, nil
	}
	return l.process, nil
}

// wasmRuntime reports whether all versions of a runtime are WebAssembly.
func wasmRuntime(name string) bool {
	return name == launcher.RuntimeWasm || name == launcher.RuntimeJavaScript
}

// isWasm reports whether a version is WebAssembly: its runtime says so, or is
// for bootstraps and the package's is a module.
func (l *launchers) isWasm(ctx context.Context, v *millicent.Version) (bool, error) {
	if !strings.HasPrefix(v.Runtime, "provided") {
		return wasmRuntime(v.Runtime), nil
	}
	if is, known := l.known(v); known {
		return is, nil
	}
	dir, err := l.code(ctx, v)
	if err != nil {
		return false, err
	}
	is := launcher.IsModule(dir, "bootstrap")
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.modules) >= maxModules {
		clear(l.modules) // they are looked at again
	}
	l.modules[v.Package.SHA256] = is
	return is, nil
}

// maxModules is how many packages it is remembered of what their bootstrap is.
const maxModules = 100_000

// known is isWasm as far as that is known without looking at the package.
func (l *launchers) known(v *millicent.Version) (is, known bool) {
	if !strings.HasPrefix(v.Runtime, "provided") {
		return wasmRuntime(v.Runtime), true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	is, known = l.modules[v.Package.SHA256]
	return is, known
}

// idleWasmMB is what the environment of a WebAssembly version counts for among
// all: such a one keeps some hundreds of kilobytes. What its guests have while
// they run is bounded by the limit of their tenant's worker.
const idleWasmMB = 1

// size is how much memory an environment of a version takes of what all may
// have, in MB.
func (l *launchers) size(v *millicent.Version) int {
	if is, _ := l.known(v); is {
		return min(idleWasmMB, v.MemoryMB)
	}
	return v.MemoryMB
}

// newWasm makes the launcher of WebAssembly: in one worker process for each
// tenant, or in this one.
func (s *server) newWasm(code func(ctx context.Context, v *millicent.Version) (string, error)) error {
	cache := filepath.Join(s.cfg.Data, "wasm")
	cfg := launcher.Config{Region: s.cfg.Region, Code: code, Logs: s.logs, Log: s.log, Egress: s.egress, Allow: s.allow}
	if s.cfg.WasmInProcess {
		host, err := wasm.NewLocal(wasm.LocalConfig{EngineConfig: wasm.EngineConfig{CacheDir: filepath.Join(cache, "in-process")}})
		if err != nil {
			return err
		}
		s.built.push("WebAssembly", func(context.Context) error { return host.Close() })
		cfg.Host = func(string) (wasm.Host, error) { return host, nil }
	} else {
		pool, err := worker.NewPool(worker.Config{Sandboxes: s.host, CacheDir: filepath.Join(cache, "tenants"), Log: s.log})
		if err != nil {
			return err
		}
		s.built.push("WebAssembly", func(context.Context) error { return pool.Close() })
		cfg.Host = pool.Host
	}
	s.launchers = &launchers{process: s.launcher, wasm: launcher.New(cfg), code: code, modules: map[string]bool{}}
	return nil
}
