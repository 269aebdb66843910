package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
	"github.com/millicent-run/millicent/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	code := m.Run()
	if err := machine.close(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		code = 1
	}
	os.Exit(code)
}

// machine is what the tests share of this machine: a sandbox host, and the
// packages that they run.
var machine testMachine

type testMachine struct {
	once sync.Once
	dir  string
	host *sandbox.Host
	err  error
}

// need skips where sandboxes cannot be made in full.
func (m *testMachine) need(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces, cgroups and loop devices of the machine")
	}
	m.once.Do(func() { m.err = m.open() })
	if m.err != nil {
		t.Fatal(m.err)
	}
}

func (m *testMachine) open() (err error) {
	if m.dir, err = os.MkdirTemp("", "process-test-"); err != nil {
		return err
	}
	if m.host, err = sandbox.Open(sandbox.Config{
		Name: fmt.Sprintf("process-test-%d", os.Getpid()),
		Dir:  filepath.Join(m.dir, "sandboxes"),
		Log:  slog.New(slog.DiscardHandler),
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(m.code("probe"), "bootstrap"), "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build probe: %w\n%s", err, out)
	}
	return nil
}

// code returns the directory of the package of that name.
func (m *testMachine) code(name string) string { return filepath.Join(m.dir, "code", name) }

func (m *testMachine) close() error {
	var errs []error
	if m.host != nil {
		errs = append(errs, m.host.Close())
	}
	if m.dir != "" {
		errs = append(errs, os.RemoveAll(m.dir))
	}
	return errors.Join(errs...)
}

// script makes a package that holds a bootstrap of the given text.
func (m *testMachine) script(t testing.TB, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "code")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// launcher returns a launcher whose versions run the package in dir, changed
// by change if that is not nil.
func (m *testMachine) launcher(t testing.TB, dir string, logs millicent.LogSink, change func(*Config)) *Launcher {
	t.Helper()
	m.need(t)
	runtimes, err := FindRuntimes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Host:     m.host,
		Region:   "us-east-1",
		Pool:     PoolConfig{Max: 4},
		Dir:      t.TempDir(),
		Code:     func(context.Context, *millicent.Version) (string, error) { return dir, nil },
		Runtimes: runtimes,
		Logs:     logs,
		Log:      slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	l, err := NewLauncher(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func probeVersion() *millicent.Version {
	return &millicent.Version{
		Tenant: "000000000000", Function: "probe", Number: "7", Runtime: "provided.al2023", Handler: "bootstrap",
		Timeout: 30 * time.Second, MemoryMB: 128, TmpMB: 512,
	}
}

func TestProcessesAreEnvironments(t *testing.T) {
	for _, s := range []struct {
		runtime, code string
		lacks         []string
	}{
		{"provided.al2023", "probe", nil},
		// The bootstraps' error documents have more members than the suite's;
		// up to 3.11 Python escapes what is beyond ASCII.
		{"python3.12", "testdata/probe-python", []string{"fail"}},
		{"nodejs20.x", "testdata/probe-node", []string{"fail"}},
	} {
		t.Run(s.runtime, func(t *testing.T) {
			launchertest.Run(t, func(t *testing.T, logs millicent.LogSink) launchertest.Subject {
				machine.need(t)
				dir, err := filepath.Abs(s.code)
				if s.lacks == nil {
					dir = machine.code(s.code)
				}
				if err != nil {
					t.Fatal(err)
				}
				l := machine.launcher(t, dir, logs, pooling)
				v := probeVersion()
				v.Runtime = s.runtime
				l.Expect(v.Runtime)
				if s.lacks != nil {
					v.Handler = "app.handler"
				}
				needRuntime(t, l, s.runtime)
				return launchertest.Subject{Launcher: l, Probe: v, Lacks: s.lacks}
			})
		})
	}
}

// needRuntime skips a test for which the machine has no interpreter, and says
// which one; where CI runs none may be missing.
func needRuntime(t testing.TB, l *Launcher, runtime string) {
	t.Helper()
	if rt, ok := l.cfg.Runtimes.Lookup(runtime); !ok {
		t.Skipf("no interpreter for %s: %s", runtime, rt.Note)
	}
}
