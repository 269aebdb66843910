package wasm

import (
	"testing"
	"time"
)

// BenchmarkServe is an isolated request through the engine, whole.
func BenchmarkServe(b *testing.B) {
	const event = `{"do":"echo","value":"a value of some thirty bytes .."}`
	for _, name := range []string{"reactor", "command"} {
		b.Run(name, func(b *testing.B) {
			w := load(b, newEngine(b, EngineConfig{}), name, ProgramConfig{})
			w.serve(event, time.Hour)
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
	}
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
