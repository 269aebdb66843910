package lambda

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/millicent-run/millicent"
)

// A shape is a type of the service model with its constraints.
type shape struct {
	kind kind

	hasMin, hasMax bool
	min, max       float64 // of a number, or of the length of a string or list
	pattern        *pattern
	enum           []string
	sensitive      bool // the value is not repeated in an error

	element *shape // of a list or map
	key     *shape // of a map
	dense   bool   // a list whose recorded error says that no element may be null

	members []member // of a structure
}

type kind uint8

const (
	kindString kind = iota
	kindInteger
	kindLong
	kindDouble
	kindBoolean
	kindBlob
	kindList
	kindMap
	kindStructure
)

// A member is one field of a structure.
type member struct {
	name     string
	in       location
	key      string // label, parameter or header
	required bool
	shape    *shape
}

// A location says where in the request a member travels.
type location uint8

const (
	inBody location = iota
	inURI
	inQuery
	inHeader
	inPayload // the whole body
)

// A report collects the violated constraints of one request.
type report []string

// add notes a violated constraint of the value at path.
func (r *report) add(s *shape, path string, v any, constraint string) {
	value := "Value '" + render(v) + "'"
	switch {
	case v == nil:
		value = "Value null"
	case s.sensitive:
		value = "Value"
	}
	*r = append(*r, value+" at '"+path+"' failed to satisfy constraint: "+constraint)
}

// err returns the answer that names every violation, or nil.
func (r report) err() error {
	switch len(r) {
	case 0:
		return nil
	case 1:
		return millicent.Errorf(codeValidation, "1 validation error detected: %s", r[0])
	}
	return millicent.Errorf(codeValidation, "%d validation errors detected: %s", len(r), strings.Join(r, "; "))
}

const notNull = "Member must not be null"

// check reports the constraints of s that v violates. v has the type that s
// asks for: see convert.
func (s *shape) check(path string, v any, r *report) {
	switch s.kind {
	case kindStructure:
		s.checkMembers(path, v.(*object), r)
	case kindList:
		s.checkList(path, v.([]any), r)
	case kindMap:
		s.checkMap(path, v.(*object), r)
	default:
		for _, c := range s.constraints() {
			if !c.holds(v) {
				r.add(s, path, v, c.text)
			}
		}
	}
}

func (s *shape) checkMembers(path string, o *object, r *report) {
	for _, m := range s.members {
		m.check(join(path, m.path()), o.values[m.name], r)
	}
}

func (m *member) check(path string, v any, r *report) {
	switch {
	case v != nil:
		m.shape.check(path, v, r)
	case m.required:
		r.add(m.shape, path, nil, notNull)
	}
}

// path is the member's name in an error: a Java field's.
func (m *member) path() string {
	return string(unicode.ToLower(rune(m.name[0]))) + m.name[1:]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (s *shape) checkList(path string, list []any, r *report) {
	for _, c := range s.constraints() {
		if !c.holds(list) {
			r.add(s, path, list, c.text)
		}
	}
	if s.element.kind == kindStructure {
		for i, v := range list {
			m := member{required: true, shape: s.element}
			m.check(fmt.Sprintf("%s.%d.member", path, i+1), v, r)
		}
		return
	}
	if !s.element.holdForAll(list) {
		r.add(s, path, list, "Member must satisfy constraint: "+s.element.summary(s.dense))
	}
}

func (s *shape) checkMap(path string, o *object, r *report) {
	keys := make([]any, 0, len(o.keys))
	values := make([]any, 0, len(o.keys))
	for _, k := range o.keys {
		keys = append(keys, k)
		values = append(values, o.values[k])
	}
	if !s.key.holdForAll(keys) {
		r.add(s, path, o, "Map keys must satisfy constraint: "+s.key.summary(false))
	}
	if !s.element.holdForAll(values) {
		r.add(s, path, o, "Map value must satisfy constraint: "+s.element.summary(true))
	}
}

// holdForAll reports whether no value is null and all satisfy s.
func (s *shape) holdForAll(values []any) bool {
	for _, v := range values {
		if v == nil {
			return false
		}
		for _, c := range s.constraints() {
			if !c.holds(v) {
				return false
			}
		}
	}
	return true
}

// summary lists the constraints of an element.
func (s *shape) summary(dense bool) string {
	var texts []string
	for _, c := range s.constraints() {
		texts = append(texts, c.text)
	}
	if dense {
		texts = append(texts, notNull)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// A constraint is one rule for a value and the text that names it.
type constraint struct {
	text  string
	holds func(v any) bool
}

// constraints returns the rules of s in the order in which AWS names them.
func (s *shape) constraints() []constraint {
	var cs []constraint
	noun, bound := "have length", func(f float64) string { return strconv.FormatFloat(f, 'f', 0, 64) }
	if s.kind == kindInteger || s.kind == kindLong || s.kind == kindDouble {
		noun = "have value"
	}
	if s.kind == kindDouble {
		bound = javaDouble
	}
	if s.hasMax {
		cs = append(cs, constraint{
			fmt.Sprintf("Member must %s less than or equal to %s", noun, bound(s.max)),
			func(v any) bool { return measure(v) <= s.max },
		})
	}
	if s.hasMin {
		cs = append(cs, constraint{
			fmt.Sprintf("Member must %s greater than or equal to %s", noun, bound(s.min)),
			func(v any) bool { return measure(v) >= s.min },
		})
	}
	if s.pattern != nil {
		cs = append(cs, constraint{
			"Member must satisfy regular expression pattern: " + s.pattern.text,
			func(v any) bool { return s.pattern.matches(v.(string)) },
		})
	}
	if s.enum != nil {
		cs = append(cs, constraint{
			"Member must satisfy enum value set: [" + strings.Join(s.enum, ", ") + "]",
			func(v any) bool { return contains(s.enum, v.(string)) },
		})
	}
	return cs
}

func contains(enum []string, s string) bool {
	for _, e := range enum {
		if e == s {
			return true
		}
	}
	return false
}

// measure returns a number's value and any other's length; a string's is
// counted in UTF-16 units, as Java does.
func measure(v any) float64 {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return math.NaN() // out of every range
		}
		return f
	case string:
		n := 0
		for _, r := range v {
			n += max(1, utf16.RuneLen(r))
		}
		return float64(n)
	case []any:
		return float64(len(v))
	}
	return math.NaN()
}

// render writes a value as Java's toString does.
func render(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = render(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *object:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = k + "=" + render(v.values[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// javaDouble writes a double with at least one digit after the point.
func javaDouble(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
