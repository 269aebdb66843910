package wasm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// A kind of module, and the requests that leave a text wherever it can.
type kind struct {
	name, file string
	requests   []string // formats, of a number from 1 to 20 and a text
	find       string   // counts a text in so many bytes of memory; empty where it cannot
	fresh      bool     // each request has a new instance
	slow       bool     // takes milliseconds for a request
}

func kinds() []kind {
	words := func(ops ...string) (requests []string) {
		for _, op := range ops {
			requests = append(requests, op+" %d %s")
		}
		return requests
	}
	objects := func(ops ...string) (requests []string) {
		for _, op := range ops {
			requests = append(requests, `{"do":"`+op+`","n":%d,"value":%q}`)
		}
		return requests
	}
	return []kind{
		{name: "C", file: "guest.c", requests: words("echo", "heap", "static", "grow", "stack", "files"), find: "find %d %s"},
		{name: "Rust", file: "guest.rs", requests: words("echo", "heap", "static", "grow", "stack", "map"), find: "find %d %s"},
		{name: "AssemblyScript", file: "guest.ts", requests: words("echo", "heap", "static", "grow"), find: "find %d %s"},
		{name: "Go command", file: "command", requests: objects("echo", "log", "files", "allocate"), slow: true},
		{name: "Go reactor", file: "reactor", requests: objects("echo", "remember", "files", "collect"), find: `{"do":"find","n":%d,"value":%q}`},
		{name: "JavaScript", file: "guests/guest.mjs", requests: objects("echo", "heap", "globals", "prototypes", "closures", "timers")},
		{name: "globals", file: "globals.wat", requests: words("x")},
		{name: "tables", file: "tables.wat", requests: words("x"), fresh: true},
		{name: "vectors", file: "vectors.wat", requests: words("x"), fresh: true},
	}
}

// count is how many requests a test makes of so many that the full suite makes.
// MILLICENT_ISOLATION=1 runs that.
func (k *kind) count(full int) int {
	switch {
	case os.Getenv("MILLICENT_ISOLATION") != "":
		return full
	case k.slow:
		return full / 100
	}
	return full / 15
}

// secrets begin with what is in no module.
const secretPrefix = "s3cr3t/"

func secret() string { return fmt.Sprintf("%s%016x", secretPrefix, rand.Uint64()) }

// TestNothingIsLeft has instances serve random requests that write memory,
// grow it, set globals, change tables, and write files that they leave open.
// After each, memory, globals and descriptors are what the image says, byte by
// byte, and answers are those of a new instance.
func TestNothingIsLeft(t *testing.T) {
	for name, plain := range map[string]bool{"by ioctl": false, "as on older kernels": true} {
		e := newEngine(t, EngineConfig{PlainPagemap: plain})
		for _, k := range kinds() {
			t.Run(k.name+" "+name, func(t *testing.T) {
				w := load(t, e, k.file, ProgramConfig{})
				for n := range k.count(1000) {
					event := k.random(secret())
					a := w.serve(event, soon)
					if a.Failure != nil {
						t.Fatalf("%s: %v", event, a.Failure)
					}
					w.untouched(k, event)
					if n%10 != 0 {
						continue
					}
					if want := w.anew(event); string(a.Payload) != want {
						t.Fatalf("%s: got %q, and %q of a new instance", event, a.Payload, want)
					}
				}
				if w.replaced > 0 && !k.fresh {
					t.Errorf("%d instances were replaced, though no request failed", w.replaced)
				}
			})
		}
	}
}

// TestNoSecretIsFound has one request leave a secret everywhere, and looks for
// it in the requests that follow: in what they are answered, in the memory that
// each begins with, and at times from inside.
func TestNoSecretIsFound(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := load(t, e, k.file, ProgramConfig{})
			hidden := secret()
			for _, request := range k.requests {
				if a := w.serve(fmt.Sprintf(request, 20, hidden), soon); a.Failure != nil {
					t.Fatalf("%s: %v", request, a.Failure)
				}
			}
			all := k.count(10_000)
			for n := range all {
				event := k.random("other" + strconv.Itoa(n))
				a := w.serve(event, soon)
				if a.Failure != nil || bytes.Contains(a.Payload, []byte(hidden)) {
					t.Fatalf("%s: %s, %v", event, a.Payload, a.Failure)
				}
				w.untouched(k, event)
				if n%(all/10) == 0 && k.find != "" {
					w.searched(k, hidden)
				}
			}
		})
	}
}

