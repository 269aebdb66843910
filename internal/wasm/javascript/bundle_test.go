package javascript

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pack writes a package's files, and returns their directory.
func pack(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// has checks that a bundle can be made, and what is in it.
func has(t *testing.T, files map[string]string, handler string, wants ...string) *Bundle {
	t.Helper()
	b, err := Make(t.Context(), pack(t, files), handler)
	if err != nil {
		t.Errorf("%v: %v", files, err)
		return &Bundle{}
	}
	for _, want := range wants {
		if !strings.Contains(string(b.Code), want) {
			t.Errorf("of %v:\n%s\nhas no %s", files, b.Code, want)
		}
	}
	return b
}

func TestMake(t *testing.T) {
	const main = "index.mjs"
	has(t, map[string]string{main: `export const handler = () => "plain"`}, "index.handler", `"plain"`, "export")
	has(t, map[string]string{"index.js": `exports.handler = () => "common"`}, "index.handler", `"common"`, "export default")
	has(t, map[string]string{"src/api/index.ts": `type A = {a: string}; enum E { One = 1 }; export const handler = (e: A): number => E.One satisfies number`},
		"src/api/index.handler", "handler = (e) =>")
	has(t, map[string]string{"index.ts": `import { a } from "./a.js"; import b from "./lib"; import c from "./c.json"; export const handler = () => [a, b, c.d]`,
		"a.ts": `export const a: string = "from-a"`, "lib/index.mjs": `export default "from-lib"`, "c.json": `{"d":"from-c"}`}, "index.handler", `"from-a"`, `"from-lib"`, `"from-c"`)
	has(t, map[string]string{
		main: `import one from "one"; import {two} from "@s/two/sub"; import three from "three/x"; import inner from "#inner"; const four = require("four");
			export const handler = () => [one, two, three, inner, four]`,
		"package.json":                                      `{"imports": {"#inner": {"node": "./no.js", "default": "./inner.js"}}}`,
		"inner.js":                                          `export default "the-inner"`,
		"node_modules/one/package.json":                     `{"main": "./lib/main.cjs"}`,
		"node_modules/one/lib/main.cjs":                     `module.exports = "the-one" + require("./more")`,
		"node_modules/one/lib/more.js":                      `module.exports = require("two-of-one")`,
		"node_modules/@s/two/package.json":                  `{"exports": {"./sub": {"node": {"import": "./no.mjs"}, "import": "./sub.mjs", "require": "./no.cjs"}, "./*": "./no/*"}}`,
		"node_modules/@s/two/sub.mjs":                       `export const two = "the-two"`,
		"node_modules/three/package.json":                   `{"exports": {".": "./no.js", "./*": "./dist/*.js"}}`,
		"node_modules/three/dist/x.js":                      `export default "the-three"`,
		"node_modules/four/package.json":                    `{"exports": {"import": "./no.mjs", "default": "./four.cjs"}}`,
		"node_modules/four/four.cjs":                        `module.exports = "the-four"`,
		"node_modules/one/node_modules/two-of-one/index.js": `module.exports = "the-two-of-one"`,
	}, "index.handler", `"the-one"`, `"the-two"`, `"the-three"`, `"the-inner"`, `"the-four"`, `"the-two-of-one"`)
	has(t, map[string]string{main: `let fs; try { fs = require("fs") } catch {} export const handler = () => fs`}, "index.handler", `"fs"`)
}

func TestMakeFails(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.mjs")
	if err := os.WriteFile(outside, []byte(`export const secret = "the secret"`), 0o600); err != nil {
		t.Fatal(err)
	}
	const syntax, missing = "Runtime.UserCodeSyntaxError", "Runtime.ImportModuleError"
	for _, c := range []struct{ source, kind, want string }{
		{`export const handler = (`, syntax, "SyntaxError: Unexpected end of file (/var/task/index.ts:1:25)"},
		{"const a = 1;\nconst b: = 2;", syntax, "(/var/task/index.ts:2:10)"},
		{`import "./nothing"`, missing, "Error: Cannot find module './nothing' imported from /var/task (/var/task/index.ts:1:8)"},
		{`import "nothing"`, missing, "Cannot find module 'nothing'"},
		{`import "node:fs"; import x from "fs"`, missing, "has no modules of Node.js"},
		{`export {secret} from "` + outside + `"`, missing, "Cannot find module"},
		{`export {secret} from "../secret.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "../../` + filepath.Base(filepath.Dir(outside)) + `/secret.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "/var/task/../secret.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "./link.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "./linked/secret.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "linked/secret.mjs"`, missing, "Cannot find module"},
		{`export {secret} from "escapes"`, missing, "Cannot find module"},
		{`export {secret} from "#escapes"`, missing, "Cannot find module"},
		{`export {text} from "data:text/javascript,export default 1"`, missing, "Cannot find module"},
		{`export {text} from "https://example.com/a.js"`, missing, "Cannot find module"},
		{`import "a` + "\\0" + `b"`, missing, "Cannot find module"},
	} {
		dir := pack(t, map[string]string{"index.ts": c.source, "../secret.mjs": "export const secret = 1", "package.json": `{"imports": {"#escapes": "./../secret.mjs"}}`,
			"node_modules/escapes/package.json": `{"exports": "./../../../secret.mjs", "main": "../../../secret.mjs"}`})
		for from, to := range map[string]string{"link.mjs": outside, "linked": filepath.Dir(outside), "node_modules/linked": filepath.Dir(outside)} {
			if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := Make(t.Context(), dir, "index.handler")
		var e *Error
		if !errors.As(err, &e) || e.Type != c.kind || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "the secret") {
			t.Errorf("%s: got %v, %v; want %s: %s", c.source, b, err, c.kind, c.want)
		}
	}
	for handler, kind := range map[string]string{"index": "Runtime.MalformedHandlerName", "": "Runtime.MalformedHandlerName", "../index.handler": "Runtime.MalformedHandlerName",
		"other.handler": missing, "/etc/passwd.x": "Runtime.MalformedHandlerName"} {
		var e *Error
		if _, err := Make(t.Context(), pack(t, map[string]string{"index.js": ""}), handler); !errors.As(err, &e) || e.Type != kind {
			t.Errorf("%s: got %v, want %s", handler, err, kind)
		}
	}
	if _, err := Make(t.Context(), "/nowhere/at/all", "index.handler"); err == nil {
		t.Error("a package that is not there was bundled")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Make(ctx, pack(t, map[string]string{"index.js": ""}), "index.handler"); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it: %v", err)
	}
}

func TestMakeHasBounds(t *testing.T) {
	var imports strings.Builder
	files := map[string]string{}
	for n := range maxFiles {
		fmt.Fprintf(&imports, "import './f%d.js';", n)
		files[fmt.Sprintf("f%d.js", n)] = ";"
	}
	files["index.js"] = imports.String()
	if _, err := Make(t.Context(), pack(t, files), "index.handler"); err == nil || !strings.Contains(err.Error(), "more than 5000 files") {
		t.Errorf("got %v", err)
	}
	large := "// " + strings.Repeat("x", maxSource/2)
	files = map[string]string{"index.js": "import './a.js'; import './b.js'", "a.js": large, "b.js": large}
	if _, err := Make(t.Context(), pack(t, files), "index.handler"); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("got %v", err)
	}
	files = map[string]string{"index.js": "export const handler = '" + strings.Repeat("x", maxCode) + "'"}
	if _, err := Make(t.Context(), pack(t, files), "index.handler"); err == nil || !strings.Contains(err.Error(), "bytes of code") {
		t.Errorf("got %v", err)
	}
}

