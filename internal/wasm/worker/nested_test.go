package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millicent-run/millicent/internal/wasm"
)

// A nesting is code that is nested: before, as often as it takes, and after for
// each of these.
type nesting struct {
	name, file, begin, before, middle, after, end string
	always                                        bool // it is part of every test
}

var nested = []nesting{
	{"arrows", "index.js", "export const handler = ", "a=>", "1", "", "", true},
	{"parentheses", "index.js", "export const handler = ", "(", "1", ")", "", false},
	{"arrays", "index.js", "export const handler = ", "[", "1", "]", "", false},
	{"objects", "index.js", "export const handler = ", "{a:", "1", "}", "", false},
	{"blocks", "index.js", "export const handler = 1; ", "{", ";", "}", "", false},
	{"functions", "index.js", "export const handler = ", "function(){return ", "1", "}", "", false},
	{"classes", "index.js", "export const handler = ", "class{a=", "1", "}", "", false},
	{"templates", "index.js", "export const handler = ", "`${", "1", "}`", "", true},
	{"unary operators", "index.js", "export const handler = ", "!", "1", "", "", true},
	{"prefixes", "index.js", "export const handler = ", "typeof ", "1", "", "", false},
	{"sums", "index.js", "export const handler = 1", "+a", "", "", "", false},
	{"powers", "index.js", "export const handler = 1", "**a", "", "", "", false},
	{"commas", "index.js", "export const handler = (1", ",a()", "", "", ")", false},
	{"conditions", "index.js", "export const handler = ", "a?1:", "1", "", "", false},
	{"assignments", "index.js", "let a; export const handler = ", "a=", "1", "", "", false},
	{"branches", "index.js", "export const handler = 1; ", "if(a){}else ", "{}", "", "", false},
	{"loops", "index.js", "export const handler = 1; ", "for(;;)", ";", "", "", false},
	{"labels", "index.js", "export const handler = 1; ", "a:", ";", "", "", false},
	{"optional chains", "index.js", "export const handler = a", "?.b", "", "", "", true},
	{"calls", "index.js", "export const handler = a", "()", "", "", "", false},
	{"new", "index.js", "export const handler = ", "new ", "a", "", "", false},
	{"await", "index.js", "export const handler = async () => ", "await ", "1", "", "", false},
	{"patterns", "index.js", "export const handler = 1; let ", "[", "b", "]", "=1", false},
	{"elements", "index.jsx", "let React; export const handler = ", "<a>", "", "</a>", "", true},
	{"types", "index.ts", "export const handler = 1; type A = ", "B<", "C", ">", "", false},
	{"types of functions", "index.ts", "export const handler = 1; type A = ", "()=>", "C", "", "", false},
	{"conditional types", "index.ts", "export const handler = 1; type A = ", "B extends C?D:", "E", "", "", false},
	{"casts", "index.ts", "export const handler = 1", " as any", "", "", "", false},
	{"namespaces", "index.ts", "export const handler = 1; ", "namespace a{", "export let b=1", "}", "", false},
	{"JSON", "data.json", "", "[", "1", "]", "", true},
}

// write writes a function whose code is that, as deep as it gets in so many bytes.
func (n *nesting) write(t *testing.T, size int) *wasm.Spec {
	t.Helper()
	dir := t.TempDir()
	times := size / len(n.before+n.after)
	files := map[string]string{n.file: n.begin + strings.Repeat(n.before, times) + n.middle + strings.Repeat(n.after, times) + n.end}
	if n.file == "data.json" {
		files["index.js"] = `import d from "./data.json"; export const handler = () => d`
	}
	for name, code := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &wasm.Spec{Digest: dir, Dir: dir, Handler: "index.handler", MemoryMB: 128, Log: &lines{}}
}

// Code that the bundler does not survive is an error of its own, and nobody
// else notices: not even what else runs of the same tenant. All kinds of it, as
// large as packages may be, are tried with MILLICENT_NESTED=all.
func TestNested(t *testing.T) {
	size, all := 900<<10, os.Getenv("MILLICENT_NESTED") == "all"
	if all {
		size = 30 << 20
	}
	h := newHost(t, newPool(t, Config{Memory: 2 << 30}), "a")
	honest := open(t, h, newSpec(t))
	for _, n := range nested {
		if !all && !n.always {
			continue
		}
		t.Run(n.name, func(t *testing.T) {
			err := h.Prepare(t.Context(), n.write(t, size))
			var own *wasm.Failure
			if err != nil && (!errors.As(err, &own) || !strings.Contains(own.Message, "nested too deeply")) {
				t.Error(err)
			}
			if !all && err == nil {
				t.Error("it was compiled")
			}
			echoes(t, honest)
		})
	}
	echoes(t, open(t, h, newSpec(t, "another")))
}