// random returns an event.
func (k *kind) random(text string) string {
	return fmt.Sprintf(k.requests[rand.IntN(len(k.requests))], 1+rand.IntN(20), text)
}

// untouched fails the test unless the instance is what its image says.
func (w *world) untouched(k kind, event string) {
	w.Helper()
	i := w.instance
	if !reflect.ValueOf(&i.run).Elem().IsZero() {
		w.Fatalf("%s: the instance still has %+v", event, i.run)
	}
	if k.fresh {
		if !i.Broken() {
			w.Fatalf("%s: the instance would be used again", event)
		}
		return
	}
	if i.Broken() || !i.same() {
		w.Fatalf("%s: the instance (broken: %v) is not what its image says", event, i.Broken())
	}
	if bytes.Contains(i.mem.space[:i.mem.size], []byte(secretPrefix)) {
		w.Fatalf("%s: the memory still has a secret", event)
	}
}

// anew returns what a new instance answers.
func (w *world) anew(event string) string {
	w.Helper()
	other := &world{TB: w.TB, Program: w.Program}
	a := other.serve(event, soon)
	defer other.instance.Close()
	if a.Failure != nil {
		w.Fatalf("%s: %v", event, a.Failure)
	}
	return string(a.Payload)
}

// searched has the guest look for a text, and for one that is there: its own
// event.
func (w *world) searched(k kind, text string) {
	w.Helper()
	shifted := func(s string) string {
		return strings.Map(func(r rune) rune { return r + 1 }, s)
	}
	size := w.serve(fmt.Sprintf(k.find, 100, shifted(text)), soon).Peak // also of what the event takes
	if a := w.serve(fmt.Sprintf(k.find, size, shifted(text)), soon); a.Failure != nil || string(a.Payload) != "0" {
		w.Fatalf("the guest found %s of a secret (%v)", a.Payload, a.Failure)
	}
	if a := w.serve(fmt.Sprintf(k.find, size, shifted("find")), soon); a.Failure != nil || string(a.Payload) == "0" {
		w.Fatalf("the guest found %s of what is there (%v)", a.Payload, a.Failure)
	}
}

// TestDifferencesAreSeen changes an instance behind the engine's back: what the
// tests here rely on is able to fail.
func TestDifferencesAreSeen(t *testing.T) {
	w := load(t, newEngine(t, EngineConfig{}), "globals.wat", ProgramConfig{})
	w.serve("x 1 text", soon)
	i := w.instance
	for name, change := range map[string]func(){
		"a byte":          func() { i.mem.space[i.mem.size-1] ^= 1 },
		"a global":        func() { i.globals[3].Set(i.globals[3].Get() + 1) },
		"a hidden global": func() { i.globals[4].Set(1) },
		"a page":          func() { i.mod.Memory().Grow(1) },
	} {
		if !i.same() {
			t.Fatal("it is not as it was to begin with")
		}
		change()
		if i.same() {
			t.Errorf("%s changed, and nobody sees it", name)
		}
		i.ran = true
		if i.Reset(); i.Broken() {
			t.Fatalf("%s changed, and it cannot be taken back", name)
		}
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
	pagemap := int(e.pagemap.Fd())
	if regions, whole := newScanner(pagemap, false).changed(i.mem.space[:i.mem.size]); !whole || len(regions) != 0 {
		t.Errorf("of an untouched memory %v has changed (%v)", regions, whole)
	}
	for range 100 {
		i.mem.space[rand.IntN(i.mem.size)]++
	}
	first, whole := newScanner(pagemap, false).changed(i.mem.space[:i.mem.size])
	second, too := newScanner(pagemap, true).changed(i.mem.space[:i.mem.size])
	if !whole || !too || len(first) == 0 || fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("by ioctl %v (%v), by reading %v (%v)", first, whole, second, too)
	}
	for page := 0; page < i.mem.size; page += 2 * 4096 { // more regions than are written over
		i.mem.space[page]++
	}
	if i.mem.size/8192 > maxRegions {
		if _, whole := newScanner(pagemap, false).changed(i.mem.space[:i.mem.size]); whole {
			t.Error("more regions than there is room for were all found")
		}
	}
	if !i.restore() || !i.mem.same() {
		t.Error("the memory was not taken back")
	}
}
