package bootstrap

import (
	"strings"
	"testing"
)

const deprecated = `ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.`

func TestNodeInitErrors(t *testing.T) {
	tests := []struct {
		name    string
		runtime string // nodejs20.x unless given
		handler string
		file    string
		source  string
		kind    string
		message string // HERE stands for /var/runtime, ROOT for the task's root
		code    int
		what    string // first words of the log entry
	}{
		{name: "parent folder", handler: "../index.handler", kind: "Runtime.MalformedHandlerName", code: 129, what: "Uncaught Exception",
			message: "'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names."},
		{name: "no function", handler: "index", kind: "Runtime.MalformedHandlerName", message: "Bad handler", code: 129, what: "Uncaught Exception"},
		{name: "missing module", handler: "nothere.handler", kind: "Runtime.ImportModuleError", code: 129, what: "Uncaught Exception",
			message: "Error: Cannot find module 'nothere'\nRequire stack:\n- HERE/index.mjs"},
		{name: "missing module, newer runtime", runtime: "nodejs24.x", handler: "nothere.handler", kind: "Runtime.ImportModuleError", code: 1, what: "Init Error",
			message: "Error: Cannot find module 'nothere'\nRequire stack:\n- HERE/index.mjs"},
		{name: "missing module of a module", handler: "index.handler", file: "index.js", source: "require('nothere')",
			kind: "Runtime.ImportModuleError", code: 129, what: "Uncaught Exception",
			message: "Error: Cannot find module 'nothere'\nRequire stack:\n- ROOT/index.js\n- HERE/index.mjs"},
		{name: "missing import of an ES module", handler: "index.handler", file: "index.mjs", source: "import 'nothere'",
			kind: "Error", code: 129, what: "Uncaught Exception", message: "Cannot find package 'nothere' imported from ROOT/index.mjs"},
		{name: "syntax error", handler: "index.handler", file: "index.js", source: "exports.handler = (",
			kind: "Runtime.UserCodeSyntaxError", code: 129, what: "Uncaught Exception", message: "SyntaxError: Unexpected end of input"},
		{name: "syntax error in an ES module", handler: "index.handler", file: "index.mjs", source: "export const handler = (",
			kind: "Runtime.UserCodeSyntaxError", code: 129, what: "Uncaught Exception", message: "SyntaxError: Unexpected end of input"},
		{name: "import statement in CommonJS", handler: "index.handler", file: "index.cjs", source: "import fs from 'fs'",
			kind: "Runtime.UserCodeSyntaxError", code: 129, what: "Uncaught Exception", message: "SyntaxError: Cannot use import statement outside a module"},
		{name: "missing function", handler: "index.nothere", file: "index.js", source: "exports.handler = 1",
			kind: "Runtime.HandlerNotFound", code: 129, what: "Uncaught Exception", message: "index.nothere is undefined or not exported"},
		{name: "no function but a number", handler: "index.handler", file: "index.js", source: "exports.handler = 1",
			kind: "Runtime.HandlerNotFound", code: 129, what: "Uncaught Exception", message: "index.handler is not a function"},
		{name: "exception", handler: "index.handler", file: "index.mjs", source: "throw new RangeError('at start')",
			kind: "RangeError", code: 129, what: "Uncaught Exception", message: "at start"},
		{name: "exception, newer runtime", runtime: "nodejs26.x", handler: "index.handler", file: "index.mjs", source: "throw new RangeError('at start')",
			kind: "RangeError", code: 1, what: "Init Error", message: "at start"},
		{name: "unhandled rejection", handler: "index.handler", file: "index.mjs", source: "Promise.reject(new Error('lost')); await new Promise(r => setTimeout(r, 60000))",
			kind: "Runtime.UnhandledPromiseRejection", code: 128, what: "Unhandled Promise Rejection", message: "Error: lost"},
		{name: "callback handler, newer runtime", runtime: "nodejs24.x", handler: "index.handler", file: "index.mjs", source: "export const handler = (e, c, done) => done()",
			kind: "Runtime.CallbackHandlerDeprecated", code: 1, what: "Init Error", message: deprecated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.runtime == "" {
				tt.runtime = "nodejs20.x"
			}
			files := map[string]string{}
			if tt.file != "" {
				files[tt.file] = tt.source
			}
			f := start(t, program{runtime: tt.runtime, handler: tt.handler, files: files})
			o := f.outcome()
			if o.path != "init/error" {
				t.Errorf("posted to %s, want init/error", o.path)
			}
			d := decodeError(t, o.body)
			want := strings.NewReplacer("HERE", laidOut["/usr/bin/node"], "ROOT", f.root).Replace(tt.message)
			if d.Message != want {
				t.Errorf("message %q, want %q", d.Message, want)
			}
			if d.Type != tt.kind || o.header.Get("Lambda-Runtime-Function-Error-Type") != tt.kind {
				t.Errorf("type %q (header %q), want %q", d.Type, o.header.Get("Lambda-Runtime-Function-Error-Type"), tt.kind)
			}
			if len(d.Trace) == 0 || !strings.HasPrefix(o.body, `{"errorType":`) || !strings.Contains(o.body, `,"trace":[`) {
				t.Errorf("body %s", o.body)
			}
			if code := f.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			logs := f.entries()
			head := "TIME\tundefined\tERROR\t" + tt.what + " \t{\"errorType\":\"" + tt.kind + "\",\"errorMessage\":"
			if len(logs) == 0 {
				t.Fatal("nothing in the log")
			}
			last := logs[len(logs)-1] // Node may have warned before
			if last.kind != textError || !strings.HasPrefix(isoMillis.ReplaceAllString(last.text, "TIME"), head) {
				t.Errorf("log %+v, want an entry that begins with %q", logs, head)
			}
		})
	}
}

