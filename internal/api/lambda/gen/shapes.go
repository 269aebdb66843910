package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// inputShapes returns the names of the shapes that requests are made of,
// sorted; structures only, or all others.
func inputShapes(m *model, structures bool) []string {
	var roots []string
	for _, name := range implemented() {
		roots = append(roots, m.Operations[name].Input.Shape)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.reachable(roots...))) {
		if (m.Shapes[name].Type == "structure") == structures {
			names = append(names, name)
		}
	}
	return names
}

// shapesFile returns the constraints of scalars, lists and maps.
func shapesFile(m *model) *source {
	src := newSource()
	src.line("")
	src.line("var (")
	for _, name := range inputShapes(m, false) {
		src.line("\t%s = shape{%s}", variable(name), strings.Join(fields(m, name), ", "))
	}
	src.line(")")
	return src
}

// inputsFile returns the members of the structures that requests are made of.
func inputsFile(m *model) *source {
	src := newSource()
	src.line("")
	src.line("var (")
	for _, name := range inputShapes(m, true) {
		s := m.Shapes[name]
		src.line("\t%s = shape{kind: kindStructure, members: []member{", variable(name))
		for _, mem := range s.Members {
			src.line("\t\t{%s},", strings.Join(memberFields(s, mem), ", "))
		}
		src.line("\t}}")
	}
	src.line(")")
	return src
}

func variable(shapeName string) string { return "shape" + shapeName }

func fields(m *model, name string) []string {
	s := m.Shapes[name]
	kind := s.Type
	if kind == "timestamp" {
		kind = "double" // seconds since 1970, on the wire
	}
	f := []string{"kind: kind" + title(kind)}
	if s.Min != nil {
		f = append(f, "hasMin: true", "min: "+number(*s.Min))
	}
	if s.Max != nil {
		f = append(f, "hasMax: true", "max: "+number(*s.Max))
	}
	if s.Pattern != "" {
		f = append(f, "pattern: newPattern("+quote(s.Pattern)+")")
	}
	if len(s.Enum) > 0 {
		f = append(f, fmt.Sprintf("enum: %#v", s.Enum))
	}
	if s.Sensitive {
		f = append(f, "sensitive: true")
	}
	if s.Member != nil {
		f = append(f, "element: &"+variable(s.Member.Shape))
	}
	if s.Type == "list" && !sparseLists[name] {
		f = append(f, "dense: true")
	}
	if s.Key != nil {
		f = append(f, "key: &"+variable(s.Key.Shape), "element: &"+variable(s.Value.Shape))
	}
	return f
}

func memberFields(s *shape, mem member) []string {
	f := []string{"name: " + strconv.Quote(mem.Name)}
	switch {
	case mem.Location != "":
		f = append(f, "in: "+locations[mem.Location], "key: "+strconv.Quote(mem.LocationName))
	case s.Payload == mem.Name:
		f = append(f, "in: inPayload")
	}
	if slices.Contains(s.Required, mem.Name) {
		f = append(f, "required: true")
	}
	return append(f, "shape: &"+variable(mem.Shape))
}

// locations names the places that a member travels in.
var locations = map[string]string{"uri": "inURI", "querystring": "inQuery", "header": "inHeader"}

func title(s string) string {
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func quote(s string) string {
	if strings.Contains(s, "`") {
		return strconv.Quote(s)
	}
	return "`" + s + "`"
}
