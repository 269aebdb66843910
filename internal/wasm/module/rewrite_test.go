package module_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// TestBulkParts fills and copies more than a part at a time, also over itself
// and out of the memory.
func TestBulkParts(t *testing.T) {
	three := string([]byte{i32, i32, i32})
	code := (&source{}).memory(64).
		function(three, "", "", 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 11, 0).
		function(three, "", "", 0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0).bytes()
	m := newMachine(t)
	before, after := m.start(code), m.rewritten(code)
	noise := make([]byte, 64<<16)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for round := range 60 {
		name := []string{"f0", "f1"}[round%2]
		place := func() uint64 { return uint64(rand.Uint32N(60 << 16)) }
		params := []uint64{place(), place(), uint64(rand.Uint32N(50 << 16))}
		if round%3 == 0 { // close to one another
			params[1] = params[0] + uint64(rand.Uint32N(3<<20)) - 1<<20
		}
		for _, mod := range []api.Module{before, after} {
			mod.Memory().Write(0, noise)
		}
		if want, got := call(before, name, params...), call(after, name, params...); got != want {
			t.Errorf("%s%v: trapped %v, want %v; memories equal: %v", name, params, got.trapped, want.trapped, got.memory == want.memory)
		}
	}
	if m.yields == 0 {
		t.Error("no part yielded")
	}
}

// TestMeter ends what does not end, and counts equal runs equally.
func TestMeter(t *testing.T) {
	loop := (&source{}).function("", "", "", 0x03, 0x40, 0x0c, 0, 0x0b)
	deep := (&source{}).function("", "", "", 0x10, 0)
	branching := (&source{}).function(string([]byte{i32}), "", "",
		0x03, 0x40, 0x20, 0, 0x04, 0x40, 0x0b, 0x0c, 0, 0x0b)
	for name, s := range map[string]*source{"loop": loop, "recursion": deep, "branches": branching} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.most = 10
			mod := m.rewritten(s.bytes())
			params := []uint64{1}[:len(mod.ExportedFunction("f0").Definition().ParamTypes())]
			if _, err := mod.ExportedFunction("f0").Call(t.Context(), params...); !errors.Is(err, errEnough) {
				t.Errorf("it ended by %v", err)
			}
		})
	}
	// Work that a branch at the front of a loop seems to skip costs as well.
	m := newMachine(t)
	work := append([]byte{0x03, 0x40, 0x02, 0x40, 0x41, 0, 0x0d, 0, 0x0b}, []byte(strings.Repeat("\x41\x00\x1a", 64*1000))...)
	mod := m.rewritten((&source{}).function("", "", "", append(work, 0x0b)...).bytes())
	call(mod, "f0")
	used := 1000*int64(m.yields) - int64(mod.ExportedGlobal(module.Fuel).Get())
	if used < 2000 {
		t.Errorf("128,000 instructions cost %d", used)
	}
}

