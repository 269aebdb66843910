package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// hostileCompiler returns a launcher whose interpreter is a shell script, and
// what it is to compile.
func hostileCompiler(t *testing.T, text string) (*Launcher, compilation, *compiledFiles, string) {
	t.Helper()
	t.Parallel()
	l, v, kept := compiling(t, "python3.12", map[string]string{
		"evil": "#!/bin/bash\n" + text, "app.py": source("", "#"),
	}, nil)
	dir, err := l.cfg.Code(t.Context(), v)
	if err = errors.Join(err, os.Chmod(filepath.Join(dir, "evil"), 0o755)); err != nil {
		t.Fatal(err)
	}
	rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
	rt.Interpreter = taskRoot + "/evil"
	return l, compilation{v, rt, slotOf(v, rt)}, kept, dir
}

// TestCompilerIsConfined: a compiler that a package has taken over reaches
// what a function reaches, and less.
func TestCompilerIsConfined(t *testing.T) {
	l, job, kept, dir := hostileCompiler(t, `
touch /var/task/x /var/runtime/x /var/runtime/compiled/x /usr/x 2>&- && echo wrote
for a in 169.254.100.1/9001 169.254.100.1/4566 169.254.100.1/53 1.1.1.1/80 127.0.0.1/22; do
	(exec 9<>/dev/tcp/$a) 2>&- && echo connected $a
done
grep -c : /proc/net/dev
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
id -u | grep -qx 0 && echo root
for fd in /proc/self/fd/*; do [ "${fd##*/}" -le 2 ] || [ "${fd##*/}" -ge 255 ] || [ ! -e "$fd" ] || echo $(readlink "$fd"); done
env | grep -E 'AWS_(ACCESS|SECRET|SESSION)'
true
`)
	if err := l.compiler.compile(t.Context(), job, dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(kept.made(t))
	const want = "1\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// An overdue context is beyond its deadline once done is closed.
type overdue struct {
	context.Context
	done chan struct{}
}

func (o overdue) Done() <-chan struct{} { return o.done }

func (o overdue) Err() error {
	if isClosed(o.done) {
		return context.DeadlineExceeded
	}
	return nil
}

// TestCompilerIsBounded: what takes too much ends, and nothing is kept of it.
func TestCompilerIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"time":        "sleep 1000",
		"output":      "exec cat /dev/zero",
		"end of file": "exec 1>&-; sleep 1000",
		"left behind": "sleep 1000 &",
	} {
		t.Run(name, func(t *testing.T) {
			l, job, kept, dir := hostileCompiler(t, text)
			ctx := overdue{t.Context(), make(chan struct{})}
			kept.began = func() { time.AfterFunc(500*time.Millisecond, func() { close(ctx.done) }) }
			err := l.compiler.compile(ctx, job, dir)
			if err == nil || name != "output" && !errors.Is(err, errCompilation) || len(kept.files) > 0 {
				t.Errorf("got %v, and %d files", err, len(kept.files))
			}
		})
	}
	t.Run("memory", func(t *testing.T) {
		l, job, kept, dir := hostileCompiler(t, "exec head -c 2G /dev/zero | tail -c 1G")
		if err := l.compiler.compile(t.Context(), job, dir); !errors.Is(err, errCompilation) || len(kept.files) > 0 {
			t.Errorf("got %v, and %d files", err, len(kept.files))
		}
	})
	t.Run("close", func(t *testing.T) {
		l, job, _, _ := hostileCompiler(t, "sleep 1000")
		l.compiler.enqueue(job)
		for !l.Uses(job.version.Package.SHA256) { // it has begun
			runtime.Gosched()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
