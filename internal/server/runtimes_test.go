package server

import (
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process"
)

func TestInstalledRuntimes(t *testing.T) {
	got := installed([]process.Runtime{
		{Name: "python3.11", Version: "3.11.2", Interpreter: "/usr/bin/python3.11", Exact: true},
		{Name: "python3.12", Version: "3.11.2", Interpreter: "/usr/bin/python3.11"},
		{Name: "nodejs20.x"},
		{Name: "provided.al2", Exact: true},
	})
	if want := "python3.11 (3.11.2), provided.al2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// found is what a machine has.
type found map[string]process.Runtime

func (f found) Lookup(name string) (process.Runtime, bool) {
	rt, ok := f[name]
	return rt, ok && rt.Version != ""
}

func TestRuntimesThatAreNotThere(t *testing.T) {
	machine := found{
		"python3.11": {Version: "3.11.2", Exact: true},
		"python3.12": {Version: "3.11.2", Note: "Python 3.11.2 serves it."},
		"nodejs22.x": {Note: "No interpreter for it was found."},
	}
	for _, c := range []struct {
		name       string
		strict     bool
		note, code string
		message    string
	}{
		{"python3.11", false, "", "", ""},
		{"python3.11", true, "", "", ""},
		{"python3.12", false, "Python 3.11.2 serves it.", "", ""},
		{"python3.12", true, "", millicent.CodeInvalid, "not installed on this machine, which has 3.11.2, and the server runs with --strict-runtimes."},
		{"nodejs22.x", false, "", millicent.CodeInvalid, "The runtime nodejs22.x cannot run on this machine. No interpreter for it was found."},
		{"java21", true, "", millicent.CodeNotImplemented, "The runtime java21 is not built yet: this server runs"},
	} {
		note, err := runtimeNote(machine, c.name, c.strict)
		if note != c.note || millicent.ErrorCode(err) != c.code || err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s, strict %v: got %q, %v", c.name, c.strict, note, err)
		}
	}
}
