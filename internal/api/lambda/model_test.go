package lambda

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A serviceModel is the service model, read here once more and apart from the
// generator, to hold the answers against.
type serviceModel struct {
	Operations map[string]struct {
		HTTP struct {
			Method, RequestURI string
			ResponseCode       int
		}
		Output *struct{ Shape string }
	}
	Shapes map[string]*modelShape
}

type modelShape struct {
	Type               string
	Members            map[string]modelMember
	Required, Enum     []string
	Pattern            string
	Min, Max           *float64
	Member, Key, Value *struct{ Shape string }
	Payload            string
}

type modelMember struct{ Shape, Location, LocationName string }

func readServiceModel(t *testing.T) *serviceModel {
	data, err := os.ReadFile("testdata/lambda-service-2.json")
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceModel{}
	if err := json.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	// AWS was recorded to give this reason for updates, too.
	reasons := m.Shapes["LastUpdateStatusReasonCode"]
	reasons.Enum = append(reasons.Enum, "Creating")
	return m
}

// checkAnswer returns what of an answer is not as the operation's output
// shape wants it.
func (m *serviceModel) checkAnswer(name string, a answer) []string {
	op := m.Operations[name]
	want := op.HTTP.ResponseCode
	if name == "DeleteFunction" {
		want = 204 // as AWS was recorded to answer, whatever its model says
	}
	var faults []string
	if a.status != want {
		faults = append(faults, fmt.Sprintf("status %d, want %d: %s", a.status, want, a.body))
	}
	if op.Output == nil || a.status == 204 {
		if len(a.body) > 0 {
			faults = append(faults, fmt.Sprintf("a body: %s", a.body))
		}
		return faults
	}
	out := m.Shapes[op.Output.Shape]
	for _, mem := range out.Members {
		if v := a.header.Get(mem.LocationName); mem.Location == "header" && v != "" {
			faults = append(faults, m.check(mem.LocationName, mem.Shape, v)...)
		}
	}
	if out.Payload != "" || slices.Collect(maps.Values(out.Members))[0].Location == "statusCode" {
		return faults
	}
	var body any
	if err := json.Unmarshal(a.body, &body); err != nil {
		return append(faults, err.Error())
	}
	return append(faults, m.check("", op.Output.Shape, body)...)
}

// check returns what of a value is not as a shape wants it.
func (m *serviceModel) check(path, name string, v any) []string {
	s := m.Shapes[name]
	fault := func(format string, args ...any) []string {
		return []string{path + ": " + fmt.Sprintf(format, args...)}
	}
	switch s.Type {
	case "structure":
		return m.checkStructure(path, s, v)
	case "list":
		list, ok := v.([]any)
		if !ok {
			return fault("%v is no list", v)
		}
		var faults []string
		for i, e := range list {
			faults = append(faults, m.check(fmt.Sprintf("%s[%d]", path, i), s.Member.Shape, e)...)
		}
		return faults
	case "map":
		entries, ok := v.(map[string]any)
		if !ok {
			return fault("%v is no map", v)
		}
		var faults []string
		for k, e := range entries {
			faults = append(faults, m.check(path+" key", s.Key.Shape, k)...)
			faults = append(faults, m.check(path+"."+k, s.Value.Shape, e)...)
		}
		return faults
	case "boolean":
		if _, ok := v.(bool); !ok {
			return fault("%v is no boolean", v)
		}
	case "integer", "long", "double", "timestamp":
		n, ok := v.(float64)
		if !ok || s.Type != "double" && s.Type != "timestamp" && n != float64(int64(n)) {
			return fault("%v is no %s", v, s.Type)
		}
		if s.Min != nil && n < *s.Min || s.Max != nil && n > *s.Max {
			return fault("%v is out of range", n)
		}
	case "string":
		return m.checkString(path, s, v)
	default:
		return fault("a %s, which the check does not know", s.Type)
	}
	return nil
}

func (m *serviceModel) checkStructure(path string, s *modelShape, v any) []string {
	members, ok := v.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s: %v is no structure", path, v)}
	}
	var faults []string
	for k, e := range members {
		mem, known := s.Members[k]
		if !known {
			faults = append(faults, path+"."+k+": not in the model")
			continue
		}
		faults = append(faults, m.check(path+"."+k, mem.Shape, e)...)
	}
	for _, k := range s.Required {
		if _, there := members[k]; !there {
			faults = append(faults, path+"."+k+": required, and missing")
		}
	}
	return faults
}

func (m *serviceModel) checkString(path string, s *modelShape, v any) []string {
	text, ok := v.(string)
	switch {
	case !ok:
		return []string{fmt.Sprintf("%s: %v is no string", path, v)}
	case s.Enum != nil && !slices.Contains(s.Enum, text):
		return []string{fmt.Sprintf("%s: %q is not of the enum %q", path, text, s.Enum)}
	case s.Min != nil && float64(len(text)) < *s.Min && text != "" || s.Max != nil && float64(len(text)) > *s.Max:
		return []string{fmt.Sprintf("%s: %q has length %d", path, text, len(text))}
	case s.Pattern == "" || text == "" || strings.Contains(s.Pattern, "(?"):
		return nil
	}
	if !regexp.MustCompile(`\A(?:` + s.Pattern + `)\z`).MatchString(text) {
		return []string{fmt.Sprintf("%s: %q does not match %s", path, text, s.Pattern)}
	}
	return nil
}

// TestSurface compares the bindings with the model.
func TestSurface(t *testing.T) {
	m := readServiceModel(t)
	p := newPlatform(t, nil)
	if len(operations) != len(m.Operations) {
		t.Errorf("%d operations, the model has %d", len(operations), len(m.Operations))
	}
	bound := map[string]bool{}
	for _, b := range p.bindings() {
		bound[b.operation] = true
		op, ok := m.Operations[b.operation]
		if !ok || op.HTTP.Method != b.method || op.HTTP.RequestURI != b.path {
			t.Errorf("%s is %s %s, the model says %+v", b.operation, b.method, b.path, op.HTTP)
		}
	}
	labels := regexp.MustCompile(`\{\w+\}`)
	for name, op := range m.Operations {
		path := labels.ReplaceAllString(op.HTTP.RequestURI, "x")
		if bound[name] {
			continue
		}
		a := p.call(op.HTTP.Method, path, M{})
		if a.status != 501 || a.header.Get("X-Amzn-Errortype") != "NotImplementedException" || !strings.Contains(string(a.body), name) {
			t.Errorf("%s, which is not built: %d %v %s", name, a.status, a.header, a.body)
		}
	}
}
