package module

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Names of what Rewrite adds. No module may have any that begins as they do.
const (
	prefix = "millicent:"

	HostModule = "millicent"       // that Yield is imported from
	Yield      = prefix + "yield"  // () -> (): the fuel is below zero
	Fuel       = prefix + "fuel"   // global, i64: how many instructions may run before the next yield
	Start      = prefix + "start"  // the start function, if there was one
	Memory     = prefix + "memory" // the memory, if there is one
	Proof      = prefix + "proof"  // () -> i32: returns Rewritten.Proof
	globalName = prefix + "global:"
)

// bulkPart is how many bytes one instruction moves or fills at a time: more is
// done in parts, with a chance to yield between them.
const bulkPart = 1 << 20

// Options say how to rewrite.
type Options struct {
	MaxPages uint32 // the most memory that an instance may have, in pages of 64 KB
}

// A Rewritten module is what an engine compiles, and what it needs to know of it.
type Rewritten struct {
	Code []byte

	// Shape is the same module without its functions' code: each only traps.
	// It names the code that it is the shape of, so no two modules have the
	// same. Whoever has that code compiled need not read and check it again.
	Shape []byte

	// Proof is what the function of that name returns, and that of the Shape
	// does not.
	Proof int32

	Globals []string // the names that the mutable globals are exported by, without Fuel
	Start   bool     // whether there is a start function
}

// Rewrite returns the module as it is to be compiled.
func (m *Module) Rewrite(opts Options) (*Rewritten, error) {
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, prefix) {
			return nil, fmt.Errorf("it exports %.64q: names of that kind are taken", e.Name)
		}
	}
	if m.MinPages > opts.MaxPages {
		return nil, fmt.Errorf("its memory begins with %d pages of 64 KB, and %d are what it may have", m.MinPages, opts.MaxPages)
	}
	w := &writer{m: m, imports: uint32(len(m.Imports)), out: append([]byte(nil), header...)}
	w.section(secType, len(m.types)+addedTypes, w.types)
	w.section(secImport, len(m.Imports)+1, w.imported)
	w.section(secFunction, len(m.functions)+w.added(), w.functions)
	if m.tables > 0 {
		w.section(secTable, m.tables, func(b []byte) []byte { return append(b, m.rawTables...) })
	}
	if m.HasMemory {
		w.section(secMemory, 1, func(b []byte) []byte {
			return appendU32(appendU32(append(b, 1), m.MinPages), min(m.MaxPages, opts.MaxPages))
		})
	}
	w.section(secGlobal, len(m.globals)+1, w.globals)
	w.exports()
	if m.hasElements {
		w.section(secElement, len(m.elements), w.elements)
	}
	if m.usesData {
		w.section(secDataCount, len(m.data), func(b []byte) []byte { return b })
	}
	return w.finish()
}

// finish writes the code, and what comes after it; and the shape, which begins
// as the module does.
func (w *writer) finish() (*Rewritten, error) {
	bodies := w.bodies(nil)
	if w.err != nil {
		return nil, w.err
	}
	sum := sha256.New()
	_, _ = sum.Write(w.out) // never fails
	_, _ = sum.Write(bodies)
	name := sum.Sum(nil)
	proof := int32(binary.LittleEndian.Uint32(name) >> 1)

	shape := &writer{m: w.m, imports: w.imports, out: bytes.Clone(w.out)}
	n := len(w.m.bodies) + w.added()
	w.section(secCode, n, func(b []byte) []byte {
		return appendName(append(b, bodies...), []byte(code{0}.number(proof).op(opEnd)))
	})
	shape.section(secCode, n, func(b []byte) []byte {
		for range n {
			b = appendName(b, []byte{0, opUnreachable, opEnd})
		}
		return b
	})
	for _, half := range []*writer{w, shape} {
		if w.m.usesData {
			half.section(secData, len(w.m.data), half.data)
		}
	}
	shape.out = appendName(append(shape.out, secCustom), append(appendName(nil, prefix+"of"), name...))
	return &Rewritten{Code: w.out, Shape: shape.out, Proof: proof, Globals: w.names, Start: w.m.start >= 0}, nil
}

// writer writes the rewritten module. The function of the host is imported
// after all others: the module's own functions get the next higher index.
type writer struct {
	m       *Module
	imports uint32
	out     []byte
	names   []string
	err     error
}

// section appends a section: a vector of so many elements.
func (w *writer) section(id byte, n int, elements func([]byte) []byte) {
	content := elements(appendU32(nil, uint32(n)))
	w.out = appendName(append(w.out, id), content)
}

