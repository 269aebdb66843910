package wasm

import (
	"bytes"
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
	names    []string // of the globals
	start    bool
	compiled wazero.CompiledModule
	kept     bool // it had been compiled before

	initialize, warmup, restored bool

	minPages, maxPages uint32
	changesTables      bool
	data               []module.Data // that the memory begins with, in its order

	first struct {
		sync.Mutex
		image *image // the first program's, which those of others have as their base
	}
}

// shareImage returns an image of an instance, with the first one of this code as
// its base.
func (c *code) shareImage(i *Instance) (*image, error) {
	c.first.Lock()
	defer c.first.Unlock()
	made, err := i.picture(c.first.image)
	if err == nil && c.first.image == nil {
		c.first.image = made.use()
	}
	return made, err
}

// close frees the code, which no program has any more.
func (c *code) close(ctx context.Context) error {
	err := c.compiled.Close(ctx)
	if c.first.image != nil {
		err = errors.Join(err, c.first.image.close())
	}
	return err
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

// Uncompilable is the failure of a program that the compiler did not survive.
func Uncompilable(why error) *Failure {
	return &Failure{Type: typeEntrypoint, Message: fmt.Sprintf("the code cannot be compiled, as it is nested too deeply or too large (what compiled it has ended: %v)", why)}
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

// code returns that of a file, which is compiled unless it was before: it is in
// use, or kept. It must be released.
func (e *Engine) code(ctx context.Context, file []byte) (c *code, before bool, release func(context.Context) error, err error) {
	digest := sha256.Sum256(file)
	e.codes.mu.Lock()
	u := e.codes.all[digest]
	if before = u != nil; !before {
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
		return u.close(ctx)
	}
	u.ready.Do(func() {
		u.code, u.err = e.compile(context.WithoutCancel(ctx), &source{digest: digest, file: file, read: readModule, kind: "function"})
	})
	if u.err != nil {
		_ = release(ctx) // of nothing
		return nil, false, nil, u.err
	}
	return u.code, before || u.kept, release, nil
}

// compile returns a module's code: what is kept of it, else it is read,
// rewritten and compiled.
func (e *Engine) compile(ctx context.Context, from *source) (*code, error) {
	if e.cfg.CacheDir != "" {
		if c := e.load(ctx, from); c != nil {
			return c, nil
		}
	}
	if e.cfg.OnlyKept {
		return nil, ErrNotPrepared
	}
	m, abi, err := from.read(from.file)
	if err != nil {
		return nil, err
	}
	c := &code{
		abi: abi, minPages: m.MinPages, maxPages: m.MaxPages, changesTables: m.ChangesTables, data: joined(m.Data()),
		initialize: exports(m, exportInitialize, sigNone),
		warmup:     exports(m, exportWarmup, sigNone),
		restored:   exports(m, exportRestored, sigRestored),
	}
	if e.cfg.CacheDir != "" {
		k, err := e.keep(ctx, from, m, c)
		if err != nil {
			return nil, err
		}
		return e.open(ctx, k)
	}
	rewritten, err := m.Rewrite(module.Options{MaxPages: maxPages})
	if err != nil {
		return nil, err
	}
	c.names, c.start = rewritten.Globals, rewritten.Start
	if c.compiled, err = e.runtime.CompileModule(ctx, rewritten.Code); err != nil {
		return nil, &moduleError{fmt.Errorf("compile the module: %w", err)}
	}
	return c, nil
}

// maxGap is how many zeros lie between data that is taken together.
const maxGap = 256

// joined returns the same data in fewer parts, of its own memory.
func joined(all []module.Data) (parts []module.Data) {
	for _, d := range all {
		if n := len(parts) - 1; n >= 0 {
			last := &parts[n]
			if end := uint64(last.Offset) + uint64(len(last.Bytes)); uint64(d.Offset) >= end && uint64(d.Offset) <= end+maxGap {
				last.Bytes = append(append(last.Bytes, make([]byte, uint64(d.Offset)-end)...), d.Bytes...)
				continue
			}
		}
		parts = append(parts, module.Data{Offset: d.Offset, Bytes: bytes.Clone(d.Bytes)})
	}
	return parts
}

// Prepare reads and checks a module and compiles it into the cache, for a
// program of so much memory.
func (e *Engine) Prepare(ctx context.Context, file []byte, memoryMB int) error {
	c, _, release, err := e.code(ctx, file)
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
	if int(c.minPages) > pages {
		return 0, &moduleError{fmt.Errorf("its memory begins with %d pages of 64 KB, and %d are what it may have", c.minPages, pages)}
	}
	return min(pages, int(c.maxPages)) * wasmPage, nil
}
