package launcher

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
	"github.com/millicent-run/millicent/internal/wasm"
)

// probe returns a directory with the suite's probe.
func probe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", filepath.Join(dir, "main.wasm"), "./testdata/probe")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v: %s", err, said)
	}
	return dir
}

// newLauncher returns a Launcher whose host is of this process, and a version
// of the package in dir.
func newLauncher(t *testing.T, dir string, logs millicent.LogSink) (*Launcher, *millicent.Version) {
	t.Helper()
	host, err := wasm.NewLocal(wasm.LocalConfig{EngineConfig: wasm.EngineConfig{CacheDir: t.TempDir(), Audit: 10}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	l := New(Config{
		Host:   func(string) (wasm.Host, error) { return host, nil },
		Region: "us-east-1",
		Code:   func(context.Context, *millicent.Version) (string, error) { return dir, nil },
		Logs:   logs,
		Log:    slog.New(slog.DiscardHandler),
	})
	return l, &millicent.Version{
		Tenant: "000000000000", Function: "probe", Number: "7", Runtime: RuntimeWasm, Handler: "main",
		MemoryMB: 128, TmpMB: 512, Package: millicent.Package{SHA256: dir},
	}
}

// TestLight has an environment whose like begins with its image, until it has
// no session.
func TestLight(t *testing.T) {
	l, v := newLauncher(t, probe(t), &launchertest.Log{})
	env, err := l.Launch(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if !millicent.Light(env) {
		t.Error("it is not light, with an image in memory")
	}
	if err := env.Close(); err != nil || millicent.Light(env) {
		t.Errorf("closed: it is light, or %v", err)
	}
}

func TestConformance(t *testing.T) {
	launchertest.Run(t, func(t *testing.T, logs millicent.LogSink) launchertest.Subject {
		l, v := newLauncher(t, probe(t), logs)
		return launchertest.Subject{
			Launcher: l, Probe: v,
			// Each invocation finds an instance that is as if it were new, and
			// an empty /tmp. There is no process to kill or to freeze.
			Lacks: []string{"count", "write", "kill", "freeze"},
		}
	})
}
