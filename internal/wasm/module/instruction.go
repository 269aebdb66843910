package module

// Opcodes that are treated apart.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallTable   = 0x11
	opSelectType  = 0x1c
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opTableSet    = 0x26
	opMemorySize  = 0x3f
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opRefNull     = 0xd0
	opRefIsNull   = 0xd1
	opRefFunc     = 0xd2
	opPrefixed    = 0xfc
	opVector      = 0xfd
)

// Numbers behind opPrefixed.
const (
	opMemoryInit = 8
	opDataDrop   = 9
	opMemoryCopy = 10
	opMemoryFill = 11
	opTableInit  = 12
	opElemDrop   = 13
	opTableCopy  = 14
	opTableGrow  = 15
	opTableSize  = 16
	opTableFill  = 17
)

// Numbers behind opVector.
const (
	opVectorConst   = 12
	opVectorShuffle = 13
	vectorLoads     = 11 // up to here: loads and stores
	vectorLanesFrom = 21 // to vectorLanesTo: one lane
	vectorLanesTo   = 34
	vectorMemLanes  = 84 // to 91: a lane from or to memory
	vectorZeroLoads = 92 // and 93
	vectorLast      = 255
)

// An instruction is one of a function's body.
type instruction struct {
	op    byte
	sub   uint32 // behind opPrefixed and opVector
	index uint32 // of the function, where it names one
	bytes []byte // whole
}

// instruction reads one, or fails where it is of no known kind.
func (r *reader) instruction() instruction {
	start := r.pos
	in := instruction{op: r.byte()}
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf:
		r.s33()
	case op == opBr || op == opBrIf, op >= opLocalGet && op <= opTableSet:
		r.u32()
	case op == opBrTable:
		for range r.count("labels", maxLabels) + 1 {
			r.u32()
		}
	case op == opCall || op == opRefFunc:
		in.index = r.u32()
	case op == opCallTable:
		r.u32()
		r.u32()
	case op == opSelectType:
		r.bytes(uint32(r.count("types", 1)))
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.u32()
		r.u32()
	case op == opMemorySize || op == opMemoryGrow:
		r.zero()
	case op == opI32Const:
		r.s32()
	case op == opI64Const:
		r.s64()
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opRefNull:
		r.byte()
	case op == opPrefixed:
		in.sub = r.u32()
		r.prefixed(in.sub)
	case op == opVector:
		in.sub = r.u32()
		r.vector(in.sub)
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, // no operands
		op >= 0x45 && op <= 0xc4, op == opRefIsNull:
	default:
		r.failf("unknown instruction 0x%02x", op)
	}
	in.bytes = r.since(start)
	return in
}

// zero reads the index of the only memory.
func (r *reader) zero() {
	if r.byte() != 0 {
		r.failf("another memory than the first")
	}
}

func (r *reader) prefixed(sub uint32) {
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // conversions
	case opMemoryInit:
		r.u32()
		r.zero()
	case opMemoryCopy:
		r.zero()
		r.zero()
	case opMemoryFill:
		r.zero()
	case opTableInit, opTableCopy:
		r.u32()
		r.u32()
	case opDataDrop, opElemDrop, opTableGrow, opTableSize, opTableFill:
		r.u32()
	default:
		r.failf("unknown instruction 0xfc %d", sub)
	}
}

func (r *reader) vector(sub uint32) {
	switch {
	case sub <= vectorLoads || sub == vectorZeroLoads || sub == vectorZeroLoads+1:
		r.u32()
		r.u32()
	case sub == opVectorConst || sub == opVectorShuffle:
		r.bytes(16)
	case sub >= vectorLanesFrom && sub <= vectorLanesTo:
		r.byte()
	case sub >= vectorMemLanes && sub < vectorZeroLoads:
		r.u32()
		r.u32()
		r.byte()
	case sub > vectorLast:
		r.failf("unknown instruction 0xfd %d", sub)
	}
}

// changesTables reports whether an instruction changes what no image of memory
// and globals holds: tables, and which segments are still there.
func (in *instruction) changesTables() bool {
	if in.op == opTableSet {
		return true
	}
	if in.op != opPrefixed {
		return false
	}
	switch in.sub {
	case opDataDrop, opTableInit, opElemDrop, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}
