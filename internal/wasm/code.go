package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// maxPages is how many pages a memory can have at all. How many it may have is
// its program's affair, and checked where it grows: so programs of one module
// share its code whatever their limits are.
const maxPages = 65_536

// code is a module that was read, rewritten and compiled. Programs of the same
// module share it. It never changes.
type code struct {
	abi      ABI
	parsed   *module.Module
	names    []string // of the globals
	start    bool
	compiled wazero.CompiledModule

	initialize, warmup, restored bool
}

// A moduleError says what is wrong with a module.
type moduleError struct{ error }

// Unwrap returns the cause.
func (e *moduleError) Unwrap() error { return e.error }

// asFailure returns an error that is the module's fault as the *Failure that
// sessions report.
func asFailure(err error) error {
	var bad *moduleError
	if errors.As(err, &bad) {
		return &Failure{Type: typeEntrypoint, Message: bad.Error()}
	}
	return err
}

// typeEntrypoint is the failure of a package that nothing can be run of.
const typeEntrypoint = "Runtime.InvalidEntrypoint"

// codes are those of an engine that are in use, by the digest of their file.
type codes struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*codeUse
}

type codeUse struct {
	ready sync.Once
	*code
	err  error
	uses int
}

// code returns that of a file, which is compiled unless it is in use already.
// It must be released.
func (e *Engine) code(ctx context.Context, file []byte) (c *code, release func(context.Context) error, err error) {
	digest := sha256.Sum256(file)
	e.codes.mu.Lock()
	u := e.codes.all[digest]
	if u == nil {
		u = &codeUse{}
		e.codes.all[digest] = u
	}
	u.uses++
	e.codes.mu.Unlock()
	release = func(ctx context.Context) error {
		e.codes.mu.Lock()
		defer e.codes.mu.Unlock()
		if u.uses--; u.uses > 0 {
			return nil
		}
		delete(e.codes.all, digest)
		if u.code == nil {
			return nil
		}
		return u.compiled.Close(ctx)
	}
	u.ready.Do(func() { u.code, u.err = e.compile(context.WithoutCancel(ctx), file) })
	if u.err != nil {
		_ = release(ctx) // of nothing
		return nil, nil, u.err
	}
	return u.code, release, nil
}

// compiledBefore reports whether a module's code is in use.
func (e *Engine) compiledBefore(file []byte) bool {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	return e.codes.all[sha256.Sum256(file)] != nil
}

// compile reads, rewrites and compiles a module.
func (e *Engine) compile(ctx context.Context, file []byte) (*code, error) {
	m, abi, err := readModule(file)
	if err != nil {
		return nil, err
	}
	return e.compileModule(ctx, m, abi)
}

// compileModule rewrites and compiles a module.
func (e *Engine) compileModule(ctx context.Context, m *module.Module, abi ABI) (*code, error) {
	rewritten, err := m.Rewrite(module.Options{MaxPages: maxPages})
	if err != nil {
		return nil, err
	}
	c := &code{
		abi: abi, parsed: m, names: rewritten.Globals, start: rewritten.Start,
		initialize: exports(m, exportInitialize, sigNone),
		warmup:     exports(m, exportWarmup, sigNone),
		restored:   exports(m, exportRestored, sigRestored),
	}
	if c.compiled, err = e.runtime.CompileModule(ctx, rewritten.Code); err != nil {
		return nil, &moduleError{fmt.Errorf("compile the module: %w", err)}
	}
	return c, nil
}

// Prepare reads and checks a module and compiles it into the cache, for a
// program of so much memory.
func (e *Engine) Prepare(ctx context.Context, file []byte, memoryMB int) error {
	c, release, err := e.code(ctx, file)
	if err != nil {
		return err
	}
	_, err = c.limit(memoryMB)
	if closeErr := release(ctx); err == nil {
		err = closeErr
	}
	return err
}

// limit returns how many bytes of memory an instance may have.
func (c *code) limit(memoryMB int) (int, error) {
	pages := min(memoryMB*(1<<20)/wasmPage, maxPages)
	if int(c.parsed.MinPages) > pages {
		return 0, &moduleError{fmt.Errorf("its memory begins with %d pages of 64 KB, and %d are what it may have", c.parsed.MinPages, pages)}
	}
	return min(pages, int(c.parsed.MaxPages)) * wasmPage, nil
}
