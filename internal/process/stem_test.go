package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// languageProbe returns a launcher of the probe in a language, and a version
// of it; the test is skipped where the machine has no interpreter.
func languageProbe(t *testing.T, runtime string, change func(*Config)) (*Launcher, *millicent.Version) {
	t.Helper()
	machine.need(t)
	family, _ := splitRuntime(runtime)
	dir, err := filepath.Abs("testdata/probe-" + strings.TrimSuffix(family, "js"))
	if err != nil {
		t.Fatal(err)
	}
	l := machine.launcher(t, dir, &launchertest.Log{}, change)
	v := probeVersion()
	v.Runtime, v.Handler = runtime, "app.handler"
	needRuntime(t, l, runtime)
	return l, v
}

// pooling has a launcher prepare what it can.
func pooling(c *Config) { c.Pool = DefaultPool }

// fromStem launches v from a stem.
func fromStem(t *testing.T, l *Launcher, v *millicent.Version) *envTest {
	t.Helper()
	l.Expect(v.Runtime)
	filled(t, l, v.Runtime, 1)
	e := startEnv(t, l, v)
	if e.started.From != millicent.FromRuntime {
		t.Fatalf("the environment came from a %s", e.started.From)
	}
	return e
}

func TestStemIsNoOtherWorld(t *testing.T) {
	for _, runtime := range []string{"python3.12", "nodejs20.x"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			off, v := languageProbe(t, runtime, nil)
			on, _ := languageProbe(t, runtime, pooling)
			v.Environment = map[string]string{"MINE": "ye=s", "TZ": "Europe/Berlin", "PATH": "/usr/bin"}
			v.MemoryMB = 512
			want, got := startEnv(t, off, v), fromStem(t, on, v)
			if diff := cmp.Diff(want.world(), got.world()); diff != "" {
				t.Errorf("a stem is another world (- fresh, + stem):\n%s", diff)
			}
		})
	}
}

// TestStemHasTheLoadersPath: the loader remembers which of its directories do
// not exist, and the function's appear after a stem was started.
func TestStemHasTheLoadersPath(t *testing.T) {
	machine.need(t)
	matches, _ := filepath.Glob("/usr/lib/*/libz.so.1")
	if len(matches) == 0 {
		t.Skip("there is no /usr/lib/*/libz.so.1 to load (package zlib1g)")
	}
	library, err := os.ReadFile(matches[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"app.py": "import ctypes\ndef handler(e, c): return ctypes.CDLL('libmine.so').zlibVersion() != 0\n", "lib/libmine.so": string(library),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l := machine.launcher(t, dir, &launchertest.Log{}, pooling)
	v := probeVersion()
	v.Runtime, v.Handler = "python3.12", "app.handler"
	needRuntime(t, l, v.Runtime)
	fromStem(t, l, v).answers("{}", "true")
}

func TestBootable(t *testing.T) {
	python, node := Runtime{Name: "python3.13"}, Runtime{Name: "nodejs22.x"}
	for _, tt := range []struct {
		rt   Runtime
		name string // of a variable
		want bool
	}{
		{python, "", true},
		{node, "", true},
		{Runtime{Name: "provided.al2023"}, "", false},
		{python, "TABLE_NAME", true},
		{python, "TZ", true},
		{python, "PATH", true},
		{python, "AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA", true},
		{python, "NODE", true},
		{python, "AWS_LAMBDA_EXEC_WRAPPER", false},
		{node, "AWS_LAMBDA_EXEC_WRAPPER", false},
		{python, "PYTHONHASHSEED", false},
		{python, "PYTHONPATH", false},
		{python, "PYTHONUNBUFFERED", false},
		{node, "NODE_OPTIONS", false},
		{node, "NODE_PATH", false},
		{node, "NODE_EXTRA_CA_CERTS", false},
		{node, "NODE_ENV", true},
		{node, "UV_THREADPOOL_SIZE", false},
		{node, "OPENSSL_CONF", false},
		{node, "HOME", false},
		{python, "LD_PRELOAD", false},
		{python, "LD_LIBRARY_PATH", false},
		{python, "MALLOC_ARENA_MAX", false},
		{python, "MALLOCATOR", true},
		{python, "GLIBC_TUNABLES", false},
		{python, "LC_ALL", false},
		{python, "LANG", false},
		{python, "LANGUAGE_MODEL", true},
		{python, "_MILLICENT_STEM", false},
	} {
		v := &millicent.Version{Environment: map[string]string{}}
		if tt.name != "" {
			v.Environment[tt.name] = "x"
		}
		if got := bootable(v, tt.rt); got != tt.want {
			t.Errorf("%s with %q: got %v, want %v", tt.rt.Name, tt.name, got, tt.want)
		}
	}
}
