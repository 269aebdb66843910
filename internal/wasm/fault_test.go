package wasm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// The kernel counts page faults as what spares the search for written pages
// relies on.
func TestFaultsAreCounted(t *testing.T) {
	if err := tryFaults(); err != nil {
		t.Error(err)
	}
}

// So it does with switches, by which the time of guests that run for a moment
// is measured.
func TestSwitchesAreCounted(t *testing.T) {
	if err := trySwitches(); err != nil {
		t.Error(err)
	}
}

// A memory has no huge pages anywhere, whose parts could be written without a
// fault.
func TestNoHugePages(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	p, err := e.Load(t.Context(), greeter("Hello to"), ProgramConfig{MemoryMB: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	i, err := p.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	i.mem.Reallocate(8 << 20)
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	var first, last, found uint64
	from := uint64(uintptr(unsafe.Pointer(&i.mem.space[0])))
	for line := range strings.Lines(string(smaps)) {
		if ends, _, _ := strings.Cut(line, " "); strings.Count(ends, "-") == 1 && !strings.HasSuffix(ends, ":") {
			a, b, _ := strings.Cut(ends, "-")
			first, _ = strconv.ParseUint(a, 16, 64) // zero for what is no mapping
			last, _ = strconv.ParseUint(b, 16, 64)
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && first >= from && last <= from+uint64(len(i.mem.space)) {
			found += last - first
			if !strings.Contains(flags, " nh") {
				t.Errorf("%x-%x: %s", first, last, flags)
			}
		}
	}
	if found != uint64(len(i.mem.space)) {
		t.Errorf("%d of %d bytes were found", found, len(i.mem.space))
	}
}

// Requests that write where none did before are taken back, among many that
// do not.
func TestNewPagesAmongKnown(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	w := load(t, e, "guest.c", ProgramConfig{})
	random := rand.New(rand.NewPCG(3, 4))
	known := 0
	for n := range 300 {
		event := "echo 1 x"
		if n%20 == 19 {
			event = fmt.Sprintf("heap %d x", 1+random.IntN(1000))
		}
		if a := w.serve(event, soon); a.Failure != nil {
			t.Fatal(a.Failure)
		}
		known = max(known, len(w.instance.mem.written))
	}
	if known == 0 || w.replaced > 0 {
		t.Errorf("%d regions were written, %d instances replaced", known, w.replaced)
	}
}
