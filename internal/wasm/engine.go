package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// EngineConfig says how an Engine works. Zero values take the defaults.
type EngineConfig struct {
	CacheDir string // where compiled code is kept; "" for nowhere
	Audit    int    // one in so many resets is checked byte by byte; 0 for none

	// KeptDir is where the files of another CacheDir are, to read; "" for
	// nowhere. Compiled code itself has to be linked into
	// CacheDir.
	KeptDir string

	// OnlyKept says that nothing is bundled or compiled: what was not kept is
	// ErrNotPrepared.
	OnlyKept bool

	// Added is told the name of each file that was added to CacheDir; nil for
	// nobody. It is called by several goroutines at a time.
	Added func(name string)

	// Memory is how many bytes the process may have: guests' memories are not
	// to grow beyond it. 0 for no limit.
	Memory int64

	// PlainPagemap reads /proc/self/pagemap where it would ask the kernel by
	// ioctl, as on kernels before 6.7.
	PlainPagemap bool
}

// An Engine compiles programs and runs them. It is safe for concurrent use.
type Engine struct {
	cfg      EngineConfig
	runtime  wazero.Runtime
	cache    wazero.CompilationCache // nil for none
	codeDir  string                  // the directory in CacheDir with what was compiled, named after what compiles
	pagemap  *os.File
	scanners sync.Pool // of *scanner
	budget   *budget
	scripts  scripts
	codes    codes
	made     time.Time
	ending   chan struct{} // closed by End
	end      func()
}

// NewEngine returns an Engine. Close it.
func NewEngine(ctx context.Context, cfg EngineConfig) (*Engine, error) {
	e := &Engine{cfg: cfg, codes: codes{all: map[[sha256.Size]byte]*codeUse{}}, made: time.Now(), ending: make(chan struct{})}
	e.end = sync.OnceFunc(func() { close(e.ending) })
	var err error
	if e.pagemap, err = os.Open("/proc/self/pagemap"); err != nil {
		return nil, fmt.Errorf("find out what requests change: %w", err)
	}
	e.scanners.New = func() any { return newScanner(int(e.pagemap.Fd()), cfg.PlainPagemap) }
	if e.budget, err = openBudget(cfg.Memory); err != nil {
		return nil, errors.Join(err, e.pagemap.Close())
	}
	rc := runtimeConfig()
	if cfg.CacheDir != "" {
		if err := e.openCache(); err != nil {
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

func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().WithDebugInfoEnabled(false)
}

// openCache opens the cache, and finds out where in it code is.
func (e *Engine) openCache() (err error) {
	dir := e.cfg.CacheDir
	if e.cache, err = wazero.NewCompilationCacheWithDir(dir); err == nil {
		e.codeDir, err = codeDir(dir)
	}
	if err != nil {
		return fmt.Errorf("keep compiled code in %s: %w", dir, err)
	}
	return nil
}

// codeDir returns the directory in a cache that code is in: there may be others
// of other versions of the library.
func codeDir(cache string) (dir string, err error) {
	empty, err := os.MkdirTemp(cache, ".new-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(empty)) }()
	if _, err := wazero.NewCompilationCacheWithDir(empty); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(empty)
	if err != nil || len(entries) != 1 {
		return "", errors.Join(errors.New("the library keeps compiled code elsewhere than expected"), err)
	}
	return filepath.Join(cache, entries[0].Name()), nil
}

// age is how long ago the engine was made, which costs half of the time of day.
func (e *Engine) age() time.Duration { return time.Since(e.made) }

// added tells of a new file in the cache.
func (e *Engine) added(name string) {
	if e.cfg.Added != nil {
		e.cfg.Added(name)
	}
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
