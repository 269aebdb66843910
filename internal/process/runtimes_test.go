package process

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRuntimeIsServedByTheExactOrTheNearestInterpreter(t *testing.T) {
	found := []interpreter{
		{familyPython, "/usr/bin/python3.11", [3]int{3, 11, 2}},
		{familyPython, "/usr/local/bin/python3.13", [3]int{3, 13, 1}},
		{familyPython, "/usr/bin/python3.13", [3]int{3, 13, 0}},
		{familyNode, "/usr/bin/node", [3]int{20, 20, 0}},
	}
	tests := []struct {
		name string
		want Runtime
	}{
		{"python3.11", Runtime{"python3.11", "/usr/bin/python3.11", "3.11.2", true, ""}},
		{"python3.13", Runtime{"python3.13", "/usr/local/bin/python3.13", "3.13.1", true, ""}},
		{"python3.12", Runtime{"python3.12", "/usr/local/bin/python3.13", "3.13.1", false, "python3.12 is not installed here; Python 3.13.1 serves it."}},
		{"python3.8", Runtime{"python3.8", "/usr/bin/python3.11", "3.11.2", false, "python3.8 is not installed here; Python 3.11.2 serves it."}},
		{"nodejs20.x", Runtime{"nodejs20.x", "/usr/bin/node", "20.20.0", true, ""}},
		{"nodejs22.x", Runtime{"nodejs22.x", "/usr/bin/node", "20.20.0", false, "nodejs22.x is not installed here; Node.js 20.20.0 serves it."}},
		{"provided.al2023", Runtime{"provided.al2023", "", "", true, ""}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, choose(tt.name, found)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestRuntimeWithoutInterpreterIsNotServed(t *testing.T) {
	r := &Runtimes{}
	for _, name := range knownRuntimes() {
		r.list = append(r.list, choose(name, nil))
	}
	for name, want := range map[string]bool{
		"python3.13": false, "nodejs22.x": false, "provided.al2": true, "provided.al2023": true,
		"java21": false, "ruby3.3": false, "dotnet8": false, "": false,
	} {
		if _, got := r.Lookup(name); got != want {
			t.Errorf("Lookup(%q): got %v, want %v", name, got, want)
		}
	}
	if rt, _ := r.Lookup("python3.13"); !strings.Contains(rt.Note, "/usr/bin") {
		t.Errorf("got note %q, want one that says where was looked", rt.Note)
	}
}

func TestInterpretersAnswerTheirVersion(t *testing.T) {
	tests := map[string][3]int{
		"Python 3.11.2\n":  {3, 11, 2},
		"Python 3.14.0rc1": {3, 14, 0},
		"v20.20.0\n":       {20, 20, 0},
	}
	for s, want := range tests {
		if got, ok := parseVersion(s); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "Python", "nodejs v20.1.2", "v1.2"} {
		if got, ok := parseVersion(s); ok {
			t.Errorf("%q: got %v, want none", s, got)
		}
	}
}

func TestOnlyInterpretersAreAsked(t *testing.T) {
	for name, want := range map[string]string{
		"python3": familyPython, "python3.11": familyPython, "node": familyNode, "nodejs": familyNode, "node-18": familyNode, "node22": familyNode,
		"python3-config": "", "python": "", "python2.7": "", "nodeenv": "", "node-gyp": "",
	} {
		if got := interpreterFamily(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestThisMachinesInterpretersAreFound(t *testing.T) {
	r, err := FindRuntimes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(r.List()), len(knownRuntimes()); got != want {
		t.Errorf("got %d runtimes, want %d", got, want)
	}
	for _, rt := range r.List() {
		if rt.Interpreter != "" && !strings.HasPrefix(rt.Interpreter, "/usr/") {
			t.Errorf("%s: interpreter %s lies where no sandbox sees it", rt.Name, rt.Interpreter)
		}
	}
	if _, ok := r.Lookup("provided.al2023"); !ok {
		t.Error("provided.al2023 is not served")
	}
}
