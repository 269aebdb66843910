package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// An ABI is how a module takes events and gives answers.
type ABI string

// The ABIs.
const (
	// Command is a WASI command: _start runs for each event, which is its
	// standard input; its standard output is the answer.
	Command ABI = "command"

	// Reactor exports alloc(n) -> p and handle(p, n) -> p<<32 | n: the event is
	// written to what alloc returned, and the answer is what handle returns the
	// place and length of.
	Reactor ABI = "reactor"

	// JavaScript is an ES module with a handler, on an engine of our own choice.
	JavaScript ABI = "javascript"
)

// Exports of the ABIs.
const (
	exportStart      = "_start"
	exportInitialize = "_initialize"
	exportAlloc      = "alloc"
	exportHandle     = "handle"
	exportWarmup     = "warmup"   // () -> (): runs before the image is made
	exportRestored   = "restored" // (i64) -> (): runs before each request, with a random number
)

var (
	sigNone     = module.Signature{}
	sigAlloc    = module.Signature{Params: string([]byte{module.I32}), Results: string([]byte{module.I32})}
	sigHandle   = module.Signature{Params: string([]byte{module.I32, module.I32}), Results: string([]byte{module.I64})}
	sigRestored = module.Signature{Params: string([]byte{module.I64})}
)

// detect returns a module's ABI, or says what it would need to have one.
func detect(m *module.Module) (ABI, error) {
	switch {
	case !m.HasMemory:
		return "", errors.New("the module has no memory")
	case exports(m, exportAlloc, sigAlloc) && exports(m, exportHandle, sigHandle):
		return Reactor, nil
	case exports(m, exportStart, sigNone):
		return Command, nil
	}
	return "", errors.New("the module exports neither _start, as WASI commands do, nor alloc(i32) -> i32 and handle(i32, i32) -> i64")
}

// ProgramConfig says what a program may have.
type ProgramConfig struct {
	MemoryMB int
	Environ  []string      // NAME=value
	InitTime time.Duration // how long initialisation may take; default 10 s
	Log      Log           // of the initialisation
	Files    *Files        // the package; nil for none
}

// A Program is a module that is ready to run. It is safe for concurrent use.
type Program struct {
	engine *Engine
	cfg    ProgramConfig
	*code
	before   bool                        // the code had been compiled
	release  func(context.Context) error // the code
	maxBytes int
	image    *image        // nil where instances are initialised one by one
	initTime time.Duration // how long initialisation took
	script   *script       // of JavaScript
}

// Load reads, compiles and initialises a module. An error that is a *Failure
// is the module's own; others say why it cannot run here.
func (e *Engine) Load(ctx context.Context, file []byte, cfg ProgramConfig) (*Program, error) {
	if cfg.InitTime == 0 {
		cfg.InitTime = DefaultInitTime
	}
	p := &Program{engine: e, cfg: cfg}
	var err error
	if p.code, p.before, p.release, err = e.code(ctx, file); err != nil {
		return nil, err
	}
	if p.maxBytes, err = p.limit(cfg.MemoryMB); err != nil {
		_ = p.Close(ctx) // the error is told already
		return nil, err
	}
	if err := p.initialise(ctx); err != nil {
		_ = p.Close(ctx) // the error is told already
		return nil, err
	}
	return p, nil
}

// checkImports finds what no host function is there for.
func checkImports(m *module.Module) error {
	for _, i := range m.Imports {
		var want module.Signature
		f, wasi := wasiFunctions[i.Name]
		own, ours := ownFunctions[i.Name]
		switch {
		case i.Module == wasiModule && wasi:
			want = module.Signature{Params: string(f.params()), Results: string(f.results())}
		case i.Module == module.HostModule && ours:
			want = module.Signature{Params: string(i32s(own.params)), Results: string(i32s(own.results))}
		default:
			return fmt.Errorf("the module imports %.64q of %.64q, which this platform does not have", i.Name, i.Module)
		}
		if i.Signature != want {
			return fmt.Errorf("the module imports %s of %s with another signature than it has", i.Name, i.Module)
		}
	}
	return nil
}

// initialise runs what the module does before its first request, and keeps
// what that leaves as the image.
func (p *Program) initialise(ctx context.Context) error {
	began := time.Now()
	defer func() { p.initTime = time.Since(began) }()
	i, err := p.first(ctx, p.cfg.Log)
	if err != nil {
		return err
	}
	defer i.Close()
	if p.changesTables {
		return nil
	}
	p.image, err = p.shareImage(i)
	return err
}

// first returns an instance that was made without an image.
func (p *Program) first(ctx context.Context, log Log) (*Instance, error) {
	i, err := p.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range p.data {
		if !i.mod.Memory().Write(d.Offset, d.Bytes) {
			i.Close()
			return nil, errors.New("the module's data does not fit its memory")
		}
	}
	if err := i.initialise(ctx, log); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Instance returns a new instance. Close it.
func (p *Program) Instance(ctx context.Context) (*Instance, error) {
	return p.another(ctx, p.cfg.Log)
}

// another is Instance with a log for the initialisation, where each instance
// has its own.
func (p *Program) another(ctx context.Context, log Log) (*Instance, error) {
	if p.image == nil {
		return p.first(ctx, log)
	}
	i, err := p.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	for n, g := range i.globals {
		g.Set(p.image.globals[n])
	}
	return i, nil
}

// instantiate makes an instance upon the image, if there is one.
func (p *Program) instantiate(ctx context.Context) (*Instance, error) {
	mem, err := newMemory(p.maxBytes, p.image, p.engine.budget)
	if err != nil {
		return nil, err
	}
	i := &Instance{program: p, mem: mem}
	if mem.Reallocate(uint64(p.minPages)*wasmPage) == nil {
		mem.Free()
		return nil, errors.New("make an instance: the machine has no memory for it")
	}
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory {
		return mem
	}))
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)
	if i.mod, err = p.engine.runtime.InstantiateModule(ctx, p.compiled, config); err != nil {
		mem.Free()
		return nil, fmt.Errorf("make an instance: %w", err)
	}
	i.find()
	return i, nil
}

// idle is about how many bytes an instance keeps that serves nothing: what it
// wrote of its memory, and what the engine has of it.
func (p *Program) idle() int64 {
	if p.image == nil {
		return int64(p.minPages) * wasmPage
	}
	return int64(p.image.filled)
}

// Close frees the program. All its instances must be closed.
func (p *Program) Close(ctx context.Context) error {
	var err error
	if p.image != nil {
		err = p.image.close()
	}
	return errors.Join(err, p.release(ctx))
}
