package wasm

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Images that share with another hold what they were made of, whatever that is
// and however instances change theirs.
func TestSharedImages(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(b []byte) []byte {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	make1 := func(memory []byte, base *image) *image {
		i, err := newImage(memory, nil, base)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first := fill(make([]byte, 64<<12))
	base := make1(first, nil)
	for name, change := range map[string]func(b []byte) []byte{
		"the same":        func(b []byte) []byte { return b },
		"one byte":        func(b []byte) []byte { b[12345]++; return b },
		"the ends":        func(b []byte) []byte { b[0]++; b[len(b)-1]++; return b },
		"every other":     func(b []byte) []byte { return stained(b, 2<<12) },
		"many places":     func(b []byte) []byte { return stained(b, 7<<12) },
		"zeros":           func(b []byte) []byte { clear(b[5<<12 : 9<<12]); return b },
		"longer":          func(b []byte) []byte { return append(b, fill(make([]byte, 3<<12))...) },
		"longer by zeros": func(b []byte) []byte { return append(b, make([]byte, 16<<12)...) },
		"shorter":         func(b []byte) []byte { return b[:31<<12] },
		"another":         func(b []byte) []byte { return fill(b) },
		"nothing":         func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			want := change(bytes.Clone(first))
			shared := make1(want, base)
			if len(shared.own) > maxParts {
				t.Errorf("it has %d parts", len(shared.own))
			}
			alone, err := shared.alone()
			if err != nil {
				t.Fatal(err)
			}
			for _, from := range []*image{shared, alone} {
				m, err := newMemory(1<<20, from, e.budget)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if got := m.space[:m.size]; !bytes.Equal(got, want) || !m.same() {
						t.Fatal("the memory is not what it was made of")
					}
					m.Reallocate(uint64(len(want)) + wasmPage)
					for range 20 {
						m.space[random.IntN(m.size)]++
					}
					if from.equals(m.space[:len(want)]) && len(want) > 0 {
						t.Error("no difference is seen")
					}
					scan := newScanner(int(e.pagemap.Fd()), false)
					if !m.restore(scan, false) {
						t.Fatal("it is not restored")
					}
				}
				m.Free()
			}
			if err := shared.close(); err != nil {
				t.Error(err)
			}
		})
	}
	if n := base.users.Load(); n != 1 {
		t.Errorf("the base has %d users", n)
	}
	if n := e.budget.maps.Load(); n != 0 {
		t.Errorf("%d mappings are left", n)
	}
	if err := base.close(); err != nil {
		t.Error(err)
	}
}

// stained changes a byte in steps.
func stained(b []byte, step int) []byte {
	for at := 0; at < len(b); at += step {
		b[at]++
	}
	return b
}

func TestFewer(t *testing.T) {
	all := []region{{0, 10}, {20, 10}, {100, 10}, {115, 5}, {300, 10}}
	for n, want := range map[int][]region{
		5: all,
		3: {{0, 30}, {100, 20}, {300, 10}},
		2: {{0, 120}, {300, 10}},
		1: {{0, 310}},
	} {
		if diff := cmp.Diff(want, fewer(all, n), cmp.AllowUnexported(region{})); diff != "" {
			t.Errorf("%d: %s", n, diff)
		}
	}
}

// Programs of one module share what is the same, and are told apart.
func TestProgramsShareAnImage(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	file := greeter("Hello to")
	var all []*world
	for _, environ := range []string{"A=1", "A=2", "A=3"} {
		p, err := e.Load(t.Context(), file, ProgramConfig{MemoryMB: 128, Environ: []string{environ}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &world{TB: t, Program: p})
	}
	if all[1].image.base != all[0].image || all[2].image.base != all[0].image || all[2].image.filled != 0 {
		t.Error("images are not shared")
	}
	for n, w := range all { // the first one's end leaves the others what they share
		w.answers("you", "Hello toyou")
		w.instance.Close()
		if err := w.Close(t.Context()); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// TestFewerOfEqualGaps joins no more than it must where gaps are alike.
func TestFewerOfEqualGaps(t *testing.T) {
	all := []region{{0, 1}, {2, 1}, {9, 1}, {11, 1}, {13, 1}}
	for n, want := range map[int][]region{
		5: all,
		4: {{0, 1}, {2, 1}, {9, 1}, {11, 3}},
		3: {{0, 1}, {2, 1}, {9, 5}},
		2: {{0, 3}, {9, 5}},
		1: {{0, 14}},
	} {
		if diff := cmp.Diff(want, fewer(all, n), cmp.AllowUnexported(region{})); diff != "" {
			t.Errorf("%d: %s", n, diff)
		}
	}
}