func TestNodeHandlerNames(t *testing.T) {
	const cjs, esm = "exports.handler = async () => __filename", "export const handler = async () => import.meta.url"
	tests := []struct {
		name    string
		handler string
		files   map[string]string
		want    string // suffix of the file that was loaded
	}{
		{"js", "index.handler", map[string]string{"index.js": cjs}, "/index.js"},
		{"mjs", "index.handler", map[string]string{"index.mjs": esm}, "/index.mjs"},
		{"cjs", "index.handler", map[string]string{"index.cjs": cjs}, "/index.cjs"},
		{"js before mjs before cjs", "index.handler", map[string]string{"index.js": cjs, "index.mjs": esm, "index.cjs": cjs}, "/index.js"},
		{"mjs before cjs", "index.handler", map[string]string{"index.mjs": esm, "index.cjs": cjs}, "/index.mjs"},
		{"no extension first", "index.handler", map[string]string{"index": cjs, "index.js": esm}, "/index"},
		{"js as ES module", "index.handler", map[string]string{"index.js": esm, "package.json": `{"type":"module"}`}, "/index.js"},
		{"nearest package.json", "src/index.handler", map[string]string{"src/index.js": esm, "src/package.json": `{"type":"module"}`, "package.json": `{"type":"commonjs"}`}, "/src/index.js"},
		{"package.json above", "src/deep/index.handler", map[string]string{"src/deep/index.js": esm, "package.json": `{"type":"module"}`}, "/src/deep/index.js"},
		{"folder", "src/index.handler", map[string]string{"src/index.js": cjs}, "/src/index.js"},
		{"folder of the same name", "index.handler", map[string]string{"index.js": cjs, "index/other.txt": ""}, "/index.js"},
		{"folder with an index", "app.handler", map[string]string{"app/index.js": cjs}, "/app/index.js"},
		{"installed package", "pkg.handler", map[string]string{"node_modules/pkg/index.js": cjs}, "/node_modules/pkg/index.js"},
		{"installed package below a folder", "src/pkg.handler", map[string]string{"src/node_modules/pkg/index.js": cjs}, "/src/node_modules/pkg/index.js"},
		{"nested function", "index.a.b", map[string]string{"index.js": "exports.a = {b: async () => __filename}"}, "/index.js"},
		{"default export", "index.handler", map[string]string{"index.mjs": "export default {handler: async () => import.meta.url}"}, "/index.mjs"},
		{"nested in the default export", "index.a.b", map[string]string{"index.mjs": "export default {a: {b: async () => import.meta.url}}"}, "/index.mjs"},
		{"default export itself", "index.default", map[string]string{"index.mjs": "export default async () => import.meta.url"}, "/index.mjs"},
		{"top-level await", "index.handler", map[string]string{"index.mjs": "await new Promise(r => setImmediate(r));" + esm}, "/index.mjs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: "nodejs20.x", handler: tt.handler, files: tt.files})
			got := strings.Trim(f.respond("{}"), `"`)
			if got = strings.TrimPrefix(got, "file://"); got != f.root+tt.want {
				t.Errorf("loaded %s, want %s", got, f.root+tt.want)
			}
		})
	}
}

// What ends the process ends it; the platform tells the caller.
func TestNodeExit(t *testing.T) {
	tests := []struct {
		name    string
		runtime string
		source  string
		invoke  bool
		code    int
	}{
		{"zero in the handler", "nodejs20.x", "export const handler = async () => process.exit(0)", true, 0},
		{"code in the handler", "nodejs24.x", "export const handler = async () => process.exit(3)", true, 3},
		{"at import", "nodejs20.x", "process.exit(5)", false, 5},
		{"an import that never ends", "nodejs20.x", "await new Promise(() => {})", false, 13},
		{"uncaught exception, newer runtime", "nodejs24.x", "export const handler = () => new Promise(() => setImmediate(() => { throw new Error('x') }))", true, 1},
		{"unhandled rejection, newer runtime", "nodejs24.x", "export const handler = () => new Promise(() => { Promise.reject(new Error('x')) })", true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, program{runtime: tt.runtime, handler: "index.handler", files: map[string]string{"index.mjs": tt.source}})
			if tt.invoke {
				f.send(event{body: "{}"})
			}
			if code := f.exit(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			select {
			case o := <-f.api.outcomes:
				t.Errorf("posted %+v, want nothing", o)
			default:
			}
		})
	}
}
