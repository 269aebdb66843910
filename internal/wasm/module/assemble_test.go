package module_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

const (
	i32  = module.I32
	i64  = module.I64
	f32  = module.F32
	f64  = module.F64
	v128 = 0x7b
)

// source is a module in the making, for tests: parts by section, as they are
// encoded.
type source struct {
	parts map[byte][][]byte
	code  [][]byte
}

// part adds an element to a section.
func (s *source) part(section byte, bytes ...byte) *source {
	if s.parts == nil {
		s.parts = map[byte][][]byte{}
	}
	s.parts[section] = append(s.parts[section], bytes)
	return s
}

// function adds a function of a type of its own, exported by its number: f0.
func (s *source) function(params, results, locals string, body ...byte) *source {
	n := byte(len(s.code))
	s.part(1, slices.Concat([]byte{0x60}, vector(params), vector(results))...)
	s.part(3, byte(len(s.parts[1])-1))
	s.part(7, slices.Concat(vector(fmt.Sprintf("f%d", n)), []byte{0, n + byte(len(s.parts[2]))})...)
	var declared []byte
	for _, l := range []byte(locals) {
		declared = append(declared, 1, l)
	}
	code := slices.Concat([]byte{byte(len(locals))}, declared, body, []byte{0x0b})
	s.code = append(s.code, code)
	return s
}

// memory adds a memory, exported.
func (s *source) memory(least byte) *source {
	return s.part(5, 0, least).part(7, slices.Concat(vector("memory"), []byte{2, 0})...)
}

// bytes encodes the module.
func (s *source) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} {
		parts := s.parts[id]
		var content []byte
		switch {
		case id == 10 && len(s.code) > 0:
			content = leb(len(s.code))
			for _, c := range s.code {
				content = append(append(content, leb(len(c))...), c...)
			}
		case len(parts) == 0:
			continue
		case id == 8 || id == 12:
			content = parts[0]
		default:
			content = append(leb(len(parts)), slices.Concat(parts...)...)
		}
		out = append(append(append(out, id), leb(len(content))...), content...)
	}
	return out
}

func vector[T string | []byte](b T) []byte { return append(leb(len(b)), b...) }

func leb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// signed is a signed number.
func signed(n int64) []byte {
	var b []byte
	for n < -0x40 || n >= 0x40 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n)&0x7f)
}

// machine runs modules.
type machine struct {
	testing.TB
	runtime wazero.Runtime
	yields  int
	refuel  int64
	most    int // yields, before the guest is ended; zero is without end
}

var errEnough = errors.New("it yielded often enough")

func newMachine(t testing.TB) *machine {
	m := &machine{TB: t, refuel: 1000}
	ctx := context.Background()
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	t.Cleanup(func() { m.runtime.Close(ctx) })
	yield := func(_ context.Context, mod api.Module, _ []uint64) {
		m.yields++
		if m.yields == m.most {
			panic(errEnough)
		}
		fuel := mod.ExportedGlobal(module.Fuel).(api.MutableGlobal)
		fuel.Set(uint64(int64(fuel.Get()) + m.refuel))
	}
	_, err := m.runtime.NewHostModuleBuilder(module.HostModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(yield), nil, nil).Export(module.Yield).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start compiles and instantiates a module; nil when it is not valid.
func (m *machine) start(code []byte) api.Module {
	ctx := context.Background()
	compiled, err := m.runtime.CompileModule(ctx, code)
	if err != nil {
		return nil
	}
	mod, err := m.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		m.Fatalf("instantiate: %v", err)
	}
	m.Cleanup(func() { mod.Close(ctx); compiled.Close(ctx) })
	return mod
}

// rewritten starts what becomes of a module.
func (m *machine) rewritten(code []byte) api.Module {
	m.Helper()
	parsed, err := module.Parse(code)
	if err != nil {
		m.Fatalf("%x: %v", code, err)
	}
	out, err := parsed.Rewrite(module.Options{MaxPages: 1000})
	if err != nil {
		m.Fatal(err)
	}
	mod := m.start(out.Code)
	if mod == nil {
		_, err := m.runtime.CompileModule(context.Background(), out.Code)
		m.Fatalf("%x became %x: %v", code, out.Code, err)
	}
	for _, d := range parsed.Data() {
		if !mod.Memory().Write(d.Offset, d.Bytes) {
			m.Fatal("its data does not fit")
		}
	}
	if out.Start {
		if _, err := mod.ExportedFunction(module.Start).Call(context.Background()); err != nil {
			m.Fatal(err)
		}
	}
	return mod
}

// outcome is what a call returned, with the memory afterwards.
type outcome struct {
	results string
	trapped bool
	memory  string
}

func call(mod api.Module, name string, params ...uint64) outcome {
	results, err := mod.ExportedFunction(name).Call(context.Background(), params...)
	o := outcome{results: fmt.Sprintf("%x", results), trapped: err != nil}
	if len(mod.ExportedMemoryDefinitions()) > 0 {
		b, _ := mod.Memory().Read(0, mod.Memory().Size())
		o.memory = string(b)
	}
	return o
}

// compare runs a function of a module before and after it was rewritten.
func (m *machine) compare(code []byte, name string, calls ...[]uint64) {
	m.Helper()
	before := m.start(code)
	if before == nil {
		m.Fatalf("%x is no module", code)
	}
	after := m.rewritten(code)
	for _, params := range calls {
		want, got := call(before, name, params...), call(after, name, params...)
		if got != want {
			m.Errorf("%s(%x) = %s (trap: %v), want %s (%v); memories equal: %v", name, params, got.results, got.trapped,
				want.results, want.trapped, got.memory == want.memory)
		}
	}
}