func TestLocate(t *testing.T) {
	b := has(t, map[string]string{
		"index.ts":     "type A = {\n  a: string\n}\n\nimport { fails } from './lib/fails.js';\nexport const handler = (event: A) => {\n  fails(event.a);\n}\n",
		"lib/fails.ts": "interface B {}\n\n\nexport function fails(a: string): never {\n  throw new Error(a);\n}\n",
	}, "index.handler")
	for what, want := range map[string]string{"throw": "/var/task/lib/fails.ts:5:", "  fails(": "/var/task/index.ts:7:"} {
		before, _, ok := strings.Cut(string(b.Code), what)
		if !ok {
			t.Fatalf("no %s in %s", what, b.Code)
		}
		line := strings.Count(before, "\n") + 1
		column := len(before) - strings.LastIndex(before, "\n") + 2
		stack := fmt.Sprintf("    at f (%s:%d:%d)\n    at other (millicent:main.js:1:1)\n    at (%s:99999:1)", b.Name, line, column, b.Name)
		if got := b.Locate(stack); !strings.Contains(got, "("+want) || !strings.Contains(got, "main.js:1:1") || !strings.Contains(got, ":99999:1") {
			t.Errorf("%s: got %s, want %s", stack, got, want)
		}
	}
}

func TestCache(t *testing.T) {
	dir := pack(t, map[string]string{"index.js": "exports.handler = () => 1"})
	c := Cache{Dir: t.TempDir()}
	first, kept, err := c.Make(t.Context(), "digest", dir, "index.handler")
	if err != nil || kept {
		t.Fatal(err, kept)
	}
	again := func(digest, handler string, want bool) *Bundle {
		t.Helper()
		b, kept, err := c.Make(t.Context(), digest, dir, handler)
		if err != nil || kept != want {
			t.Fatal(err, kept)
		}
		return b
	}
	second := again("digest", "index.handler", true)
	if string(first.Code) != string(second.Code) || first.Name != second.Name || first.mappings != second.mappings || fmt.Sprint(first.sources) != fmt.Sprint(second.sources) {
		t.Errorf("what was kept differs: %+v and %+v", first, second)
	}
	again("other", "index.handler", false)
	again("digest", "index.other", false)
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, damage := range []func([]byte) []byte{func(b []byte) []byte { return b[:len(b)-1] }, func([]byte) []byte { return nil }, func(b []byte) []byte { b[50]++; return b }} {
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err := errors.Join(err, os.WriteFile(file, damage(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		again("digest", "index.handler", false)
		again("digest", "index.handler", true)
		again("other", "index.handler", false)
		again("digest", "index.other", false)
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "abc": "abc", "\xff": "\ufffd", "a\xe2\x82b": "a\ufffdb", "\xf0\x9f\x98": "\ufffd", "\xf0\x9f\x98\x80": "😀",
		"\xed\xa0\x80": "\ufffd\ufffd\ufffd", "\xc0\x80": "\ufffd\ufffd", "\xf4\x90\x80\x80": "\ufffd\ufffd\ufffd\ufffd", "\xe0\x9f\xbf": "\ufffd\ufffd\ufffd", "\xc3": "\ufffd",
	} {
		if got := string(Decode([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzBundle reads what may be no bundle and no mappings.
func FuzzBundle(f *testing.F) {
	b := &Bundle{Name: "/var/task/index.js", Code: []byte("x"), sources: []string{"index.js"}, mappings: "AAAA,CAAC;;AACA"}
	f.Add(b.encode(), "AAAA,CAAC;;AACA", []byte("a\xe2\x82"))
	f.Fuzz(func(t *testing.T, file []byte, mappings string, text []byte) {
		if got := decode(file); got != nil {
			got.Locate(got.Name + ":1:1")
		}
		other := &Bundle{Name: "x", sources: b.sources, mappings: mappings}
		other.Locate("x:1:1 x:2:5 x:99999999999:1")
		if again := Decode(Decode(text)); string(again) != string(Decode(text)) {
			t.Errorf("%q decodes to what does not decode to itself", text)
		}
	})
}
