package module

import "fmt"

// reader reads a part of a module. The first error stays, and all that is read
// after it is zero.
type reader struct {
	data []byte
	pos  int
	base int // of data in the module, for errors
	err  error
}

// failf sets the error, if there is none.
func (r *reader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %s", r.base+r.pos, fmt.Sprintf(format, args...))
		r.pos = len(r.data)
	}
}

func (r *reader) more() bool { return r.err == nil && r.pos < len(r.data) }

func (r *reader) byte() byte {
	if r.pos >= len(r.data) {
		r.failf("it ends too soon")
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// bytes returns the next n bytes, which are a part of the module.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.data)-r.pos) {
		r.failf("%d bytes are to follow, and do not", n)
		return nil
	}
	b := r.data[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// part returns a reader of the next n bytes.
func (r *reader) part(n uint32) *reader {
	base := r.base + r.pos
	return &reader{data: r.bytes(n), base: base, err: r.err}
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 { return uint32(r.leb(32, false)) }

// s32, s33 and s64 read signed LEB128 numbers.
func (r *reader) s32() int32 { return int32(r.leb(32, true)) }
func (r *reader) s33() int64 { return int64(r.leb(33, true)) }
func (r *reader) s64() int64 { return int64(r.leb(64, true)) }

// leb reads a number of at most so many bits, sign-extended to 64 where it is
// signed. Bits of the last byte that have no place must repeat the sign, or be
// zero.
func (r *reader) leb(bits uint, signed bool) uint64 {
	var n uint64
	for shift := uint(0); ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		n |= uint64(b&0x7f) << shift
		left := bits - shift // that this byte may fill
		if left <= 7 {
			return r.last(n, b, left, signed, shift)
		}
		if b&0x80 == 0 {
			if signed && b&0x40 != 0 {
				n |= ^uint64(0) << (shift + 7)
			}
			return n
		}
	}
}

// last checks the last byte that a number can have, of which so many bits are
// left to be filled.
func (r *reader) last(n uint64, b byte, left uint, signed bool, shift uint) uint64 {
	over := b & 0x7f >> (left - 1) << (left - 1) // from the highest bit of the number on
	whole := byte(0x7f) >> (left - 1) << (left - 1)
	switch {
	case b&0x80 != 0:
		r.failf("a number is too long")
		return 0
	case signed && over != 0 && over != whole, !signed && b>>left != 0:
		r.failf("a number is too large")
		return 0
	case signed && over != 0 && shift+7 < 64:
		n |= ^uint64(0) << (shift + 7)
	}
	return n
}

// count reads how many of something follow, each of at least one byte.
func (r *reader) count(what string, most int) int {
	n := r.u32()
	if uint64(n) > uint64(len(r.data)-r.pos) || uint64(n) > uint64(most) {
		r.failf("%d %s, at most %d are allowed, and none without bytes", n, what, most)
		return 0
	}
	return int(n)
}

// name reads a name: bytes that are UTF-8, which the engine checks.
func (r *reader) name() string { return string(r.bytes(r.u32())) }

// since returns what was read from a position on.
func (r *reader) since(pos int) []byte {
	if r.err != nil {
		return nil
	}
	return r.data[pos:r.pos]
}

// appendU32 appends an unsigned LEB128 number.
func appendU32(b []byte, n uint32) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// appendS64 appends a signed LEB128 number, of 32 bits as well.
func appendS64(b []byte, n int64) []byte {
	for n < -0x40 || n >= 0x40 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n)&0x7f)
}

// appendName appends a name, or other bytes with their length.
func appendName[T string | []byte](b []byte, name T) []byte {
	return append(appendU32(b, uint32(len(name))), name...)
}
