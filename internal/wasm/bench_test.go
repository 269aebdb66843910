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
