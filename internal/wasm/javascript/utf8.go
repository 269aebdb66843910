package javascript

import "unicode/utf8"

// Decode returns b as valid UTF-8, as the Encoding Standard decodes it: of what
// is not valid, each part that begins a character as far as it goes becomes
// U+FFFD.
func Decode(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = begun(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}

// begun returns how many bytes of an invalid sequence belong together: a first
// one, and those that may follow it.
func begun(b []byte) int {
	lowest, highest, length := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		length = 2
	case c >= 0xe0 && c <= 0xef:
		length = 3
	case c >= 0xf0 && c <= 0xf4:
		length = 4
	}
	switch b[0] {
	case 0xe0:
		lowest = 0xa0
	case 0xed:
		highest = 0x9f
	case 0xf0:
		lowest = 0x90
	case 0xf4:
		highest = 0x8f
	}
	n := 1
	for ; n < length && n < len(b) && b[n] >= lowest && b[n] <= highest; n++ {
		lowest, highest = 0x80, 0xbf
	}
	return n
}
