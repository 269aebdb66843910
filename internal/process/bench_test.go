package process

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/millicent-run/millicent"
)

// discardLog is a sink that keeps nothing.
type discardLog struct{}

func (discardLog) Write(millicent.LogRecord) {}

// subjects are a launcher and a version of each kind of runtime here.
func subjects(b *testing.B, run func(b *testing.B, l *Launcher, v *millicent.Version)) {
	machine.need(b)
	for _, s := range []struct{ runtime, file, text string }{
		{"provided.al2023", "", ""},
		{"python3.11", "app.py", "def handler(event, context):\n    return event\n"},
		{"nodejs20.x", "app.mjs", "export const handler = async (event) => event\n"},
	} {
		dir := machine.code("probe")
		if s.file != "" {
			dir = b.TempDir()
			if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
		l := machine.launcher(b, dir, discardLog{}, nil)
		v := probeVersion()
		v.Runtime, v.Handler, v.MemoryMB = s.runtime, "app.handler", 1769
		if _, ok := l.cfg.Runtimes.Lookup(s.runtime); !ok {
			continue
		}
		b.Run(s.runtime, func(b *testing.B) { run(b, l, v) })
	}
}

func BenchmarkWarmInvoke(b *testing.B) {
	subjects(b, func(b *testing.B, l *Launcher, v *millicent.Version) {
		env, err := l.Launch(b.Context(), v)
		if err != nil {
			b.Fatal(err)
		}
		defer env.Close()
		for i := 0; b.Loop(); i++ {
			benchInvoke(b, env, i)
		}
	})
}

func BenchmarkColdStart(b *testing.B) {
	subjects(b, func(b *testing.B, l *Launcher, v *millicent.Version) {
		for i := 0; b.Loop(); i++ {
			env, err := l.Launch(b.Context(), v)
			if err != nil {
				b.Fatal(err)
			}
			benchInvoke(b, env, i)
			b.StopTimer()
			if err := env.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

func benchInvoke(b *testing.B, env millicent.Environment, i int) {
	inv := &millicent.Invocation{ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Event: []byte(`{"do":"echo","value":1}`)}
	if res, err := env.Invoke(b.Context(), inv); err != nil || res.FunctionError != "" {
		b.Fatalf("got %+v, %v", res, err)
	}
}
