package lambda

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// jsonFault returns what is wrong with a JSON text, in the words of the parser
// that AWS uses, or "" when nothing is. Two of the sentences are recorded; the
// others are that parser's for the most common mistakes.
func jsonFault(text []byte) string {
	if utf8.Valid(text) && json.Valid(text) {
		return ""
	}
	p := &jsonReader{text: text, line: 1}
	p.value(0)
	if p.fault == "" {
		p.space()
		if p.pos < len(p.text) {
			p.unexpected(expectedValue)
		}
	}
	if p.fault == "" { // a mistake that only the strict check sees
		p.fail("Unexpected character in JSON text", p.pos)
	}
	return p.fault
}

const (
	expectedValue = "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	source        = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]"
)

// A jsonReader walks a JSON text up to its first fault.
type jsonReader struct {
	text      []byte
	pos       int
	line      int
	lineStart int
	fault     string
}

// fail notes the first fault; at is the place that its column names.
func (p *jsonReader) fail(message string, at int) {
	if p.fault == "" {
		p.fault = message + "\n at " + p.location(at)
	}
}

func (p *jsonReader) location(at int) string {
	return fmt.Sprintf(source, p.line, at-p.lineStart+1)
}

func (p *jsonReader) unexpected(expected string) {
	c, width := rune(p.text[p.pos]), 1
	if r, w := utf8.DecodeRune(p.text[p.pos:]); r != utf8.RuneError {
		c, width = r, w
	}
	p.fail(fmt.Sprintf("Unexpected character (%s): %s", describe(c), expected), p.pos)
	p.pos += width
}

// describe names a character.
func describe(c rune) string {
	switch {
	case c < 0x20 || c >= 0x7f && c < 0xa0:
		return fmt.Sprintf("(CTRL-CHAR, code %d)", c)
	case c > 255:
		return fmt.Sprintf("'%c' (code %d / 0x%x)", c, c, c)
	}
	return fmt.Sprintf("'%c' (code %d)", c, c)
}

func (p *jsonReader) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case '\n':
			p.line++
			p.lineStart = p.pos + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		p.pos++
	}
}

// more skips white space and reports whether there is more; end is the fault
// when there is not.
func (p *jsonReader) more(end string) bool {
	p.space()
	if p.pos < len(p.text) {
		return true
	}
	p.fail(end, p.pos)
	return false
}

const maxJSONDepth = 1000

func (p *jsonReader) value(depth int) {
	if depth > maxJSONDepth {
		p.fail(fmt.Sprintf("Document nesting depth (%d) exceeds the maximum allowed (%d, from `StreamReadConstraints.getMaxNestingDepth()`)",
			depth, maxJSONDepth), p.pos)
		return
	}
	if !p.more("No content to map due to end-of-input") {
		return
	}
	switch c := p.text[p.pos]; {
	case c == '{':
		p.composite(depth, '}', "Object")
	case c == '[':
		p.composite(depth, ']', "Array")
	case c == '"':
		p.str()
	case c == '-' || c >= '0' && c <= '9':
		p.number()
	case isTokenChar(c):
		p.token()
	default:
		p.unexpected(expectedValue)
	}
}

// composite reads an object or an array.
func (p *jsonReader) composite(depth int, closing byte, kind string) {
	end := "Unexpected end-of-input: expected close marker for " + kind + " (start marker at " + p.location(p.pos) + ")"
	p.pos++
	for first := true; p.fault == "" && p.more(end); first = false {
		if p.text[p.pos] == closing {
			p.pos++
			return
		}
		if !first {
			if p.text[p.pos] != ',' {
				p.unexpected("was expecting comma to separate " + kind + " entries")
				return
			}
			p.pos++
			if !p.more(end) {
				return
			}
		}
		if closing == '}' && !p.key(end) {
			return
		}
		p.value(depth + 1)
	}
}

// key reads an object's member up to its value.
func (p *jsonReader) key(end string) bool {
	if p.text[p.pos] != '"' {
		p.unexpected("was expecting double-quote to start field name")
		return false
	}
	p.str()
	if p.fault != "" || !p.more(end) {
		return false
	}
	if p.text[p.pos] != ':' {
		p.unexpected("was expecting a colon to separate field name and value")
		return false
	}
	p.pos++
	return p.more(end)
}

func (p *jsonReader) str() {
	p.pos++
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			return
		case c == '\\':
			p.pos += 2
			continue
		case c < 0x20:
			p.fail(fmt.Sprintf("Illegal unquoted character (%s): has to be escaped using backslash to be included in string value", describe(rune(c))), p.pos+1)
			return
		}
		r, width := utf8.DecodeRune(p.text[p.pos:])
		if r == utf8.RuneError && width == 1 {
			which := "start"
			if c >= 0xc2 && c < 0xf5 {
				which, c = "middle", p.text[min(p.pos+1, len(p.text)-1)]
			}
			p.fail(fmt.Sprintf("Invalid UTF-8 %s byte 0x%x", which, c), p.pos+1)
			return
		}
		p.pos += width
	}
	p.fail("Unexpected end-of-input: was expecting closing quote for a string value", len(p.text))
}

func (p *jsonReader) number() {
	for p.pos < len(p.text) && (isTokenChar(p.text[p.pos]) || p.text[p.pos] == '-' || p.text[p.pos] == '+' || p.text[p.pos] == '.') {
		p.pos++
	}
}

// token reads a bare word, which must be one of three.
func (p *jsonReader) token() {
	start := p.pos
	for p.pos < len(p.text) && isTokenChar(p.text[p.pos]) {
		p.pos++
	}
	switch word := string(p.text[start:p.pos]); word {
	case "null", "true", "false":
	default:
		if len(word) > 256 {
			word = word[:256] + "..."
		}
		p.fail(fmt.Sprintf("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", word), p.pos)
	}
}

func isTokenChar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}
