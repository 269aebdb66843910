package process

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// held is what environments take of this process and its machine.
type held struct{ goroutines, children, cgroups, mounts int }

func measureHeld(t *testing.T) (h held) {
	t.Helper()
	h.goroutines = runtime.NumGoroutine()
	names, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that ended
		}
		h.children += len(strings.Fields(string(b)))
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/millicent/%s/*", "/sys/fs/cgroup/millicent/%s/*"} {
		names, err := filepath.Glob(fmt.Sprintf(pattern, fmt.Sprintf("process-test-%d", os.Getpid())))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if fi, err := os.Stat(name); err == nil && fi.IsDir() {
				h.cgroups++
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	h.mounts = strings.Count(string(mounts), "\n")
	return h
}

// within reports whether h is no more than other in any respect.
func (h held) within(other held) bool {
	return h.goroutines <= other.goroutines && h.children <= other.children &&
		h.cgroups <= other.cgroups && h.mounts <= other.mounts
}

// TestStartsSideBySide has several callers start, call and close environments
// of all runtimes, from pools and beside them. None fails, each is answered by
// itself, and nothing is left.
func TestStartsSideBySide(t *testing.T) {
	machine.need(t)
	const callers, each = 6, 8
	before := measureHeld(t)
	launchers := map[string]*Launcher{}
	for name, file := range map[string][2]string{
		"provided.al2023": {},
		"python3.11":      {"app.py", "import os\ndef handler(event, context):\n    return [event, os.environ['WHO'], os.listdir('/tmp')]\n"},
		"nodejs20.x":      {"app.mjs", "import fs from 'fs'\nexport const handler = async (e) => [e, process.env.WHO, fs.readdirSync('/tmp')]\n"},
	} {
		dir := machine.code("probe")
		if file[0] != "" {
			dir = filepath.Join(t.TempDir(), "code")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l := machine.launcher(t, dir, &launchertest.Log{}, networked(t))
		if rt, ok := l.cfg.Runtimes.Lookup(name); ok {
			launchers[name] = l
		} else {
			t.Log(rt.Note)
		}
	}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				for name, l := range launchers {
					startOnce(t, l, name, fmt.Sprintf("%d-%d", c, n))
				}
			}
		})
	}
	wg.Wait()
	for _, l := range launchers {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	var after held
	for deadline := time.Now().Add(testWait); ; time.Sleep(10 * time.Millisecond) {
		if after = measureHeld(t); after.within(before) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before %+v, after %+v", before, after)
		}
	}
}

// startOnce starts an environment of a caller's own, calls it and closes it.
func startOnce(t *testing.T, l *Launcher, name, who string) {
	v := probeVersion()
	v.Runtime, v.Handler, v.Function = name, "app.handler", "of-"+who
	v.Environment = map[string]string{"WHO": who}
	env, err := l.Launch(t.Context(), v)
	if err != nil {
		t.Error(err)
		return
	}
	event, want := `"`+who+`"`, `["`+who+`","`+who+`",[]]`
	if name == "provided.al2023" {
		event, want = `{"do":"getenv","name":"WHO"}`, `"`+who+`"`
	}
	inv := &millicent.Invocation{ID: "00000000-0000-4000-8000-000000000000", Event: []byte(event)}
	res, err := env.Invoke(t.Context(), inv)
	if err != nil {
		t.Error(err)
	} else if got := strings.ReplaceAll(string(res.Payload), ", ", ","); got != want {
		t.Errorf("%s %s: got %s, want %s", name, who, got, want)
	}
	if err := env.Close(); err != nil {
		t.Error(err)
	}
}
