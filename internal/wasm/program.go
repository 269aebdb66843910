package wasm

import (
	"context"
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
	*code
	engine   *Engine
	cfg      ProgramConfig
	maxBytes int
	image    *image  // nil where instances are initialised one by one
	script   *script // of JavaScript
}

// code is a module that was compiled. Programs of JavaScript share theirs.
type code struct {
	abi      ABI
	parsed   *module.Module
	names    []string // of the globals
	start    bool
	compiled wazero.CompiledModule

	initialize, warmup, restored bool
}

// Load reads, compiles and initialises a module. An error that is a *Failure
// is the module's own; others say why it cannot run here.
func (e *Engine) Load(ctx context.Context, file []byte, cfg ProgramConfig) (*Program, error) {
	if cfg.InitTime == 0 {
		cfg.InitTime = 10 * time.Second
	}
	m, abi, err := readModule(file)
	if err != nil {
		return nil, err
	}
	pages := min(cfg.MemoryMB*(1<<20)/wasmPage, maxPages)
	c, err := e.compile(ctx, m, abi, pages)
	if err != nil {
		return nil, err
	}
	p := &Program{code: c, engine: e, cfg: cfg, maxBytes: min(pages, int(m.MaxPages)) * wasmPage}
	if err := p.initialise(ctx); err != nil {
		_ = p.Close(ctx) // the error is told already
		return nil, err
	}
	return p, nil
}

// maxPages is the largest memory that a module can have.
const maxPages = 65_536

// compile makes code of a module.
func (e *Engine) compile(ctx context.Context, m *module.Module, abi ABI, pages int) (*code, error) {
	rewritten, err := m.Rewrite(module.Options{MaxPages: uint32(pages)})
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
		return nil, fmt.Errorf("compile the module: %w", err)
	}
	return c, nil
}

// checkImports finds what no host function is there for.
func checkImports(m *module.Module) error {
	for _, i := range m.Imports {
		f, wasi := wasiFunctions[i.Name]
		switch {
		case i.Module == wasiModule && wasi:
			if got, want := i.Signature, (module.Signature{Params: string(f.params()), Results: string(f.results())}); got != want {
				return fmt.Errorf("the module imports %s of %s with another signature than it has", i.Name, i.Module)
			}
		case i.Module == module.HostModule && i.Name == "fail":
		default:
			return fmt.Errorf("the module imports %.64q of %.64q, which this platform does not have", i.Name, i.Module)
		}
	}
	return nil
}

// initialise runs what the module does before its first request, and keeps
// what that leaves as the image.
func (p *Program) initialise(ctx context.Context) error {
	i, err := p.first(ctx)
	if err != nil {
		return err
	}
	defer i.Close()
	if p.parsed.ChangesTables {
		return nil
	}
	p.image, err = i.picture()
	return err
}

// first returns an instance that was made without an image.
func (p *Program) first(ctx context.Context) (*Instance, error) {
	i, err := p.instantiate(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range p.parsed.Data() {
		if !i.mod.Memory().Write(d.Offset, d.Bytes) {
			i.Close()
			return nil, errors.New("the module's data does not fit its memory")
		}
	}
	if err := i.initialise(ctx); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Instance returns a new instance. Close it.
func (p *Program) Instance(ctx context.Context) (*Instance, error) {
	if p.image == nil {
		return p.first(ctx)
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
	mem, err := newMemory(p.maxBytes, p.image)
	if err != nil {
		return nil, err
	}
	i := &Instance{program: p, mem: mem, scan: newScanner(int(p.engine.pagemap.Fd()), p.engine.cfg.PlainPagemap)}
	if mem.Reallocate(uint64(p.parsed.MinPages)*wasmPage) == nil {
		mem.Free()
		return nil, errors.New("make an instance: the machine has no memory for it")
	}
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory {
		return mem
	}))
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	if i.mod, err = p.engine.runtime.InstantiateModule(ctx, p.compiled, config); err != nil {
		mem.Free()
		return nil, fmt.Errorf("make an instance: %w", err)
	}
	i.find()
	return i, nil
}

// Close frees the program. All its instances must be closed.
func (p *Program) Close(ctx context.Context) error {
	var err error
	if p.script == nil {
		err = p.compiled.Close(ctx)
	}
	if p.image != nil {
		err = errors.Join(err, p.image.close())
	}
	return err
}
