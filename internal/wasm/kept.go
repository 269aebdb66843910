package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/millicent-run/millicent/internal/wasm/module"
	"github.com/millicent-run/millicent/internal/wasm/sealed"
)

// This file keeps modules on disk such that they need not be read, rewritten
// and checked again. Beside the compiled code there is a file of what else is
// needed of a module: its shape (module.Rewritten), and the data that its
// memory begins with. The library that compiles finds code by the digest of a
// module. So the code is kept under the digest of the shape, which is decoded
// and checked in no time, since its functions do nothing. That the code which
// was found is the module's is what the function module.Proof tells.

// keptFormat is part of the names: it changes with what Rewrite makes, and with
// what this file writes.
const keptFormat = "module-2"

// A kept is a module as it is on disk.
type kept struct {
	ABI                          ABI
	Globals                      []string
	Start                        bool
	Initialize, Warmup, Restored bool
	MinPages, MaxPages           uint32
	ChangesTables                bool
	Proof                        int32
	Code                         string // the name of the file with the compiled code
	ShapeSize                    int

	shape []byte
	data  []module.Data
}

// A source is where a module comes from: its file, and how that is read.
type source struct {
	digest [sha256.Size]byte
	file   []byte
	read   func(file []byte) (*module.Module, ABI, error)
	kind   string // of what reads it
}

// name is what the module is kept as.
func (s *source) name(runtime string) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%x", keptFormat, filepath.Base(runtime), s.kind, s.digest))
	return "module-" + hex.EncodeToString(key[:16])
}

// encode returns k as a file: sealed, with the shape, and the data, each with its
// place and size.
func (k *kept) encode() []byte {
	k.ShapeSize = len(k.shape)
	content := [][]byte{k.shape}
	for _, d := range k.data {
		at := binary.LittleEndian.AppendUint32(make([]byte, 0, 8), d.Offset)
		content = append(content, binary.LittleEndian.AppendUint32(at, uint32(len(d.Bytes))), d.Bytes)
	}
	return sealed.Seal(k, content...)
}

// decodeKept reads what encode wrote, and shares its bytes; nil for anything
// else.
func decodeKept(file []byte) *kept {
	k := &kept{}
	rest, ok := sealed.Open(file, k)
	if !ok || k.ShapeSize < 0 || k.ShapeSize > len(rest) {
		return nil
	}
	k.shape, rest = rest[:k.ShapeSize:k.ShapeSize], rest[k.ShapeSize:]
	for len(rest) > 0 {
		if len(rest) < 8 {
			return nil
		}
		at, size := binary.LittleEndian.Uint32(rest), uint64(binary.LittleEndian.Uint32(rest[4:]))
		if rest = rest[8:]; size > uint64(len(rest)) {
			return nil
		}
		k.data = append(k.data, module.Data{Offset: at, Bytes: rest[:size:size]})
		rest = rest[size:]
	}
	return k
}

// load returns a module's code from what is kept of it; nil where that is not
// there, or of no use.
func (e *Engine) load(ctx context.Context, from *source) *code {
	name := from.name(e.codeDir)
	file, err := os.ReadFile(filepath.Join(e.cfg.CacheDir, name))
	if err != nil && e.cfg.KeptDir != "" {
		file, err = os.ReadFile(filepath.Join(e.cfg.KeptDir, name))
	}
	if err != nil {
		return nil
	}
	k := decodeKept(file)
	if k == nil || filepath.Base(k.Code) != k.Code {
		return nil
	}
	c, err := e.open(ctx, k)
	if err != nil {
		return nil
	}
	c.kept = true
	return c
}

// keeps reports whether a module seems to be kept.
func (e *Engine) keeps(from *source) bool {
	for _, dir := range []string{e.cfg.CacheDir, e.cfg.KeptDir} {
		if _, err := os.Stat(filepath.Join(dir, from.name(e.codeDir))); dir != "" && err == nil {
			return true
		}
	}
	return false
}

