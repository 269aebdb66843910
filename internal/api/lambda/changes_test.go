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

// TestSettingsWithoutEffect: what is kept and not acted upon is said.
func TestSettingsWithoutEffect(t *testing.T) {
	p := newPlatform(t, func(cfg *Config) {
		cfg.Runtime = func(string) (string, error) { return "Another\nversion serves it.", nil }
	})
	settings := M{
		"VpcConfig": M{"SubnetIds": []string{"subnet-1"}}, "DeadLetterConfig": M{"TargetArn": "arn:aws:sns:us-east-1:111111111111:dead"},
		"KMSKeyArn": "arn:aws:kms:us-east-1:111111111111:key/1", "TracingConfig": M{"Mode": "Active"},
	}
	const said = "Kept and without effect, because it is not built yet: VpcConfig, DeadLetterConfig, KMSKeyArn, TracingConfig."
	a := p.call("POST", functionsPath, with(createRequest("f"), settings))
	if got, want := a.header.Get(WarningHeader), "Another version serves it. "+said; a.status != 201 || got != want {
		t.Errorf("create: got %d with %q, want %q", a.status, got, want)
	}
	p.settled("f")
	if a := p.call("PUT", functionPath("f", "/configuration"), settings); a.header.Get(WarningHeader) != said {
		t.Errorf("update: got %d with %q, want %q", a.status, a.header.Get(WarningHeader), said)
	}
	p.settled("f")
	harmless := M{
		"VpcConfig": M{"SubnetIds": []string{}}, "DeadLetterConfig": M{"TargetArn": ""}, "KMSKeyArn": "",
		"TracingConfig": M{"Mode": "PassThrough"},
	}
	if a := p.call("PUT", functionPath("f", "/configuration"), harmless); a.status != 200 || a.header.Get(WarningHeader) != "" {
		t.Errorf("harmless: got %d with %q: %s", a.status, a.header.Get(WarningHeader), a.body)
	}
}
