package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder makes a folder of files; a name that ends in / is a folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindProject(t *testing.T) {
	const handler, lambda = "def handler(event, context):\n", "import json\n\ndef lambda_handler(event, context):\n"
	tests := []struct {
		name             string
		files            map[string]string
		runtime, handler string
		want             project // without dir
		err              string
	}{
		{name: "mjs", files: map[string]string{"index.mjs": ""}, want: project{entry: "index.mjs", family: "nodejs", handler: "index.handler"}},
		{name: "cjs", files: map[string]string{"index.cjs": ""}, want: project{entry: "index.cjs", family: "nodejs", handler: "index.handler"}},
		{name: "mjs before js", files: map[string]string{"index.js": "", "index.mjs": ""}, want: project{entry: "index.mjs", family: "nodejs", handler: "index.handler"}},
		{name: "app", files: map[string]string{"app.py": handler}, want: project{entry: "app.py", family: "python", handler: "app.handler"}},
		{name: "lambda_function", files: map[string]string{"lambda_function.py": lambda}, want: project{entry: "lambda_function.py", family: "python", handler: "lambda_function.lambda_handler"}},
		{name: "lambda_handler first", files: map[string]string{"main.py": handler + lambda}, want: project{entry: "main.py", family: "python", handler: "main.lambda_handler"}},
		{name: "bound name", files: map[string]string{"app.py": "handler = make()\n"}, want: project{entry: "app.py", family: "python", handler: "app.handler"}},
		{name: "imported name", files: map[string]string{"app.py": "from core import a, handler\n"}, want: project{entry: "app.py", family: "python", handler: "app.handler"}},
		{name: "next file has the handler", files: map[string]string{"app.py": "x = 1\n", "handler.py": handler}, want: project{entry: "handler.py", family: "python", handler: "handler.handler"}},
		{name: "method is no handler", files: map[string]string{"app.py": "class A:\n  def handler(self):\n"}, err: "--handler app.FUNCTION"},
		{name: "prefix is no handler", files: map[string]string{"app.py": "def handler_of(x):\n"}, err: "--handler app.FUNCTION"},
		{name: "handler given", files: map[string]string{"app.py": "def go(e, c):\n"}, handler: "app.go", want: project{entry: "app.py", family: "python", handler: "app.go"}},
		{name: "bootstrap", files: map[string]string{"bootstrap": "#!/bin/sh\n"}, want: project{entry: "bootstrap", family: "provided", handler: "bootstrap"}},
		{name: "bootstrap before main.go", files: map[string]string{"bootstrap": "", "main.go": ""}, want: project{entry: "bootstrap", family: "provided", handler: "bootstrap"}},
		{name: "go", files: map[string]string{"main.go": "package main\n", "go.mod": ""}, want: project{entry: "main.go", family: "provided", handler: "bootstrap", build: true}},
		{name: "two languages", files: map[string]string{"index.mjs": "", "app.py": handler}, err: "holds both index.mjs and app.py"},
		{name: "two languages, runtime given", files: map[string]string{"index.mjs": "", "app.py": handler}, runtime: "python3.11", want: project{entry: "app.py", family: "python", handler: "app.handler"}},
		{name: "runtime of another language", files: map[string]string{"app.py": handler}, runtime: "nodejs20.x", err: "looked for index.mjs, index.js, index.cjs"},
		{name: "all given", files: map[string]string{"src/service.py": ""}, runtime: "python3.11", handler: "src/service.entry", want: project{family: "python", handler: "src/service.entry"}},
		{name: "handler names the file", files: map[string]string{"service.py": ""}, handler: "service.entry", want: project{family: "python", handler: "service.entry"}},
		{name: "handler names a file below", files: map[string]string{"src/m.js": ""}, handler: "src/m.run.now", want: project{family: "nodejs", handler: "src/m.run.now"}},
		{name: "handler names no file", files: map[string]string{"service.py": ""}, handler: "other.entry", err: "no function found"},
		{name: "another file", files: map[string]string{"service.py": ""}, err: "if it is in service.py, say so with --handler service.FUNCTION"},
		{name: "another file of another language", files: map[string]string{"service.py": "", "x.mjs": ""}, runtime: "nodejs20.x", err: "if it is in x.mjs, say so with --handler x.handler"},
		{name: "empty", files: map[string]string{}, err: "looked for index.mjs"},
		{name: "folder called app.py", files: map[string]string{"app.py/": ""}, err: "no function found"},
		{name: "typescript", files: map[string]string{"index.ts": ""}, err: "compiled to JavaScript"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tt.files)
			got, err := findProject(dir, tt.runtime, tt.handler)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %+v, error %v; want an error with %q", got, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tt.want.dir = dir
			if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(project{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	file := filepath.Join(folder(t, map[string]string{"app.py": handler}), "app.py")
	if _, err := findProject(file, "", ""); err == nil || !strings.Contains(err.Error(), "takes the folder") {
		t.Errorf("a file: %v", err)
	}
	if _, err := findProject(file+".d", "", ""); err == nil {
		t.Error("a folder that does not exist: no error")
	}
}

func TestFunctionName(t *testing.T) {
	for dir, want := range map[string]string{
		"/x/hello":                      "hello",
		"/x/Hello_2-b/":                 "Hello_2-b",
		"/x/my api (v2)":                "my-api-v2",
		"/x/größe":                      "gr-e",
		"/x/" + strings.Repeat("a", 70): strings.Repeat("a", 64),
		"/":                             "",
		"/x/...":                        "",
	} {
		got, err := functionName(dir)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v; want %q", dir, got, err, want)
		}
	}
}