// errNoCode means that the code of a kept module is not there, or another's.
var errNoCode = errors.New("a module's compiled code is gone")

// open makes a kept module's code ready to run.
func (e *Engine) open(ctx context.Context, k *kept) (*code, error) {
	if _, err := os.Stat(filepath.Join(e.codeDir, k.Code)); err != nil {
		return nil, err
	}
	c := &code{
		abi: k.ABI, names: k.Globals, start: k.Start, initialize: k.Initialize, warmup: k.Warmup, restored: k.Restored,
		minPages: k.MinPages, maxPages: k.MaxPages, changesTables: k.ChangesTables, data: k.data,
	}
	var err error
	if c.compiled, err = e.runtime.CompileModule(ctx, k.shape); err != nil {
		return nil, err
	}
	if err := e.prove(ctx, c, k.Proof); err != nil {
		return nil, errors.Join(err, c.compiled.Close(ctx))
	}
	return c, nil
}

// prove checks that the code is that of the module which its shape was made of.
func (e *Engine) prove(ctx context.Context, c *code, want int32) error {
	mem, err := newMemory(maxPages*wasmPage, nil, e.budget)
	if err != nil {
		return err
	}
	defer mem.Free()
	within := experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory {
		return mem
	}))
	mod, err := e.runtime.InstantiateModule(within, c.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return err
	}
	got, err := mod.ExportedFunction(module.Proof).Call(ctx)
	if err == nil && int32(got[0]) != want {
		err = errNoCode
	}
	return errors.Join(err, mod.Close(ctx))
}

// keep compiles a module and keeps it, in place of what may be there.
func (e *Engine) keep(ctx context.Context, from *source, m *module.Module, c *code) (_ *kept, err error) {
	r, err := m.Rewrite(module.Options{MaxPages: maxPages})
	if err != nil {
		return nil, err
	}
	k := &kept{
		ABI: c.abi, Globals: r.Globals, Start: r.Start, Initialize: c.initialize, Warmup: c.warmup, Restored: c.restored,
		MinPages: c.minPages, MaxPages: c.maxPages, ChangesTables: c.changesTables, Proof: r.Proof, shape: r.Shape, data: c.data,
	}
	dir, err := os.MkdirTemp(e.cfg.CacheDir, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	compiled, err := e.compileInto(ctx, filepath.Join(dir, "code"), r.Code)
	if err != nil {
		return nil, err
	}
	named, err := e.compileInto(ctx, filepath.Join(dir, "shape"), r.Shape)
	if err != nil {
		return nil, err
	}
	k.Code = filepath.Base(named)
	file := filepath.Join(dir, "module")
	if err := os.WriteFile(file, k.encode(), 0o600); err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	name := from.name(e.codeDir)
	err = errors.Join(os.Rename(compiled, filepath.Join(e.codeDir, k.Code)), os.Rename(file, filepath.Join(e.cfg.CacheDir, name)))
	if err != nil {
		return nil, fmt.Errorf("keep compiled code: %w", err)
	}
	e.added(filepath.Join(filepath.Base(e.codeDir), k.Code))
	e.added(name)
	return k, nil
}

// compileInto compiles a module into an empty directory, and returns the file
// that has its code.
func (e *Engine) compileInto(ctx context.Context, dir string, file []byte) (_ string, err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", fmt.Errorf("keep compiled code: %w", err)
	}
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, r.Close(ctx), cache.Close(ctx)) }()
	if _, err := r.CompileModule(ctx, file); err != nil {
		return "", &moduleError{fmt.Errorf("compile the module: %w", err)}
	}
	files, err := filepath.Glob(filepath.Join(dir, filepath.Base(e.codeDir), "*"))
	if err != nil || len(files) != 1 {
		return "", errors.Join(fmt.Errorf("the library keeps compiled code elsewhere than expected: %q", files), err)
	}
	return files[0], nil
}
