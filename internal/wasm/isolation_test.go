package wasm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestNothingIsLeft has an instance serve random requests that write memory,
// grow it, write files and fail. After each it is what its image says, byte by
// byte (Audit compares), and no secret of a request is anywhere in its memory.
func TestNothingIsLeft(t *testing.T) {
	for name, plain := range map[string]bool{"by ioctl": false, "as on older kernels": true} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, EngineConfig{Audit: 1, PlainPagemap: plain})
			programs := []*world{load(t, e, "reactor", ProgramConfig{}), load(t, e, "command", ProgramConfig{})}
			for n := range 400 {
				w := programs[n%2]
				secret := fmt.Sprintf("secret-%016x", rand.Uint64())
				request := []string{
					`{"do":"remember","value":%q}`, `{"do":"echo","value":%q}`, `{"do":"grow","n":9,"value":%q}`,
					`{"do":"write","path":"/tmp/x","value":%q}`, `{"do":"echo","value":%q}`, `{"do":"log","value":%q}`,
				}[rand.IntN(3)+3*(n%2)]
				if a := w.serve(fmt.Sprintf(request, secret), soon); a.Failure != nil {
					t.Fatalf("%s: %v", request, a.Failure)
				}
				if w.instance.Broken() {
					t.Fatalf("%s: the instance could not be reset", request)
				}
				if bytes.Contains(w.instance.mem.space[:w.instance.mem.size], []byte(secret)) {
					t.Fatalf("%s: the memory still has the secret", request)
				}
			}
			if programs[0].replaced+programs[1].replaced > 0 {
				t.Error("instances were replaced, though no request failed")
			}
		})
	}
}

// TestScannersAgree finds the same pages by ioctl and by reading.
func TestScannersAgree(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	w := load(t, e, "reactor", ProgramConfig{})
	i, err := w.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if regions, whole := i.scan.changed(i.mem.space[:i.mem.size]); !whole || len(regions) != 0 {
		t.Errorf("of an untouched memory %v has changed (%v)", regions, whole)
	}
	for range 100 {
		i.mem.space[rand.IntN(i.mem.size)]++
	}
	first, whole := newScanner(i.scan.pagemap, false).changed(i.mem.space[:i.mem.size])
	second, too := newScanner(i.scan.pagemap, true).changed(i.mem.space[:i.mem.size])
	if !whole || !too || len(first) == 0 || fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("by ioctl %v (%v), by reading %v (%v)", first, whole, second, too)
	}
	for page := 0; page < i.mem.size; page += 2 * 4096 { // more regions than are written over
		i.mem.space[page]++
	}
	if i.mem.size/8192 > maxRegions {
		if _, whole := i.scan.changed(i.mem.space[:i.mem.size]); whole {
			t.Error("more regions than there is room for were all found")
		}
	}
	if !i.mem.restore(i.scan) || !i.mem.same() {
		t.Error("the memory was not taken back")
	}
}
