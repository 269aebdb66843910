package lambda

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// TestChangesAreLogged: the operator reads of each change and of each refusal
// of one, and of nothing else.
func TestChangesAreLogged(t *testing.T) {
	var log bytes.Buffer
	p := newPlatform(t, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Runtime = func(name string) (string, error) {
			switch name {
			case "python3.14":
				return "3.13 serves it", nil
			case "java21":
				return "", errors.New("a failure of ours")
			}
			return "", nil
		}
	})
	for _, c := range []struct {
		method, path string
		body         M
		want         []string // nil: nothing
	}{
		{"POST", functionsPath, createRequest("f"), []string{"level=INFO msg=changed operation=CreateFunction function=f tenant=111111111111 id=1"}},
		{"POST", functionsPath, with(createRequest("g"), M{"Runtime": "python3.14"}), []string{"level=WARN msg=changed operation=CreateFunction function=g", `warning="3.13 serves it"`}},
		{"POST", functionsPath, createRequest("f"), []string{`level=INFO msg="change refused" operation=CreateFunction function=f`, "Function already exist: f"}},
		{"POST", functionsPath, with(createRequest("h"), M{"Timeout": 0}), []string{`msg="change refused"`, "validation error"}},
		{"PUT", functionPath("none", "/configuration"), M{}, []string{`msg="change refused" operation=UpdateFunctionConfiguration function=none`}},
		{"POST", functionsPath, with(createRequest("h"), M{"Runtime": "java21"}), nil},
		{"GET", functionPath("f", ""), nil, nil},
		{"POST", functionPath("f", "/invocations"), M{}, nil},
		{"DELETE", functionPath("f", ""), nil, []string{"msg=changed operation=DeleteFunction function=f"}},
	} {
		log.Reset()
		p.call(c.method, c.path, c.body)
		got := log.String()
		for _, want := range c.want {
			if !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
				t.Errorf("%s %s: got log %q, want %q in one line", c.method, c.path, got, want)
			}
		}
		if c.want == nil && got != "" {
			t.Errorf("%s %s: got log %q, want none", c.method, c.path, got)
		}
	}
	if isRefusal(millicent.Errorf(millicent.CodeServerUnavailable, "stopping")) {
		t.Error("a server that stops refuses nobody")
	}
}