// function is the new index of a function.
func (w *writer) function(i uint32) uint32 {
	if i >= w.imports {
		return i + 1
	}
	return i
}

func (w *writer) yield() uint32 { return w.imports }
func (w *writer) fuel() uint32  { return uint32(len(w.m.globals)) }

// added is how many functions are added: where there is a memory one that fills
// and one that copies, and the proof at last.
func (w *writer) added() int {
	if !w.m.HasMemory {
		return 1
	}
	return 3
}

func (w *writer) filler() uint32 { return w.imports + 1 + uint32(len(w.m.functions)) }
func (w *writer) copier() uint32 { return w.filler() + 1 }
func (w *writer) proof() uint32  { return w.filler() + uint32(w.added()) - 1 }

// addedTypes is how many types are added: () -> (), that of memory.fill and
// memory.copy, and () -> i32.
const addedTypes = 3

func (w *writer) types(b []byte) []byte {
	b = append(b, w.m.rawTypes...)
	b = append(b, 0x60, 0, 0)
	b = append(b, 0x60, 3, I32, I32, I32, 0)
	return append(b, 0x60, 0, 1, I32)
}

func (w *writer) imported(b []byte) []byte {
	b = append(b, w.m.rawImports...)
	b = appendName(appendName(b, HostModule), Yield)
	return appendU32(append(b, KindFunction), uint32(len(w.m.types)))
}

func (w *writer) functions(b []byte) []byte {
	for _, t := range w.m.functions {
		b = appendU32(b, t)
	}
	for range w.added() - 1 {
		b = appendU32(b, uint32(len(w.m.types)+1))
	}
	return appendU32(b, uint32(len(w.m.types)+2))
}

func (w *writer) globals(b []byte) []byte {
	r := &reader{data: w.m.rawGlobals}
	for range w.m.globals {
		b = append(b, r.bytes(2)...)
		b = w.constant(b, r.constant())
	}
	return append(b, I64, 1, opI64Const, 0, opEnd)
}

// constant appends a constant expression.
func (w *writer) constant(b []byte, all []instruction) []byte {
	for _, in := range all {
		b = w.plain(b, in)
	}
	return append(b, opEnd)
}

// plain appends an instruction, with the new index of a function.
func (w *writer) plain(b []byte, in instruction) []byte {
	if in.op == opCall || in.op == opRefFunc {
		return appendU32(append(b, in.op), w.function(in.index))
	}
	return append(b, in.bytes...)
}

func (w *writer) exports() {
	var b []byte
	n := 0
	add := func(name string, kind byte, index uint32) {
		b = appendU32(append(appendName(b, name), kind), index)
		n++
	}
	for _, e := range w.m.Exports {
		if e.Kind == KindFunction {
			e.Index = w.function(e.Index)
		}
		add(e.Name, e.Kind, e.Index)
	}
	for i, g := range w.m.globals {
		if g.mutable {
			name := globalName + strconv.Itoa(i)
			add(name, KindGlobal, uint32(i))
			w.names = append(w.names, name)
		}
	}
	add(Fuel, KindGlobal, w.fuel())
	add(Proof, KindFunction, w.proof())
	if w.m.HasMemory {
		add(Memory, KindMemory, 0)
	}
	if w.m.start >= 0 {
		add(Start, KindFunction, w.function(uint32(w.m.start)))
	}
	w.section(secExport, n, func(c []byte) []byte { return append(c, b...) })
}

func (w *writer) elements(b []byte) []byte {
	for _, e := range w.m.elements {
		b = append(appendU32(b, e.flags), e.table...)
		if e.flags&elemPassive == 0 {
			b = w.constant(b, e.offset)
		}
		b = append(b, e.kind...)
		b = appendU32(b, uint32(len(e.functions)+len(e.constants)))
		for _, f := range e.functions {
			b = appendU32(b, w.function(f))
		}
		for _, c := range e.constants {
			b = w.constant(b, c)
		}
	}
	return b
}

// data keeps passive segments, and leaves of active ones what they are after
// they were applied: empty. It is for modules that use segments by themselves:
// of Go's there are tens of thousands, which each instance would have a list of.
func (w *writer) data(b []byte) []byte {
	for _, s := range w.m.data {
		b = append(b, 1)
		if s.passive {
			b = appendName(b, s.bytes)
		} else {
			b = append(b, 0)
		}
	}
	return b
}
