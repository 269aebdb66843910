package module

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of what a module may have. A large one of a real toolchain (Ruby's)
// has 18,000 functions in 17 MB.
const (
	MaxSize = 64 << 20 // bytes of a module

	maxTypes     = 20_000
	maxImports   = 2_000
	maxFunctions = 200_000
	maxTables    = 16
	maxGlobals   = 50_000
	maxExports   = 100_000
	maxSegments  = 100_000
	maxElements  = 1_000_000
	maxLabels    = 65_535
	maxLocals    = 50_000
	maxNesting   = 1_000
	maxParams    = 1_000
)

// Sections, in the order in which they come, but for custom ones.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12 // between secElement and secCode
)

// place is where in the order of sections one stands; zero for what is unknown.
var place = [...]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secGlobal: 6, secExport: 7,
	secStart: 8, secElement: 9, secDataCount: 10, secCode: 11, secData: 12,
}

var header = []byte("\x00asm\x01\x00\x00\x00")

// IsModule reports whether a file begins as a module does.
func IsModule(file []byte) bool { return bytes.HasPrefix(file, header) }

// Kinds of what is imported and exported.
const (
	KindFunction = 0
	KindTable    = 1
	KindMemory   = 2
	KindGlobal   = 3
)

// Types of values.
const (
	I32 = 0x7f
	I64 = 0x7e
	F32 = 0x7d
	F64 = 0x7c
)

// A Signature is a function's type: the types of its parameters and results.
type Signature struct{ Params, Results string }

// An Import is a function that a module wants of its host. Nothing else can be
// imported.
type Import struct {
	Module, Name string
	Signature    Signature
}

// An Export is what a module gives its host.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// A Module is one that was read. Its parts share the bytes that it was read
// from.
type Module struct {
	Imports []Import
	Exports []Export

	MinPages, MaxPages uint32 // of 64 KB; MaxPages is 65,536 where the module says nothing
	HasMemory          bool

	// ChangesTables says that the module can change what no image holds:
	// tables, segments, or globals that are vectors or references. An instance
	// that has run cannot be taken back.
	ChangesTables bool

	types       []Signature
	rawTypes    []byte // the vector's elements
	rawImports  []byte
	functions   []uint32 // type indices of the module's own
	rawTables   []byte
	tables      int
	rawGlobals  []byte
	globals     []global
	start       int // function, or -1
	elements    []element
	hasElements bool
	bodies      []body
	data        []segment
	dataCounted bool
	usesData    bool // there are instructions that name segments of it
}

type global struct {
	kind    byte
	mutable bool
}

