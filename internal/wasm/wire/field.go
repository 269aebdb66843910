package wire

import (
	"encoding/binary"
	"time"
)

// maxStrings is how many strings a list may have.
const maxStrings = 10_000

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStrings(b []byte, l []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(l)))
	for _, s := range l {
		b = appendString(b, s)
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// fields takes fields off a body. After the first wrong one it returns zeros,
// and end reports it.
type fields struct {
	p   []byte
	bad bool
}

func (f *fields) uint(most uint64) uint64 {
	v, n := binary.Uvarint(f.p)
	if f.bad || n <= 0 || v > most {
		f.bad = true
		return 0
	}
	f.p = f.p[n:]
	return v
}

func (f *fields) int() int64 {
	v, n := binary.Varint(f.p)
	if f.bad || n <= 0 {
		f.bad = true
		return 0
	}
	f.p = f.p[n:]
	return v
}

// duration takes one that is not negative.
func (f *fields) duration() time.Duration { return time.Duration(f.uint(1<<63 - 1)) }

func (f *fields) bool() bool { return f.uint(1) == 1 }

func (f *fields) bytes() []byte {
	n := f.uint(uint64(len(f.p)))
	if f.bad || n > uint64(len(f.p)) { // the number has taken some
		f.bad = true
		return nil
	}
	b := f.p[:n]
	f.p = f.p[n:]
	return b
}

func (f *fields) string() string { return string(f.bytes()) }

// strings appends a list to l, whose strings share memory.
func (f *fields) strings(l []string) []string {
	n := f.uint(maxStrings)
	if f.bad || n > uint64(len(f.p)) { // each takes a byte at least
		f.bad = true
		return l
	}
	whole := fields{p: f.p}
	for range n {
		whole.bytes()
	}
	if whole.bad {
		f.bad = true
		return l
	}
	text := string(f.p[:len(f.p)-len(whole.p)])
	for range n {
		size := len(f.bytes())
		end := len(text) - (len(f.p) - len(whole.p))
		l = append(l, text[end-size:end])
	}
	return l
}

func (f *fields) end() error {
	if f.bad || len(f.p) != 0 {
		return ErrFrame
	}
	return nil
}