// TestRefused has modules that are none, or not ours to run.
func TestRefused(t *testing.T) {
	empty := func() *source { return &source{} }
	for want, code := range map[string][]byte{
		"its first 8 bytes":               []byte("\x00asm\x02\x00\x00\x00"),
		"it ends too soon":                []byte("\x00asm\x01\x00\x00\x00\x01"),
		"are to follow, and do not":       []byte("\x00asm\x01\x00\x00\x00\x01\x7f\x00"),
		"unknown or out of order":         []byte("\x00asm\x01\x00\x00\x00\x03\x01\x00\x01\x01\x00"),
		"section 13 is unknown":           []byte("\x00asm\x01\x00\x00\x00\x0d\x01\x00"),
		"bytes after its end":             []byte("\x00asm\x01\x00\x00\x00\x01\x02\x00\x00"),
		"a number is too long":            []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\xff\x00"),
		"a number is too large":           []byte("\x00asm\x01\x00\x00\x00\x01\xff\xff\xff\xff\x7f"),
		"which is no function":            empty().part(2, 1, 'a', 1, 'b', 2, 0, 1).bytes(),
		"shared and 64-bit memories":      empty().part(5, 3, 1, 2).bytes(),
		"unknown instruction 0xfe":        empty().function("", "", "", 0xfe, 0x10, 2, 0).bytes(),
		"unknown instruction 0x12":        empty().function("", "", "", 0x12, 0).bytes(),
		"unknown instruction 0xfc 18":     empty().function("", "", "", 0xfc, 18).bytes(),
		"unknown instruction 0xfd 256":    empty().function("", "", "", 0xfd, 0x80, 2).bytes(),
		"names of that kind are taken":    empty().part(6, i32, 1, 0x41, 0, 0x0b).part(7, append(vector(module.Fuel), 3, 0)...).bytes(),
		"it has data, and no memory":      empty().part(11, 0, 0x41, 0, 0x0b, 1, 'x').bytes(),
		"which does not exist":            empty().part(7, 1, 'x', 0, 5).bytes(),
		"twice":                           empty().function("", "", "").part(7, 2, 'f', '0', 0, 0).bytes(),
		"functions and 0 bodies":          empty().part(1, 0x60, 0, 0).part(3, 0).bytes(),
		"there is no type 7":              empty().part(3, 7).bytes(),
		"its start function, 3":           empty().part(8, 3).bytes(),
		"blocks within more than":         empty().function("", "", "", []byte(strings.Repeat("\x02\x40", 1001))...).bytes(),
		"locals, at most":                 empty().part(1, 0x60, 0, 0).part(3, 0).part(10, 7, 1, 0xff, 0xff, 0xff, 0x7f, i32, 0x0b).bytes(),
		"pages of 64 KB, and 1000":        empty().part(5, 0, 0xe9, 7).bytes(),
		"a memory of 65537 to 65536":      empty().part(5, 0, 0x81, 0x80, 4).bytes(),
		"another memory than the first":   empty().memory(1).function("", "", "", 0x3f, 1).bytes(),
		"data whose place is no constant": empty().memory(1).part(11, 0, 0x23, 0, 0x0b, 1, 'x').bytes(),
	} {
		t.Run(want, func(t *testing.T) {
			m, err := module.Parse(code)
			if err == nil {
				_, err = m.Rewrite(module.Options{MaxPages: 1000})
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzParse reads any bytes. What is a module to the engine is one after it was
// rewritten, too.
func FuzzParse(f *testing.F) {
	p := string([]byte{i32})
	f.Add((&source{}).memory(1).part(4, 0x70, 0, 3).part(6, i32, 1, 0x41, 5, 0x0b).
		part(9, 0, 0x41, 0, 0x0b, 2, 0, 0).part(11, 0, 0x41, 0, 0x0b, 4, 'a', 'b', 'c', 'd').
		function(p, p, p, 0x03, 0x40, 0x20, 0, 0x0d, 0, 0x0b, 0x41, 1, 0x10, 0).bytes())
	f.Add((&source{}).function(p, "", "", 0x20, 0, 0x0e, 1, 0, 0).bytes())
	f.Add((&source{}).memory(2).function("", "", "", 0x41, 0, 0x41, 0, 0x41, 5, 0xfc, 10, 0, 0).bytes())
	m := newMachine(f)
	f.Fuzz(func(t *testing.T, code []byte) {
		parsed, err := module.Parse(code)
		if err != nil {
			return
		}
		out, err := parsed.Rewrite(module.Options{MaxPages: 1000})
		if err != nil {
			return
		}
		if compiled, err := m.runtime.CompileModule(t.Context(), code); err == nil {
			compiled.Close(t.Context())
			compiled, err := m.runtime.CompileModule(t.Context(), out.Code)
			if err != nil {
				t.Fatalf("%x became %x: %v", code, out.Code, err)
			}
			compiled.Close(t.Context())
			if compiled, err = m.runtime.CompileModule(t.Context(), out.Shape); err != nil {
				t.Fatalf("%x has the shape %x: %v", code, out.Shape, err)
			}
			compiled.Close(t.Context())
		}
	})
}
