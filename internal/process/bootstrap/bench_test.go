package bootstrap

import (
	"strings"
	"testing"
)

var benchPrograms = map[string]program{
	"python": echoPython,
	"node":   {runtime: echoNode.runtime, handler: echoNode.handler, files: echoNode.files},
}

// BenchmarkStart measures from exec to the first call of next.
func BenchmarkStart(b *testing.B) {
	for name, p := range benchPrograms {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				f := start(b, p)
				f.idle(1)
				b.StopTimer()
				f.cmd.Process.Kill()
				f.exit()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkInvoke measures an echo from event to outcome, with the fake
// platform's own cost.
func BenchmarkInvoke(b *testing.B) {
	for name, p := range benchPrograms {
		for _, size := range []int{16, 100 << 10} {
			b.Run(name+"/"+map[int]string{16: "16B", 100 << 10: "100KB"}[size], func(b *testing.B) {
				f := start(b, p)
				body := `"` + strings.Repeat("x", size) + `"`
				f.respond(body)
				for b.Loop() {
					f.respond(body)
				}
			})
		}
	}
}
