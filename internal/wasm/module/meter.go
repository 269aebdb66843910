package module

// bodies writes the functions' code with the meter in it.
func (w *writer) bodies(b []byte) []byte {
	for i := range w.m.bodies {
		b = appendName(b, w.metered(&w.m.bodies[i]))
	}
	if w.m.HasMemory {
		b = appendName(b, w.fillBody())
		b = appendName(b, w.copyBody())
	}
	return b
}

// metered returns a body that pays for itself when it begins, and for each turn
// of a loop when that begins.
func (w *writer) metered(from *body) []byte {
	b := make([]byte, 0, len(from.locals)+len(from.code)+32*len(from.costs))
	b = append(b, from.locals...)
	b = w.pay(b, from.costs[0])
	r := &reader{data: from.code, base: from.base}
	for region := 1; r.more(); {
		in := r.instruction()
		switch {
		case in.op == opPrefixed && in.sub == opMemoryFill:
			b = appendU32(append(b, opCall), w.filler())
		case in.op == opPrefixed && in.sub == opMemoryCopy:
			b = appendU32(append(b, opCall), w.copier())
		default:
			b = w.plain(b, in)
		}
		if in.op == opLoop {
			b = w.pay(b, from.costs[region])
			region++
		}
	}
	if w.err == nil {
		w.err = r.err
	}
	return b
}

// blockEmpty is the type of a block that takes and leaves nothing.
const blockEmpty = 0x40

// pay takes a cost off the fuel and yields when there is none left:
//
//	fuel -= cost
//	if fuel < 0 { yield() }
//
// It needs no local and leaves the stack as it is, so it can stand anywhere.
func (w *writer) pay(b []byte, cost uint32) []byte {
	b = appendU32(append(b, opGlobalGet), w.fuel())
	b = appendS64(append(b, opI64Const), int64(cost))
	b = append(b, i64Sub)
	b = appendU32(append(b, opGlobalSet), w.fuel())
	b = appendU32(append(b, opGlobalGet), w.fuel())
	b = append(b, opI64Const, 0, i64LessS, opIf, blockEmpty)
	b = appendU32(append(b, opCall), w.yield())
	return append(b, opEnd)
}

// Opcodes that only the code here uses.
const (
	i32Equal0 = 0x45
	i32LessU  = 0x49
	i32GreatU = 0x4b
	i64LessS  = 0x53
	i64GreatU = 0x56
	i32Add    = 0x6a
	i32Sub    = 0x6b
	i64Add    = 0x7c
	i64Sub    = 0x7d
	i64Shl    = 0x86
	i64Extend = 0xad // of an unsigned 32-bit number
	opSelect  = 0x1b
	fillCost  = bulkPart / 64 // of one part, in instructions
)

// Parameters of memory.fill and memory.copy: where to, what or where from, how
// much; and a local, how much of it now.
const (
	to    = 0
	from  = 1
	size  = 2
	chunk = 3
)

// code is a body in the making.
type code []byte

func (c code) op(ops ...byte) code    { return append(c, ops...) }
func (c code) get(local byte) code    { return append(c, opLocalGet, local) }
func (c code) set(local byte) code    { return append(c, opLocalSet, local) }
func (c code) number(n int32) code    { return appendS64(append(c, opI32Const), int64(n)) }
func (c code) add(local byte) code    { return c.get(local).get(chunk).op(i32Add).set(local) }
func (c code) whole(ops ...byte) code { return c.get(to).get(from).get(size).op(ops...) }
func (c code) part(ops ...byte) code  { return c.get(to).get(from).get(chunk).op(ops...) }
func (c code) large() code            { return c.get(size).number(bulkPart).op(i32GreatU) }
func (c code) wide(local byte) code   { return c.get(local).op(i64Extend) }
func (c code) shrink() code           { return c.get(size).get(chunk).op(i32Sub).set(size) }
func (c code) toEnd(local byte) code  { return c.get(local).get(size).op(i32Add) }
func (c code) until(local byte) code  { return c.wide(local).wide(size).op(i64Add) }
func (c code) memoryBytes() code      { return c.op(opMemorySize, 0, i64Extend, opI64Const, 16, i64Shl) }
func (c code) begin(blocks ...byte) code {
	for _, b := range blocks {
		c = append(c, b, blockEmpty)
	}
	return c
}

var (
	fillOp = []byte{opPrefixed, opMemoryFill, 0}
	copyOp = []byte{opPrefixed, opMemoryCopy, 0, 0}
)

// refuse does the whole at once where it is small, and also where it reaches
// out of the memory: it traps then, and has changed nothing.
func (c code) refuse(op []byte, checkFrom bool) code {
	c = c.large().op(i32Equal0).until(to).memoryBytes().op(i64GreatU, i32Or)
	if checkFrom {
		c = c.until(from).memoryBytes().op(i64GreatU, i32Or)
	}
	return c.begin(opIf).whole(op...).op(opReturn, opEnd)
}

const i32Or = 0x72

// fillBody is memory.fill in parts:
//
//	if size <= part || to+size > memory { memory.fill; return }
//	for size > 0 { pay; fill min(size, part) at to; to += …; size -= … }
func (w *writer) fillBody() []byte {
	c := code{1, 1, I32}.refuse(fillOp, false).begin(opBlock, opLoop)
	c = w.pay(c, fillCost)
	c = c.get(size).op(i32Equal0, opBrIf, 1).chunk().part(fillOp...).add(to).shrink()
	return c.op(opBr, 0, opEnd, opEnd, opEnd)
}

// chunk sets the local of that name: the lesser of size and bulkPart.
func (c code) chunk() code {
	return c.get(size).number(bulkPart).get(size).number(bulkPart).op(i32LessU, opSelect).set(chunk)
}

// copyBody is memory.copy in parts: from the front where it goes down, else
// from the end, so that no part overwrites what is still to be copied.
//
//	if size <= part || to+size > memory || from+size > memory { memory.copy; return }
//	if to < from {
//		for size > 0 { pay; copy min(size, part); to += …; from += …; size -= … }
//	} else {
//		for size > 0 { pay; size -= min(size, part); copy that to to+size from from+size }
//	}
func (w *writer) copyBody() []byte {
	c := code{1, 1, I32}.refuse(copyOp, true)
	c = c.get(to).get(from).op(i32LessU).begin(opIf, opBlock, opLoop)
	c = w.pay(c, fillCost)
	c = c.get(size).op(i32Equal0, opBrIf, 1).chunk().part(copyOp...).add(to).add(from).shrink()
	c = c.op(opBr, 0, opEnd, opEnd, opElse).begin(opBlock, opLoop)
	c = w.pay(c, fillCost)
	c = c.get(size).op(i32Equal0, opBrIf, 1).chunk().shrink()
	c = c.toEnd(to).toEnd(from).get(chunk).op(copyOp...)
	return c.op(opBr, 0, opEnd, opEnd, opEnd, opEnd)
}
