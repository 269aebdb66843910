package main

import (
	"archive/zip"
	"bytes"
	"context"
	"embed"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed functions
var sources embed.FS

// source returns a file below functions.
func source(name string) string {
	b, err := sources.ReadFile("functions/" + name)
	if err != nil {
		panic(err) // the compiler has seen it
	}
	return string(b)
}

// zipOf makes a deployment package; a file named bootstrap is executable.
func zipOf(files map[string]string) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o644)
		if name == "bootstrap" {
			h.SetMode(0o755)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

// buildGo compiles the Go function. It needs the module's sources.
func buildGo(ctx context.Context, dir string) (program string, err error) {
	program = filepath.Join(dir, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", "lambda.norpc",
		"-o", program, "github.com/millicent-run/millicent/bench/functions/go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the Go function: %w\n%s", err, out)
	}
	return program, nil
}

// bundleSize is how large the generated bundle is, in bytes.
const bundleSize = 1_700_000

// bundle writes a JavaScript file in the form that bundlers give to a large
// SDK: hundreds of modules in closures, each requiring others, that declare
// classes, commands and tables of shapes, of which a handler uses a few. It is
// the same on every machine.
func bundle() string {
	const perModule = 3
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("'use strict';\n")
	b.WriteString("const builtin = ['node:https', 'node:crypto', 'node:stream', 'node:zlib', 'node:url', 'node:util'].map((n) => require(n));\n")
	b.WriteString("const cache = new Map();\nconst modules = [];\n")
	b.WriteString("const load = (i) => { let m = cache.get(i); if (!m) { m = { exports: {} }; cache.set(i, m); modules[i](m, m.exports); } return m.exports; };\n")
	count := 0
	for ; b.Len() < bundleSize-200; count++ {
		fmt.Fprintf(&b, "modules.push(function (module, exports) {\n")
		for dep := range min(count, 2) {
			fmt.Fprintf(&b, "  const dep%d = load(%d);\n", dep, random.IntN(count))
		}
		for c := range perModule {
			writeClass(&b, random, fmt.Sprintf("Command%dx%d", count, c))
		}
		b.WriteString("});\n")
	}
	fmt.Fprintf(&b, "for (let i = 0; i < %d; i++) load(i);\n", count)
	fmt.Fprintf(&b, "let calls = 0;\nexports.handler = async () => { calls++; const C = load(%d).Command%dx0; return { n: calls, shape: new C({}).describe(1).length, builtin: builtin.length }; };\n", count/2, count/2)
	return b.String()
}

var words = strings.Fields(`account alias bucket cache cursor device endpoint event filter group header index
	item key layer limit mapping member metric name object owner page policy queue region request role schema
	signature source state stream table tag target token topic user value version window zone`)

// writeClass writes a command with its shape, as in a generated client.
func writeClass(b *strings.Builder, random *rand.Rand, name string) {
	word := func() string { return words[random.IntN(len(words))] }
	fields := 8 + random.IntN(10)
	fmt.Fprintf(b, "  const shape%s = Object.freeze({\n", name)
	for i := range fields {
		fmt.Fprintf(b, "    %s%s%d: { type: '%s', location: '%s', required: %t, members: ['%s', '%s'], max: %d },\n",
			word(), strings.ToUpper(word()[:1]), i, word(), word(), i%3 == 0, word(), word(), random.IntN(10000))
	}
	b.WriteString("  });\n")
	fmt.Fprintf(b, "  class %s {\n    static shape = shape%s;\n    constructor(input) { this.input = input; this.middleware = new Map(); }\n", name, name)
	fmt.Fprintf(b, "    resolve(stack, configuration) { for (const step of stack) this.middleware.set(step.name, step); return (input) => this.serialize(input, configuration); }\n")
	fmt.Fprintf(b, "    serialize(input, context) { const out = {}; for (const [key, s] of Object.entries(shape%s)) { if (input[key] != null) out[s.location + '.' + key] = s.type === '%s' ? JSON.stringify(input[key]) : String(input[key]); else if (s.required && context?.strict) throw new TypeError(`${key} is required`); } return out; }\n", name, word())
	fmt.Fprintf(b, "    deserialize(output) { const result = { $metadata: { %s: output?.%s } }; if (Array.isArray(output?.%s)) result.%s = output.%s.map((item) => ({ ...item, %s: Number(item.%s ?? %d) })); return result; }\n",
		word(), word(), word(), word(), word(), word(), word(), random.IntN(1000))
	fmt.Fprintf(b, "    describe(level) { return Object.keys(shape%s).filter((key) => key.length > level); }\n  }\n", name)
	fmt.Fprintf(b, "  exports.%s = %s;\n", name, name)
}
