package main

import (
	"fmt"
	"maps"
	"slices"
)

// typeFiles returns the files of wire types: one per noun, and one for the
// structures that they are made of.
func typeFiles(m *model) map[string]*source {
	files := map[string]*source{}
	done := map[string]bool{}
	var all []string
	for _, n := range nouns {
		src := newSource()
		for _, name := range n.operations {
			op := m.Operations[name]
			for _, ref := range []*reference{op.Input, op.Output} {
				if ref == nil {
					continue
				}
				all = append(all, ref.Shape)
				// FunctionConfiguration and the like answer several operations.
				if !done[ref.Shape] {
					done[ref.Shape] = true
					writeStruct(src, m, ref.Shape)
				}
			}
		}
		files[n.file] = src
	}
	parts := newSource()
	for _, name := range slices.Sorted(maps.Keys(m.reachable(all...))) {
		if m.Shapes[name].Type == "structure" && !done[name] {
			writeStruct(parts, m, name)
		}
	}
	files["configuration_gen.go"] = parts
	return files
}

func writeStruct(src *source, m *model, name string) {
	s := m.Shapes[name]
	src.line("")
	src.line("// %s is the structure of that name in the Lambda API.", name)
	src.line("type %s struct {", name)
	for _, mem := range s.Members {
		src.line("\t%s %s `%s`", mem.Name, goType(m, mem.Shape, true), tag(s, mem))
	}
	src.line("}")
}

// tag says where a member travels. omitzero drops what is nil and keeps what
// is empty.
func tag(s *shape, mem member) string {
	switch {
	case mem.Location == "uri" || mem.Location == "querystring":
		return `json:"-"`
	case mem.Location == "header":
		return fmt.Sprintf(`json:"-" header:"%s"`, mem.LocationName)
	case mem.Location == "statusCode":
		return `json:"-" status:"true"`
	case s.Payload == mem.Name:
		return `json:"-" payload:"true"`
	}
	return fmt.Sprintf(`json:"%s,omitzero"`, mem.Name)
}

// goType returns the Go type of a shape; a scalar is a pointer where it may
// be absent.
func goType(m *model, name string, optional bool) string {
	s := m.Shapes[name]
	scalar := func(t string) string {
		if optional {
			return "*" + t
		}
		return t
	}
	switch s.Type {
	case "structure":
		return scalar(name)
	case "list":
		return "[]" + goType(m, s.Member.Shape, false)
	case "map":
		return "map[string]" + goType(m, s.Value.Shape, false)
	case "blob":
		return "[]byte"
	case "integer":
		return scalar("int")
	case "long":
		return scalar("int64")
	case "double", "timestamp":
		return scalar("float64")
	case "boolean":
		return scalar("bool")
	case "string":
		return scalar("string")
	}
	panic("no Go type for shape " + name + " of type " + s.Type)
}
