package lifecycle

import "unicode/utf8"

// MaxRecord is how many bytes one log record may have; longer messages are
// split.
const MaxRecord = 256 << 10

// Lines cut a stream into lines. They hold at most one
// record.
type Lines struct {
	Emit func(message string)
	buf  []byte
}

// Write takes the next part of the stream.
func (d *Lines) Write(p []byte) {
	for _, c := range p {
		if c == '\n' {
			d.Emit(string(d.buf))
			d.buf = d.buf[:0]
			continue
		}
		d.buf = append(d.buf, c)
		if len(d.buf) == MaxRecord {
			n := RuneBoundary(d.buf)
			d.Emit(string(d.buf[:n]))
			d.buf = append(d.buf[:0], d.buf[n:]...)
		}
	}
}

// Flush emits a line that has no end yet.
func (d *Lines) Flush() {
	if len(d.buf) > 0 {
		d.Emit(string(d.buf))
		d.buf = d.buf[:0]
	}
}

// RuneBoundary returns the length of p without a character that its end cuts
// in two; len(p) when p does not end so.
func RuneBoundary(p []byte) int {
	for n := len(p) - 1; n >= 0 && n >= len(p)-utf8.UTFMax; n-- {
		if utf8.RuneStart(p[n]) {
			if utf8.FullRune(p[n:]) {
				return len(p)
			}
			return n
		}
	}
	return len(p)
}
