package bootstrap

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Kinds of frames on the log channel.
const (
	textPlain = 0xa55a0003
	textDebug = textPlain | 8
	textInfo  = textPlain | 12
	textWarn  = textPlain | 16
	textError = textPlain | 20
	textFatal = textPlain | 24
	jsonInfo  = 0xa55a0002 | 12
	jsonWarn  = 0xa55a0002 | 16
	jsonError = 0xa55a0002 | 20
)

// nbsp is how leading spaces appear in Python's error entries.
const nbsp = "\u00a0"

func TestPythonInitErrors(t *testing.T) {
	tests := []struct {
		name    string
		handler string
		source  string // app.py
		kind    string
		body    string // ROOT stands for the task's root
		log     string
	}{
		{
			name: "malformed name", handler: "app", source: "",
			kind: "Runtime.MalformedHandlerName",
			body: `{"errorMessage": "Bad handler 'app': not enough values to unpack (expected 2, got 1)", "errorType": "Runtime.MalformedHandlerName", "requestId": "", "stackTrace": []}`,
			log:  "[ERROR] Runtime.MalformedHandlerName: Bad handler 'app': not enough values to unpack (expected 2, got 1)\nTraceback (most recent call last):",
		},
		{
			name: "missing module", handler: "nothere.handler", source: "",
			kind: "Runtime.ImportModuleError",
			body: `{"errorMessage": "Unable to import module 'nothere': No module named 'nothere'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}`,
			log:  "[ERROR] Runtime.ImportModuleError: Unable to import module 'nothere': No module named 'nothere'\nTraceback (most recent call last):",
		},
		{
			name: "missing module of a module", handler: "app.handler", source: "import nothere\n",
			kind: "Runtime.ImportModuleError",
			body: `{"errorMessage": "Unable to import module 'app': No module named 'nothere'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}`,
		},
		{
			name: "module in a folder that is missing", handler: "a/b.handler", source: "",
			kind: "Runtime.ImportModuleError",
			body: `{"errorMessage": "Unable to import module 'a/b': No module named 'a'", "errorType": "Runtime.ImportModuleError", "requestId": "", "stackTrace": []}`,
		},
		{
			name: "syntax error", handler: "app.handler", source: "def handler(event, context)\n  return 1\n",
			kind: "Runtime.UserCodeSyntaxError",
			body: `{"errorMessage": "Syntax error in module 'app': expected ':' (app.py, line 1)", "errorType": "Runtime.UserCodeSyntaxError", "requestId": "", "stackTrace": ["  File \"ROOT/app.py\" Line 1\n    def handler(event, context)\n"]}`,
			log:  "[ERROR] Runtime.UserCodeSyntaxError: Syntax error in module 'app': expected ':' (app.py, line 1)\nTraceback (most recent call last):\n" + nbsp + nbsp + `File "ROOT/app.py" Line 1` + "\n" + strings.Repeat(nbsp, 4) + "def handler(event, context)",
		},
		{
			name: "missing function", handler: "app.nothere", source: "def handler(event, context): pass\n",
			kind: "Runtime.HandlerNotFound",
			body: `{"errorMessage": "Handler 'nothere' missing on module 'app'", "errorType": "Runtime.HandlerNotFound", "requestId": "", "stackTrace": []}`,
		},
		{
			name: "built-in module", handler: "sys.exit", source: "",
			kind: "Runtime.BuiltInModuleConflict",
			body: `{"errorMessage": "Cannot use built-in module sys as a handler module", "errorType": "Runtime.BuiltInModuleConflict", "requestId": "", "stackTrace": []}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "python3.11", handler: tt.handler, files: map[string]string{"app.py": tt.source}})
			o := f.outcome()
			if o.path != "init/error" {
				t.Errorf("posted to %s, want init/error", o.path)
			}
			if diff := cmp.Diff(strings.ReplaceAll(tt.body, "ROOT", f.root), strings.ReplaceAll(o.body, "\\u00a0", nbsp)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if got := o.header.Get("Lambda-Runtime-Function-Error-Type"); got != tt.kind {
				t.Errorf("error type header %q, want %q", got, tt.kind)
			}
			if code := f.exit(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			logs := f.entries()
			if len(logs) != 1 || logs[0].kind != textError {
				t.Fatalf("log %+v, want one error entry", logs)
			}
			if want := strings.ReplaceAll(tt.log, "ROOT", f.root); want != "" && logs[0].text != want {
				t.Errorf("log %q, want %q", logs[0].text, want)
			}
		})
	}
}

// An exception at import keeps its class; the trace begins with importlib, as
// callers of Lambda know it.
func TestPythonInitException(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{
		"app.py": "raise Exception('Runtime startup fails')\n",
	}})
	o := f.outcome()
	body := decodeError(t, o.body)
	if body.Type != "Exception" || body.Message != "Runtime startup fails" || body.RequestID == nil || *body.RequestID != "" {
		t.Errorf("body %s", o.body)
	}
	if len(body.StackTrace) < 2 {
		t.Fatalf("trace %q", body.StackTrace)
	}
	if first := body.StackTrace[0]; !strings.Contains(first, "importlib/__init__.py\", line ") || !strings.HasPrefix(first, "  File \"") {
		t.Errorf("trace begins with %q, want importlib", first)
	}
	want := "  File \"" + f.root + "/app.py\", line 1, in <module>\n    raise Exception('Runtime startup fails')\n"
	if last := body.StackTrace[len(body.StackTrace)-1]; last != want {
		t.Errorf("trace ends with %q, want %q", last, want)
	}
	if code := f.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// SystemExit is nobody's to catch: the process ends, and the platform tells
// the caller.
func TestPythonExit(t *testing.T) {
	tests := []struct {
		name   string
		source string
		invoke bool
		code   int
		output string
	}{
		{"zero in the handler", "import sys\ndef handler(e, c):\n  print('bye')\n  sys.exit(0)\n", true, 0, "bye\n"},
		{"code in the handler", "import sys\ndef handler(e, c): sys.exit(3)\n", true, 3, ""},
		{"text in the handler", "import sys\ndef handler(e, c): sys.exit('why')\n", true, 1, "why\n"},
		{"at import", "import sys\nsys.exit(0)\n", false, 0, ""},
		{"hard exit with half a line", "import os\ndef handler(e, c):\n  print('half', end='')\n  os._exit(7)\n", true, 7, "half"},
		{"exit handlers run", "import atexit, sys\natexit.register(print, 'at exit')\ndef handler(e, c): sys.exit(4)\n", true, 4, "at exit\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": tt.source}})
			if tt.invoke {
				f.send(event{body: "{}"})
			}
			if code := f.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if got := f.output(); got != tt.output {
				t.Errorf("output %q, want %q", got, tt.output)
			}
			select {
			case o := <-f.api.outcomes:
				t.Errorf("posted %+v, want nothing", o)
			default:
			}
		})
	}
}

// KeyboardInterrupt and other exceptions that are no Exception end the
// process with Python's own report.
func TestPythonBaseException(t *testing.T) {
	f := start(t, program{runtime: "python3.11", handler: "app.handler", files: map[string]string{
		"app.py": "class Stop(BaseException): pass\ndef handler(e, c): raise Stop('now')\n",
	}})
	f.send(event{body: "{}"})
	if code := f.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if got := f.output(); !strings.HasSuffix(got, "app.Stop: now\n") {
		t.Errorf("output %q", got)
	}
}

func TestPythonHandlerNames(t *testing.T) {
	const source = "def handler(event, context): return __name__\nclass A:\n  pass\n"
	tests := []struct{ handler, file, want string }{
		{"app.handler", "app.py", `"app"`},
		{"pkg/app.handler", "pkg/app.py", `"pkg.app"`},
		{"pkg.app.handler", "pkg/app.py", `"pkg.app"`},
		{"deep/er/app.handler", "deep/er/app.py", `"deep.er.app"`},
	}
	for _, tt := range tests {
		t.Run(tt.handler, func(t *testing.T) {
			f := start(t, program{runtime: "python3.11", handler: tt.handler, files: map[string]string{tt.file: source}})
			if got := f.respond("{}"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// The function's modules come first, then layers, then the runtime, and the
// bootstrap's own folder not at all.
func TestPythonPath(t *testing.T) {
	f := start(t, program{runtime: "python3.13", handler: "app.handler", files: map[string]string{
		"app.py":       "import sys, bootstrap\ndef handler(event, context): return [sys.path[:4], bootstrap.mine, sys.path]\n",
		"bootstrap.py": "mine = True\n",
	}})
	got := f.respond("{}")
	runtimeDir := laidOut["/usr/bin/python3"]
	want := `[["` + f.root + `", "/opt/python/lib/python3.13/site-packages", "/opt/python", "` + runtimeDir + `"], true, [`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s…", got, want)
	}
	if strings.Contains(got, runtimeDir+"/python") {
		t.Errorf("path shows the bootstrap: %s", got)
	}
}
