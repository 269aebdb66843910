package wasm

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// examples are the programs whose requests are measured: those of /examples,
// and one of JavaScript that does the same.
var examples = []struct{ name, file string }{
	{"C", "../../../../examples/wasm-c/main.c"},
	{"Rust", "../../../../examples/wasm-rust/lib.rs"},
	{"JavaScript", "guests/greet.mjs"},
	{"Go", "../../../examples/wasm-go-reactor"},
}

const greetEvent = `{"id":"0123456789abcdef","name":"somebody of this world"}`

// BenchmarkServe is a request through the engine, whole: isolated, and without
// what isolates it from the next one. A command begins anew each time, and
// cannot go without.
func BenchmarkServe(b *testing.B) {
	for _, x := range examples {
		for name, isolated := range map[string]bool{"isolated": true, "not": false} {
			b.Run(x.name+"/"+name, func(b *testing.B) {
				w := load(b, newEngine(b, EngineConfig{}), x.file, ProgramConfig{})
				if w.abi == Command && !isolated {
					b.Skip("it is a command")
				}
				w.serve(greetEvent, time.Hour)
				req := &Request{Event: []byte(greetEvent), Deadline: time.Now().Add(time.Hour)}
				var fuel uint64
				var guest, begun time.Duration
				for b.Loop() {
					if begun == 0 {
						begun = processTime()
					}
					a := w.instance.Run(b.Context(), req)
					if a.Failure != nil {
						b.Fatal(a.Failure)
					}
					if fuel = a.Fuel; isolated {
						w.instance.Reset()
					}
					guest += a.CPU
				}
				b.ReportMetric(float64(processTime()-begun)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(guest)/float64(b.N), "guest-ns/op")
				b.ReportMetric(float64(fuel), "instructions/op")
			})
		}
	}
}

// processTime is what the process has used of processors so far.
func processTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) // fails for no clock of this kind
	return time.Duration(ts.Nano())
}

// BenchmarkOthersWait is how long a collection of garbage takes while a guest
// spins on every processor, with the next turn of who asked for it.
func BenchmarkOthersWait(b *testing.B) {
	var all []time.Duration
	for b.Loop() {
		all = append(all, besideGuests(b, time.Second)...)
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2])/1e6, "median-ms")
	b.ReportMetric(float64(all[len(all)-1])/1e6, "longest-ms")
}

// BenchmarkServeScript is the same for JavaScript, and what it costs to make
// one of its instances, and to load a function when its engine is there.
func BenchmarkServeScript(b *testing.B) {
	const code = `export const handler = async (event) => ({ do: event.do, value: event.value.toUpperCase() })`
	const event = `{"do":"echo","value":"a value of some thirty bytes .."}`
	e := newEngine(b, EngineConfig{})
	w := loadScript(b, e, code, ProgramConfig{})
	b.Run("request", func(b *testing.B) {
		w.TB = b
		var fuel uint64
		for b.Loop() {
			a := w.serve(event, time.Hour)
			if a.Failure != nil {
				b.Fatal(a.Failure)
			}
			fuel = a.Fuel
		}
		b.ReportMetric(float64(fuel), "instructions/op")
	})
	b.Run("instance", func(b *testing.B) {
		for b.Loop() {
			i, err := w.Instance(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			i.Close()
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			p, err := e.LoadScript(b.Context(), bundleOf(code), "index.handler", ProgramConfig{MemoryMB: 128, Log: &w.log})
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			e := newEngine(b, EngineConfig{})
			if _, err := e.javascript(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
