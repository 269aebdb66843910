package main

import (
	"maps"
	"slices"
	"strings"
)

// operationsFile returns the table of all operations of the model.
func operationsFile(m *model) *source {
	built := implemented()
	src := newSource()
	src.line("")
	src.line("// operations holds every operation of the service model, sorted by name.")
	src.line("var operations = []operation{")
	for _, name := range m.operationNames() {
		op := m.Operations[name]
		input := ""
		if slices.Contains(built, name) {
			input = ", input: &" + variable(op.Input.Shape)
		}
		src.line("\t{name: %q, method: %q, path: %q, status: %d%s},",
			name, op.HTTP.Method, op.HTTP.RequestURI, op.HTTP.ResponseCode, input)
	}
	src.line("}")
	return src
}

// exceptionsFile returns the table of all exceptions of the model.
func exceptionsFile(m *model) *source {
	src := newSource()
	src.line("")
	src.line("// modelled holds every exception of the service model.")
	src.line("var modelled = map[string]Exception{")
	for _, name := range slices.Sorted(maps.Keys(m.Shapes)) {
		s := m.Shapes[name]
		if !s.Exception {
			continue
		}
		key, fault := "message", "Server"
		var headers []string
		for _, mem := range s.Members {
			if strings.EqualFold(mem.Name, "message") {
				key = mem.Name
			}
			if mem.Location == "header" {
				headers = append(headers, `"`+mem.Name+`": "`+mem.LocationName+`"`)
			}
		}
		if s.Error.SenderFault {
			fault = "User"
		}
		extra := ""
		if len(headers) > 0 {
			extra = ", Headers: map[string]string{" + strings.Join(headers, ", ") + "}"
		}
		src.line("\t%q: {Status: %d, Message: %q, Type: %q%s},",
			name, s.Error.HTTPStatusCode, key, fault, extra)
	}
	src.line("}")
	return src
}
