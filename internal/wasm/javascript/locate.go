package javascript

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A segment says where code that begins at a place of the bundle comes from.
// All count from zero.
type segment struct{ line, column, source, fromLine, fromColumn int32 }

// Locate returns a stack trace with places of the function's files in place of
// the bundle's.
func (b *Bundle) Locate(stack string) string {
	if b.mappings == "" {
		return stack
	}
	b.located.Do(func() { b.places = decodeMappings(b.mappings) })
	place := regexp.MustCompile(regexp.QuoteMeta(b.Name) + `:(\d+):(\d+)`)
	return place.ReplaceAllStringFunc(stack, func(at string) string {
		numbers := place.FindStringSubmatch(at)
		line, err := strconv.Atoi(numbers[1])
		column, columnErr := strconv.Atoi(numbers[2])
		if err != nil || columnErr != nil {
			return at
		}
		s, ok := b.find(int32(line)-1, int32(column)-1)
		if !ok {
			return at
		}
		return fmt.Sprintf("%s%s:%d:%d", Root, b.sources[s.source], s.fromLine+1, s.fromColumn+1)
	})
}

// find returns the last segment of a line that begins at or before a column.
func (b *Bundle) find(line, column int32) (segment, bool) {
	n, exact := slices.BinarySearchFunc(b.places, segment{line: line, column: column}, func(s, want segment) int {
		if s.line != want.line {
			return int(s.line) - int(want.line)
		}
		return int(s.column) - int(want.column)
	})
	if !exact {
		n--
	}
	if n < 0 || n >= len(b.places) || b.places[n].line != line || int(b.places[n].source) >= len(b.sources) {
		return segment{}, false
	}
	return b.places[n], true
}

// decodeMappings reads the mappings of a source map (ECMA-426): lines end with
// a semicolon, segments with a comma, and a segment is numbers in base 64, each
// relative to the one before it. It ends at what it cannot read.
func decodeMappings(mappings string) []segment {
	var all []segment
	var at segment
	for group := range strings.SplitSeq(mappings, ";") {
		at.column = 0
		for text := range strings.SplitSeq(group, ",") {
			numbers, ok := decodeNumbers(text)
			if !ok {
				return all
			}
			if len(numbers) > 0 {
				at.column += numbers[0]
			}
			if len(numbers) < 4 {
				continue
			}
			at.source += numbers[1]
			at.fromLine += numbers[2]
			at.fromColumn += numbers[3]
			if at.source < 0 {
				return all
			}
			all = append(all, at)
		}
		at.line++
	}
	return all
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// decodeNumbers reads numbers of five bits a digit, the lowest first; the
// lowest bit of a number is its sign.
func decodeNumbers(text string) (numbers []int32, ok bool) {
	value, shift := uint64(0), 0
	for _, c := range []byte(text) {
		digit := strings.IndexByte(base64Digits, c)
		if digit < 0 || shift > 30 {
			return nil, false
		}
		value |= uint64(digit&31) << shift
		shift += 5
		if digit&32 != 0 {
			continue
		}
		n := int32(value >> 1)
		if value&1 != 0 {
			n = -n
		}
		numbers = append(numbers, n)
		value, shift = 0, 0
	}
	return numbers, shift == 0
}
