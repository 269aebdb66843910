package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// greeter is a reactor that answers with its event after a word of its memory,
// which its data has in two parts.
func greeter(word string) []byte {
	section := func(id byte, content ...byte) []byte { return append([]byte{id, byte(len(content))}, content...) }
	name := func(s string, kind, index byte) []byte {
		return append(append([]byte{byte(len(s))}, s...), kind, index)
	}
	body := func(code ...byte) []byte { return append([]byte{byte(len(code))}, code...) }
	return slices.Concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 2, 0x60, 1, module.I32, 1, module.I32, 0x60, 2, module.I32, module.I32, 1, module.I64),
		section(3, 2, 0, 1),
		section(5, 1, 0, 1),
		section(7, slices.Concat([]byte{3}, name("memory", 2, 0), name("alloc", 0, 0), name("handle", 0, 1))...),
		section(10, slices.Concat([]byte{2},
			body(0, 0x41, word[0]&0x3f, 0x1a, 0x41, 16, 0x0b), // 16
			body(0, 0x20, 1, 0x41, 8, 0x6a, 0xad, 0x42, 0x88, 0x80, 0x80, 0x80, 0x80, 1, // 8 << 32 | length + 8
				0x84, 0x0b))...),
		section(11, slices.Concat([]byte{2, 0, 0x41, 8, 0x0b, 4}, []byte(word[:4]), []byte{0, 0x41, 12, 0x0b, 4}, []byte(word[4:8]))...),
	)
}

// greets loads a module, has it greet, and tells whether it was compiled before.
func greets(t *testing.T, e *Engine, file []byte, want string) bool {
	t.Helper()
	p, err := e.Load(t.Context(), file, ProgramConfig{MemoryMB: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	w := &world{TB: t, Program: p}
	w.answers("you", want)
	w.instance.Close()
	return p.before
}

// A module that was compiled before is not read again, and what is damaged, or
// another's, is made anew.
func TestKept(t *testing.T) {
	dir := t.TempDir()
	var added []string
	engine := func() *Engine {
		return newEngine(t, EngineConfig{CacheDir: dir, Added: func(name string) { added = append(added, name) }, Audit: 1})
	}
	hello, other := greeter("Hello to"), greeter("Not for ")
	if greets(t, engine(), hello, "Hello toyou") {
		t.Error("a module was compiled before the first time")
	}
	if len(added) != 2 {
		t.Fatalf("added: %q", added)
	}
	code, kept := filepath.Join(dir, added[0]), filepath.Join(dir, added[1])
	if !greets(t, engine(), hello, "Hello toyou") {
		t.Error("a module is not kept")
	}
	if greets(t, engine(), other, "Not for you") {
		t.Error("two modules are kept as one")
	}
	otherCode := filepath.Join(dir, added[2])
	content, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	change := func(file string, content []byte) func() error {
		return func() error { return os.WriteFile(file, content, 0o600) }
	}
	flipped := bytes.Clone(content)
	flipped[len(flipped)-1] ^= 1
	for name, damage := range map[string]func() error{
		"no code":        func() error { return os.Remove(code) },
		"code cut off":   func() error { return os.Truncate(code, 100) },
		"another's code": func() error { return os.Rename(otherCode, code) },
		"no module":      func() error { return os.Remove(kept) },
		"flipped":        change(kept, flipped),
		"cut off":        change(kept, content[:len(content)-9]),
		"empty":          change(kept, nil),
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if greets(t, engine(), hello, "Hello toyou") {
			t.Errorf("%s: it was kept", name)
		}
		if !greets(t, engine(), hello, "Hello toyou") {
			t.Errorf("%s: it is not kept again", name)
		}
		if name == "another's code" {
			greets(t, engine(), other, "Not for you")
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// What Rewrite makes of a module is kept under a name that says which Rewrite
// made it: a change of one wants a change of the other.
func TestKeptFormat(t *testing.T) {
	m, err := module.Parse(greeter("Hello to"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Rewrite(module.Options{MaxPages: maxPages})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(bytes.Clone(r.Code), r.Shape...))
	const format, want = "module-2", "12cb2dc7696fac38"
	if got := hex.EncodeToString(sum[:8]); keptFormat != format || got != want {
		t.Errorf("Rewrite makes %s and keptFormat is %s; they were %s and %s: change the format, and then this test", got, keptFormat, want, format)
	}
}

func TestJoinedData(t *testing.T) {
	got := joined([]module.Data{
		{Offset: 10, Bytes: []byte("ab")}, {Offset: 12, Bytes: []byte("c")}, {Offset: 14, Bytes: []byte("d")},
		{Offset: 11, Bytes: []byte("x")}, // over what came before
		{Offset: 12 + maxGap + 1, Bytes: []byte("far")},
		{Offset: 1<<32 - 1, Bytes: []byte("end")}, {Offset: 1, Bytes: nil},
	})
	want := []module.Data{
		{Offset: 10, Bytes: []byte("abc\x00d")}, {Offset: 11, Bytes: []byte("x")}, {Offset: 12 + maxGap + 1, Bytes: []byte("far")},
		{Offset: 1<<32 - 1, Bytes: []byte("end")}, {Offset: 1, Bytes: nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzDecodeKept reads any bytes behind their digest. What can be read is
// written as it was.
func FuzzDecodeKept(f *testing.F) {
	k := &kept{ABI: Reactor, Globals: []string{"a"}, MaxPages: 7, Proof: 9, Code: "c", shape: []byte("shape"), data: []module.Data{{Offset: 3, Bytes: []byte("data")}}}
	f.Add(k.encode()[sha256.Size:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		digest := sha256.Sum256(rest)
		k := decodeKept(append(digest[:], rest...))
		if k == nil {
			return
		}
		again := decodeKept(k.encode())
		if diff := cmp.Diff(k, again, cmp.AllowUnexported(kept{})); diff != "" {
			t.Error(diff)
		}
		if decodeKept(append(digest[:], append(rest, 0)...)) != nil {
			t.Error("bytes that were changed are read")
		}
	})
}
