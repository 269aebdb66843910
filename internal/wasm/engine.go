package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// EngineConfig says how an Engine works. Zero values take the defaults.
type EngineConfig struct {
	CacheDir string // where compiled code is kept; "" for nowhere
	Audit    int    // one in so many resets is checked byte by byte; 0 for none

	// Memory is how many bytes the process may have: guests' memories are not
	// to grow beyond it. 0 for no limit.
	Memory int64

	// PlainPagemap reads /proc/self/pagemap where it would ask the kernel by
	// ioctl, as on kernels before 6.7.
	PlainPagemap bool
}

// An Engine compiles programs and runs them. It is safe for concurrent use.
type Engine struct {
	cfg     EngineConfig
	runtime wazero.Runtime
	cache   wazero.CompilationCache // nil for none
	pagemap *os.File
	budget  *budget
	scripts scripts
	codes   codes
	ending  chan struct{} // closed by End
	end     func()
}

// NewEngine returns an Engine. Close it.
func NewEngine(ctx context.Context, cfg EngineConfig) (*Engine, error) {
	e := &Engine{cfg: cfg, codes: codes{all: map[[sha256.Size]byte]*codeUse{}}, ending: make(chan struct{})}
	e.end = sync.OnceFunc(func() { close(e.ending) })
	var err error
	if e.pagemap, err = os.Open("/proc/self/pagemap"); err != nil {
		return nil, fmt.Errorf("find out what requests change: %w", err)
	}
	if e.budget, err = openBudget(cfg.Memory); err != nil {
		return nil, errors.Join(err, e.pagemap.Close())
	}
	rc := wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
	if cfg.CacheDir != "" {
		if e.cache, err = wazero.NewCompilationCacheWithDir(cfg.CacheDir); err != nil {
			err = fmt.Errorf("keep compiled code in %s: %w", cfg.CacheDir, err)
			return nil, errors.Join(err, e.pagemap.Close(), e.budget.close())
		}
		rc = rc.WithCompilationCache(e.cache)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, rc)
	if err := e.hosts(ctx); err != nil {
		_ = e.Close(ctx) // what is wrong is told already
		return nil, err
	}
	return e, nil
}

// hosts makes the host's functions known to modules.
func (e *Engine) hosts(ctx context.Context) error {
	builder := e.runtime.NewHostModuleBuilder(module.HostModule)
	builder.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(yield), nil, nil).Export(module.Yield)
	for name, f := range ownFunctions {
		builder.NewFunctionBuilder().WithGoModuleFunction(f.do, i32s(f.params), i32s(f.results)).Export(name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make the host's functions: %w", err)
	}
	builder = e.runtime.NewHostModuleBuilder(wasiModule)
	for name, f := range wasiFunctions {
		builder.NewFunctionBuilder().WithGoModuleFunction(f, f.params(), f.results()).Export(name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make WASI's functions: %w", err)
	}
	builder = e.runtime.NewHostModuleBuilder(scriptModule)
	for name, f := range scriptFunctions {
		builder.NewFunctionBuilder().WithGoModuleFunction(f, i32s(f.params), i32s(f.results)).Export(name)
	}
	if _, err := builder.Instantiate(ctx); err != nil {
		return fmt.Errorf("make the functions of the JavaScript engine: %w", err)
	}
	return nil
}

// i32s returns so many 32-bit types.
func i32s(n int) []api.ValueType {
	types := make([]api.ValueType, n)
	for i := range types {
		types[i] = api.ValueTypeI32
	}
	return types
}

// End stops all guests that run, now and from now on: they fail as those do
// whose caller has gone. It is idempotent.
func (e *Engine) End() { e.end() }

// Close frees everything. No instance may run.
func (e *Engine) Close(ctx context.Context) error {
	var err error
	if base := e.scripts.base; base != nil {
		err = base.Close(ctx)
	}
	err = errors.Join(err, e.runtime.Close(ctx))
	if e.cache != nil {
		if cacheErr := e.cache.Close(ctx); err == nil {
			err = cacheErr
		}
	}
	return errors.Join(err, e.pagemap.Close(), e.budget.close())
}
