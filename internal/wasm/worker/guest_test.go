package worker

import (
	"encoding/binary"
	"slices"
)

// The guest of these tests, written out: a reactor that does what the first
// byte of an event says, and answers with the event.
const (
	doEcho  = 'e'
	doSpin  = 's' // for ever
	doGrow  = 'g' // its memory, and write to it, until it cannot; then trap
	doLog   = 'l' // the event
	doTrap  = 'x'
	doStain = 'w' // a byte of its memory; trap if it has been
	doFetch = 'f' // the rest of the event; answer with what came of it
)

// Opcodes of WebAssembly, as far as the guest has them.
const (
	unreachable = 0x00
	loop        = 0x03
	ifThen      = 0x04
	end         = 0x0b
	br          = 0x0c
	call        = 0x10
	drop        = 0x1a
	localGet    = 0x20
	localSet    = 0x21
	localTee    = 0x22
	load8       = 0x2d
	store32     = 0x36
	store8      = 0x3a
	memoryGrow  = 0x40
	i32Const    = 0x41
	i64Const    = 0x42
	i32Eq       = 0x46
	i64Or       = 0x84
	i64Shl      = 0x86
	i32Shl      = 0x74
	extend      = 0xad // i32 to i64, unsigned
	nothing     = 0x40 // a block's type
	i32Add      = 0x6a
	i32Sub      = 0x6b
	back        = 0x0f // return
	typeI32     = 0x7f
	typeI64     = 0x7e
)

// guest returns the module.
func guest() []byte {
	section := func(id byte, content ...byte) []byte {
		return append(append([]byte{id}, leb(len(content))...), content...)
	}
	name := func(s string) []byte { return append(leb(len(s)), s...) }
	body := func(code ...byte) []byte { return append(leb(len(code)), code...) }
	return slices.Concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 5,
			0x60, 1, typeI32, 1, typeI32,
			0x60, 2, typeI32, typeI32, 1, typeI64,
			0x60, 4, typeI32, typeI32, typeI32, typeI32, 1, typeI32,
			0x60, 2, typeI32, typeI32, 1, typeI32,
			0x60, 1, typeI32, 0),
		section(2, slices.Concat([]byte{3}, name("wasi_snapshot_preview1"), name("fd_write"), []byte{0, 2},
			name("millicent"), name("fetch"), []byte{0, 3}, name("millicent"), name("fetched"), []byte{0, 4})...),
		section(3, 2, 0, 1),
		section(5, append([]byte{1, 0}, leb(128)...)...), // 8 MB to begin with
		section(7, slices.Concat([]byte{3}, name("memory"), []byte{2, 0}, name("alloc"), []byte{0, 3}, name("handle"), []byte{0, 4})...),
		section(10, slices.Concat([]byte{2},
			body(slices.Concat([]byte{0}, constant(4096), []byte{end})...),
			body(handle()...))...),
	)
}

// handle is the code of that function: parameters 0 and 1, locals 2 and 3.
func handle() []byte {
	when := func(what byte, code ...[]byte) []byte {
		return slices.Concat([]byte{localGet, 2}, constant(int64(what)), []byte{i32Eq, ifThen, nothing}, slices.Concat(code...), []byte{end})
	}
	return slices.Concat(
		[]byte{1, 2, typeI32},
		[]byte{localGet, 0, load8, 0, 0, localSet, 2},
		when(doSpin, []byte{loop, nothing, br, 0, end}),
		when(doTrap, []byte{unreachable}),
		when(doGrow, []byte{loop, nothing},
			constant(16), []byte{memoryGrow, 0, localTee, 3}, constant(-1), []byte{i32Eq, ifThen, nothing, unreachable, end},
			[]byte{localGet, 3}, constant(16), []byte{i32Shl}, constant(1), constant(1<<20), []byte{0xfc, 0x0b, 0}, // memory.fill
			[]byte{br, 0, end}),
		when(doLog,
			constant(0), []byte{localGet, 0, store32, 2, 0},
			constant(4), []byte{localGet, 1, store32, 2, 0},
			constant(2), constant(0), constant(1), constant(8), []byte{call, 0, drop}),
		when(doStain,
			constant(100), []byte{load8, 0, 0, ifThen, nothing, unreachable, end},
			constant(100), constant(1), []byte{store8, 0, 0}),
		when(doFetch,
			[]byte{localGet, 0}, constant(1), []byte{i32Add, localGet, 1}, constant(1), []byte{i32Sub, call, 1, localSet, 3},
			constant(4096), []byte{call, 2},
			constant(4096), []byte{extend, i64Const, 32, i64Shl, localGet, 3, extend, i64Or, back}),
		[]byte{localGet, 0, extend, i64Const, 32, i64Shl, localGet, 1, extend, i64Or, end},
	)
}

// constant pushes a number.
func constant(n int64) []byte {
	p := []byte{i32Const}
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(p, b)
		}
		p = append(p, b|0x80)
	}
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