// Parse reads a module. The error says what is wrong and where.
func Parse(file []byte) (*Module, error) {
	if !IsModule(file) {
		return nil, errors.New("not a WebAssembly module of version 1: its first 8 bytes are others")
	}
	if len(file) > MaxSize {
		return nil, fmt.Errorf("the module has %d bytes, at most %d are allowed", len(file), MaxSize)
	}
	m := &Module{start: -1, MaxPages: maxPages}
	r := &reader{data: file, pos: len(header)}
	last := 0
	for r.more() {
		id := r.byte()
		part := r.part(r.u32())
		if r.err != nil {
			break
		}
		if id != secCustom {
			if int(id) >= len(place) || place[id] <= last {
				return nil, fmt.Errorf("at byte %d: section %d is unknown or out of order", part.base, id)
			}
			last = place[id]
		}
		m.section(id, part)
		if part.err == nil && part.more() && id != secCustom {
			part.failf("section %d has bytes after its end", id)
		}
		if part.err != nil {
			return nil, part.err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, m.check()
}

func (m *Module) section(id byte, r *reader) {
	switch id {
	case secType:
		m.rawTypes = each(r, "types", maxTypes, m.typ)
	case secImport:
		m.rawImports = each(r, "imports", maxImports, m.imported)
	case secFunction:
		each(r, "functions", maxFunctions, func(r *reader) { m.functions = append(m.functions, m.typeIndex(r)) })
	case secTable:
		m.rawTables = each(r, "tables", maxTables, func(r *reader) { m.tables++; r.byte(); r.limits() })
	case secMemory:
		each(r, "memories", 1, m.memory)
	case secGlobal:
		m.rawGlobals = each(r, "globals", maxGlobals, m.global)
	case secExport:
		each(r, "exports", maxExports, m.export)
	case secStart:
		m.start = int(r.u32())
	case secElement:
		m.hasElements = true
		each(r, "element segments", maxSegments, m.element)
	case secDataCount:
		m.dataCounted = true
		r.u32()
	case secCode:
		each(r, "bodies", maxFunctions, m.body)
	case secData:
		each(r, "data segments", maxSegments, m.segment)
	}
}

// each reads a vector and returns the bytes of its elements.
func each(r *reader, what string, most int, one func(*reader)) []byte {
	n := r.count(what, most)
	start := r.pos
	for range n {
		if r.err != nil {
			return nil
		}
		one(r)
	}
	return r.since(start)
}

func (m *Module) typ(r *reader) {
	if b := r.byte(); b != 0x60 {
		r.failf("0x%02x begins no type of a function", b)
	}
	params := r.bytes(uint32(r.count("parameters", maxParams)))
	results := r.bytes(uint32(r.count("results", maxParams)))
	m.types = append(m.types, Signature{string(params), string(results)})
}

func (m *Module) typeIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(len(m.types)) {
		r.failf("there is no type %d", i)
		return 0
	}
	return i
}

func (m *Module) imported(r *reader) {
	from, name := r.name(), r.name()
	kind := r.byte()
	if r.err == nil && kind != KindFunction {
		r.failf("it imports %q of %q, which is no function", name, from)
		return
	}
	i := m.typeIndex(r)
	if r.err == nil {
		m.Imports = append(m.Imports, Import{from, name, m.types[i]})
	}
}

// limits reads the least and the most of a table's or memory's size; hasMost
// is false where it names no most.
func (r *reader) limits() (least, most uint32, hasMost bool) {
	switch flags := r.byte(); flags {
	case 0:
		return r.u32(), 0, false
	case 1:
		least = r.u32()
		return least, r.u32(), true
	default:
		r.failf("limits of kind %d: shared and 64-bit memories are not supported", flags)
		return 0, 0, false
	}
}

const maxPages = 65_536

func (m *Module) memory(r *reader) {
	least, most, bounded := r.limits()
	if !bounded {
		most = maxPages
	}
	if least > maxPages || most > maxPages || least > most {
		r.failf("a memory of %d to %d pages", least, most)
	}
	m.HasMemory, m.MinPages, m.MaxPages = true, least, most
}

func (m *Module) global(r *reader) {
	g := global{kind: r.byte()}
	switch r.byte() {
	case 0:
	case 1:
		g.mutable = true
	default:
		r.failf("a global that is neither constant nor not")
	}
	m.ChangesTables = m.ChangesTables || g.mutable && (g.kind < F64 || g.kind > I32)
	m.globals = append(m.globals, g)
	// A constant expression may name functions, which get other indices; it is
	// taken apart when it is rewritten.
	r.constant()
}

// constant reads a constant expression and returns its instructions without
// the end.
func (r *reader) constant() []instruction {
	var all []instruction
	for len(all) < 16 && r.err == nil {
		in := r.instruction()
		switch in.op {
		case opEnd:
			return all
		case opI32Const, opI64Const, opF32Const, opF64Const, opRefNull, opRefFunc, opGlobalGet, opVector:
			all = append(all, in)
		default:
			r.failf("instruction 0x%02x in a constant", in.op)
		}
	}
	r.failf("a constant of too many instructions")
	return nil
}

func (m *Module) export(r *reader) {
	m.Exports = append(m.Exports, Export{r.name(), r.byte(), r.u32()})
}

// Export returns what a module exports by a name, of one kind.
func (m *Module) Export(name string, kind byte) (Export, bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == kind {
			return e, true
		}
	}
	return Export{}, false
}

// Functions returns how many functions the module has of its own.
func (m *Module) Functions() int { return len(m.functions) }

// Function returns the signature of an exported function.
func (m *Module) Function(name string) (Signature, bool) {
	e, ok := m.Export(name, KindFunction)
	if !ok {
		return Signature{}, false
	}
	return m.signature(e.Index), true
}

// signature returns that of a function by its index.
func (m *Module) signature(i uint32) Signature {
	if int(i) < len(m.Imports) {
		return m.Imports[i].Signature
	}
	return m.types[m.functions[int(i)-len(m.Imports)]]
}

// check holds the parts of a module against each other, as far as what follows
// relies on it.
func (m *Module) check() error {
	functions := len(m.Imports) + len(m.functions)
	switch {
	case len(m.bodies) != len(m.functions):
		return fmt.Errorf("it has %d functions and %d bodies", len(m.functions), len(m.bodies))
	case m.start >= functions:
		return fmt.Errorf("its start function, %d, does not exist", m.start)
	case m.start >= 0 && m.signature(uint32(m.start)) != Signature{}:
		return errors.New("its start function takes or returns something")
	case len(m.data) > 0 && !m.HasMemory:
		return errors.New("it has data, and no memory")
	}
	seen := make(map[string]bool, len(m.Exports))
	for _, e := range m.Exports {
		limit := map[byte]int{KindFunction: functions, KindTable: m.tables, KindMemory: 0, KindGlobal: len(m.globals)}[e.Kind]
		if e.Kind == KindMemory && m.HasMemory {
			limit = 1
		}
		if int64(e.Index) >= int64(limit) {
			return fmt.Errorf("it exports %.64q, which does not exist", e.Name)
		}
		if seen[e.Name] {
			return fmt.Errorf("it exports %.64q twice", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}
