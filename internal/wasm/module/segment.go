package module

// A segment of data: passive, or active with where it goes.
type segment struct {
	passive bool
	offset  []instruction
	bytes   []byte
}

func (m *Module) segment(r *reader) {
	var s segment
	switch kind := r.u32(); kind {
	case 0:
		s.offset = r.constant()
	case 1:
		s.passive = true
	case 2:
		if r.u32() != 0 {
			r.failf("data for another memory than the first")
		}
		s.offset = r.constant()
	default:
		r.failf("data of kind %d", kind)
	}
	s.bytes = r.bytes(r.u32())
	if !s.passive && r.err == nil {
		if len(s.offset) != 1 || s.offset[0].op != opI32Const {
			r.failf("data whose place is no constant number")
			return
		}
	}
	m.data = append(m.data, s)
}

// A Data is an active data segment: bytes that are in the memory before
// anything runs.
type Data struct {
	Offset uint32
	Bytes  []byte
}

// Data returns the module's active data segments, in the order in which they
// are to be applied: they may overlap.
func (m *Module) Data() []Data {
	var all []Data
	for _, s := range m.data {
		if !s.passive {
			r := &reader{data: s.offset[0].bytes, pos: 1}
			all = append(all, Data{uint32(r.s32()), s.bytes})
		}
	}
	return all
}

// An element segment, as its parts are encoded: for each a function's index, or
// a constant expression.
type element struct {
	flags     uint32
	table     []byte // its index, where the flags say that it has one
	offset    []instruction
	kind      []byte
	functions []uint32
	constants [][]instruction
}

// Flags of element segments.
const (
	elemPassive     = 1 // or declared, with elemIndexed
	elemIndexed     = 2
	elemExpressions = 4
)

func (m *Module) element(r *reader) {
	e := element{flags: r.u32()}
	if e.flags > elemPassive|elemIndexed|elemExpressions {
		r.failf("elements of kind %d", e.flags)
		return
	}
	if e.flags&elemPassive == 0 {
		if e.flags&elemIndexed != 0 {
			start := r.pos
			r.u32()
			e.table = r.since(start)
		}
		e.offset = r.constant()
	}
	if e.flags&(elemPassive|elemIndexed) != 0 {
		e.kind = r.bytes(1)
	}
	for range r.count("elements", maxElements) {
		if r.err != nil {
			return
		}
		if e.flags&elemExpressions != 0 {
			e.constants = append(e.constants, r.constant())
		} else {
			e.functions = append(e.functions, r.u32())
		}
	}
	m.elements = append(m.elements, e)
}

// A body is a function's code.
type body struct {
	locals []byte   // the vector, as it came
	code   []byte   // the instructions, with the last end
	base   int      // of code in the module, for errors
	costs  []uint32 // by region: the body's, then those of its loops as they come
}

// body reads one and finds out what its regions cost.
func (m *Module) body(r *reader) {
	part := r.part(r.u32())
	var locals uint64
	for range part.count("kinds of locals", maxLocals) {
		locals += uint64(part.u32())
		part.byte()
	}
	if locals > maxLocals {
		part.failf("%d locals, at most %d are allowed", locals, maxLocals)
	}
	b := body{locals: part.since(0), base: part.base + part.pos}
	start := part.pos
	b.costs = m.costs(part)
	b.code = part.since(start)
	if part.more() {
		part.failf("a body has bytes after its end")
	}
	if r.err == nil {
		r.err = part.err
	}
	m.bodies = append(m.bodies, b)
}

// maybe is by how much what a region may do costs less than what it does for
// sure.
const maybe = 64

// A region is a body without its loops, or a loop without those in it.
type region struct {
	sure, all uint32 // instructions: up to the first branch, and in all
	branched  bool
}

// costs walks the code of a body up to its end, and returns what its regions
// cost: the whole of it, and each loop. What runs whenever a region does is
// counted: its instructions up to the first branch. Much of the rest may not
// run (Go's compiler makes a loop of each function, in which every turn runs
// one small part); so that nobody hides work there, the cost is at least a
// fraction of all that is in the region.
func (m *Module) costs(r *reader) []uint32 {
	var costs []uint32
	open := []int{0} // regions that the open blocks are in, the body's first
	regions := make([]region, 1)
	for len(open) > 0 {
		in := r.instruction()
		if r.err != nil {
			return nil
		}
		m.ChangesTables = m.ChangesTables || in.changesTables()
		m.usesData = m.usesData || in.op == opPrefixed && (in.sub == opMemoryInit || in.sub == opDataDrop)
		at := &regions[open[len(open)-1]]
		switch in.op {
		case opBlock, opEnd, opElse: // no code
		case opLoop, opIf, opBr, opBrIf, opBrTable, opReturn:
			at.branched = true
			fallthrough
		default:
			at.all++
			if !at.branched {
				at.sure++
			}
		}
		switch in.op {
		case opBlock, opIf:
			open = append(open, open[len(open)-1])
		case opLoop:
			open = append(open, len(regions))
			regions = append(regions, region{})
		case opEnd:
			open = open[:len(open)-1]
		}
		if len(open) > maxNesting {
			r.failf("blocks within more than %d others", maxNesting)
		}
	}
	for _, at := range regions {
		costs = append(costs, 1+max(at.sure, at.all/maybe))
	}
	return costs
}
