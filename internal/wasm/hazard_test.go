package wasm

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// hazards are modules that do not end by themselves, or take what they can.
var hazards = map[string]struct {
	file, event string
	timeout     bool   // it ends at its deadline
	failure     string // or so
}{
	"a tight loop in C":            {file: "hazard.c", event: "loop", timeout: true},
	"a loop that calls":            {file: "hazard.c", event: "calls", timeout: true},
	"memory filled over and over":  {file: "hazard.c", event: "fill", timeout: true},
	"host functions over and over": {file: "hazard.c", event: "host", timeout: true},
	"recursion in C":               {file: "hazard.c", event: "recurse", failure: "Runtime.Trap: "},
	"growth until it fails":        {file: "hazard.c", event: "grow", failure: "Runtime.OutOfMemory: Runtime exited with error: exit status 7"},
	"a tight loop in Go":           {file: "command", event: `{"do":"spin"}`, timeout: true},
	"recursion in Go":              {file: "command", event: `{"do":"recurse"}`, failure: "Runtime.OutOfMemory: "},
	"allocation in Go":             {file: "command", event: `{"do":"allocate","n":500}`, failure: "Runtime.OutOfMemory: "},
	"a loop in JavaScript":         {file: "guests/hazard.mjs", event: `"loop"`, timeout: true},
	"recursion in JavaScript":      {file: "guests/hazard.mjs", event: `"recurse"`, failure: "RangeError: "},
	"growth in JavaScript":         {file: "guests/hazard.mjs", event: `"grow"`, failure: ""},
}

// TestHazards has guests that would never end, or take all memory: each ends at
// its limits, and the next request finds an instance that is as it was.
func TestHazards(t *testing.T) {
	e := newEngine(t, EngineConfig{Audit: 1})
	for name, h := range hazards {
		t.Run(name, func(t *testing.T) {
			w := load(t, e, h.file, ProgramConfig{MemoryMB: 32})
			within := soon
			if h.timeout {
				within = 50 * time.Millisecond
			}
			began := time.Now()
			a := w.serve(h.event, within)
			switch {
			case a.Failure == nil:
				t.Fatalf("it answered %.100s", a.Payload)
			case a.Failure.Timeout != h.timeout:
				t.Fatalf("after %v: %v", time.Since(began), a.Failure)
			case h.timeout && time.Since(began) < within:
				t.Errorf("it was ended after %v, though it had %v", time.Since(began), within)
			case !strings.HasPrefix(a.Failure.Error(), h.failure):
				t.Errorf("it ended by %v", a.Failure)
			}
			if a.Peak > 32<<20 {
				t.Errorf("it had %d bytes of memory", a.Peak)
			}
		})
	}
}

// TestOthersRun has a guest spin on every processor. Meanwhile garbage is
// collected and other goroutines run: without the meter neither would happen
// before the guests' deadline, seconds later.
func TestOthersRun(t *testing.T) {
	waits := besideGuests(t, 2*time.Second)
	t.Logf("%d collections, half of them in %v, the longest %v", len(waits), waits[len(waits)/2], waits[len(waits)-1])
	if len(waits) < 3 {
		t.Errorf("%d collections were made", len(waits))
	}
}

// besideGuests has a guest spin on every processor, and returns how long
// collections of garbage took meanwhile with the next turn of the goroutine that
// asked for them, sorted.
func besideGuests(t testing.TB, spin time.Duration) (waits []time.Duration) {
	w := load(t, newEngine(t, EngineConfig{}), "hazard.c", ProgramConfig{})
	guests := runtime.GOMAXPROCS(0)
	ends := make(chan *Answer, guests)
	deadline := time.Now().Add(spin)
	for range guests {
		i, err := w.Instance(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer i.Close()
			ends <- i.Serve(t.Context(), &Request{Event: []byte("loop"), Deadline: deadline})
		}()
	}
	for len(ends) == 0 {
		begin := time.Now()
		runtime.GC()
		runtime.Gosched()
		waits = append(waits, time.Since(begin))
	}
	for range guests {
		if a := <-ends; a.Failure == nil || !a.Failure.Timeout {
			t.Errorf("a guest ended by %v", a.Failure)
		}
	}
	slices.Sort(waits)
	return waits
}
