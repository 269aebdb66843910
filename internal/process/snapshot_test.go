package process

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// snapProbe is languageProbe with a version that starts from a snapshot, which
// there is.
func snapProbe(t *testing.T, change func(*Config)) (*Launcher, *millicent.Version) {
	t.Helper()
	l, v := languageProbe(t, "python3.12", change)
	v.SnapStart = true
	initialise(t, l, v)
	return l, v
}

func initialise(t *testing.T, l *Launcher, v *millicent.Version) {
	t.Helper()
	if ok, err := l.Initialise(t.Context(), v); !ok || err != nil {
		t.Fatalf("no snapshot: %v, %v", ok, err)
	}
}

// fromSnapshot launches v from its snapshot.
func fromSnapshot(t *testing.T, l *Launcher, v *millicent.Version) *envTest {
	t.Helper()
	e := startEnv(t, l, v)
	if e.started.From != millicent.FromVersion {
		t.Fatalf("the environment came from a %s", e.started.From)
	}
	return e
}

// snapFunction is snapProbe with the given code, of which no snapshot is made
// yet.
func snapFunction(t *testing.T, code string) (*Launcher, *millicent.Version) {
	t.Helper()
	machine.need(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	l := machine.launcher(t, dir, &launchertest.Log{}, nil)
	v := probeVersion()
	v.Runtime, v.Handler, v.SnapStart = "python3.12", "app.handler", true
	needRuntime(t, l, v.Runtime)
	return l, v
}

// TestRestoredIsNoOtherWorld compares what can be seen of an environment from
// a snapshot with a fresh one: processes, descriptors, files, privileges,
// limits, namespaces, control groups.
func TestRestoredIsNoOtherWorld(t *testing.T) {
	t.Parallel()
	l, v := snapProbe(t, pooling)
	off, _ := languageProbe(t, "python3.12", nil)
	fresh := *v
	fresh.SnapStart = false
	want, got := startEnv(t, off, &fresh).world(), fromSnapshot(t, l, v).world()
	i := slices.Index(want["environment"], "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand")
	want["environment"][i] = "AWS_LAMBDA_INITIALIZATION_TYPE=snap-start"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("an environment from a snapshot is another world (- fresh, + restored):\n%s", diff)
	}
}

func TestRestoredEnvironmentsWorkAndEndAsOthers(t *testing.T) {
	t.Parallel()
	l, v := snapProbe(t, pooling)
	v.MemoryMB = 512
	e := fromSnapshot(t, l, v)
	e.answers(`{"do":"count"}`, "1")
	e.answers(`{"do":"libraries"}`, `[[1, 2, 3], 16, "x", [1], 1, 0, "sub\n", [1], 7, "e3b0c442", "0.25"]`)
	e.answers(`{"do":"count"}`, "2")
	e.failsWith(`{"do":"exit","code":7}`, "Runtime.ExitError", "Runtime exited with error: exit status 7")
	e.answers(`{"do":"count"}`, "1")
	small := *v
	small.MemoryMB = 128
	if res := fromSnapshot(t, l, &small).invoke(`{"do":"allocate","mb":256}`); res.ErrorType != "Runtime.OutOfMemory" {
		t.Errorf("got %s (%s)", res.Payload, res.ErrorType)
	}
}

// TestRestoredEnvironmentsShareNothing: two of them at a time have processes,
// files and lots of their own.
func TestRestoredEnvironmentsShareNothing(t *testing.T) {
	t.Parallel()
	l, v := snapProbe(t, pooling)
	a, b := fromSnapshot(t, l, v), fromSnapshot(t, l, v)
	a.invoke(`{"do":"write","path":"/tmp/mine","value":"a"}`)
	b.answers(`{"do":"read","path":"/tmp/mine"}`, `""`)
	a.answers(`{"do":"count"}`, "1")
	b.answers(`{"do":"count"}`, "1")
	var draws [2][]any
	var spaces [2]map[string]string
	for i, e := range []*envTest{a, b} {
		if err := json.Unmarshal(e.invoke(`{"do":"draw"}`).Payload, &draws[i]); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.invoke(`{"do":"namespaces"}`).Payload, &spaces[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range draws[0] {
		if draws[0][i] == draws[1][i] {
			t.Errorf("both drew %v", draws[0][i])
		}
	}
	for _, name := range []string{"pid", "mnt", "net", "ipc", "uts", "cgroup"} {
		if spaces[0][name] == spaces[1][name] || spaces[0][name] == "" {
			t.Errorf("%s namespace: both are in %q", name, spaces[0][name])
		}
	}
}

// TestSnapshotIsWrittenOnce: what an environment does to the snapshot's
// descriptor, while it has it, no other one sees.
func TestSnapshotIsWrittenOnce(t *testing.T) {
	t.Parallel()
	l, v := snapProbe(t, nil)
	shot := l.snapshots.take(v)
	defer l.snapshots.release(shot)
	if _, err := shot.file.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it can be written to")
	}
	if f, err := os.OpenFile("/proc/self/fd/"+fdOf(t, shot.file), os.O_RDWR, 0); err == nil {
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("opened anew it can be written to")
		}
		f.Close()
	}
}

func fdOf(t *testing.T, f *os.File) string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	want, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := os.Stat("/proc/self/fd/" + e.Name()); err == nil && os.SameFile(info, want) {
			return e.Name()
		}
	}
	t.Fatal("no descriptor")
	return ""
}

func TestSnapshotIsRefused(t *testing.T) {
	for name, tt := range map[string]struct{ code, want string }{
		"thread":     {"import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "threads run"},
		"socket":     {"import socket\ns = socket.socket()", "descriptor 4 is open: socket:"},
		"pipe":       {"import os\nos.pipe()", "descriptor 4 is open: pipe:"},
		"epoll":      {"import select\np = select.epoll()", "eventpoll"},
		"own file":   {"f = open('/tmp/mine', 'w')", "descriptor 4 is open: /tmp/mine"},
		"child":      {"import subprocess\np = subprocess.Popen(['/bin/sleep', '60'])", "child processes"},
		"shared map": {"import mmap\nm = mmap.mmap(-1, 4096)", "memory is shared"},
		"hook":       {"from snapshot_restore_py import *\n@register_before_snapshot\ndef f(): raise ValueError('no')", "ValueError: no"},
		"init":       {"raise ValueError('not today')", "ValueError: not today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, v := snapFunction(t, tt.code+"\ndef handler(e, c): return 1\n")
			_, err := l.Initialise(t.Context(), v)
			var e *millicent.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.want) || !strings.HasPrefix(e.Code, "FunctionError") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSnapshotHooksAndWhatIsFresh(t *testing.T) {
	t.Parallel()
	l, v := snapFunction(t, `
import os, random, signal, time
from snapshot_restore_py import register_after_restore, register_before_snapshot

done = []
register_before_snapshot(done.append, "b1")
register_after_restore(done.append, "a1")
package = open(__file__)
package.readline()
package.readline()
signal.signal(signal.SIGUSR1, lambda *_: done.append("signal"))
own = random.Random()
stream = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]

@register_before_snapshot
def before():
    done.append("b2")

@register_after_restore
def after():
    done.append("a2 " + str(os.environ["AWS_LAMBDA_LOG_STREAM_NAME"] != stream))

def handler(event, context):
    os.kill(os.getpid(), signal.SIGUSR1)
    return [done, package.readline()[:10], os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
            context.log_stream_name == os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]]
`)
	initialise(t, l, v)
	e := fromSnapshot(t, l, v)
	e.answers("{}", `[["b2", "b1", "a1", "a2 True", "signal"], "from snaps", "snap-start", true]`)
	text := strings.Join(append(e.logs.Of(""), e.logs.Of("00000000-0000-4000-8000-000000000001")...), "\n")
	for _, want := range []string{"RESTORE_START Runtime Version: python:", "RESTORE_REPORT Restore Duration: ", "\tBilled Restore Duration: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
}

func TestFailingHookAfterRestore(t *testing.T) {
	t.Parallel()
	l, v := snapFunction(t, `
from snapshot_restore_py import register_after_restore

@register_after_restore
def after():
    raise ValueError("not here")

def handler(event, context): return 1
`)
	initialise(t, l, v)
	_, err := l.Launch(t.Context(), v)
	var e *millicent.Error
	if !errors.As(err, &e) || e.Code != "SnapStartException" || !strings.Contains(e.Message, "not here") {
		t.Errorf("got %v", err)
	}
}

// TestWithoutSnapshotEnvironmentsStartAsOthers: while one is missing, and
// where it turns out not to fit.
func TestWithoutSnapshotEnvironmentsStartAsOthers(t *testing.T) {
	t.Parallel()
	l, v := languageProbe(t, "python3.12", nil)
	v.SnapStart = true
	e := startEnv(t, l, v)
	e.answers(`{"do":"count"}`, "1")
	if e.started.From != millicent.FromNothing {
		t.Errorf("the environment came from a %s", e.started.From)
	}
	l.snapshots.work.Wait() // one is made in the background
	fromSnapshot(t, l, v).answers(`{"do":"count"}`, "1")

	l.snapshots.mu.Lock()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	l.snapshots.shots[idOf(v)].file.Close()
	l.snapshots.shots[idOf(v)].file = null
	l.snapshots.mu.Unlock()
	e = startEnv(t, l, v)
	e.answers(`{"do":"count"}`, "1")
	if e.started.From == millicent.FromVersion {
		t.Errorf("the environment came from a %s", e.started.From)
	}
}

// BenchmarkRestored starts a function that takes half a second to import, from
// its snapshot, in a sandbox whose runtime has booted, and has it answer.
func BenchmarkRestored(b *testing.B) {
	machine.need(b)
	dir, err := filepath.Abs("../../bench/functions/slow")
	if err != nil {
		b.Fatal(err)
	}
	l := machine.launcher(b, dir, &launchertest.Log{}, pooling)
	v := probeVersion()
	v.Runtime, v.Handler, v.SnapStart, v.MemoryMB = "python3.12", "app.handler", true, 512
	if ok, err := l.Initialise(b.Context(), v); !ok || err != nil {
		b.Fatalf("no snapshot: %v, %v", ok, err)
	}
	l.Expect(v.Runtime)
	var phases [5]time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		filled(b, l, v.Runtime, 1)
		b.StartTimer()
		env, err := l.Launch(b.Context(), v)
		if err != nil {
			b.Fatal(err)
		}
		res := benchInvoke(b, env, 0)
		b.StopTimer()
		r := res.Start
		if r == nil || r.From != millicent.FromVersion {
			b.Fatalf("not from a snapshot: %+v", r)
		}
		for i, d := range []time.Duration{r.Acquire, r.Attach, r.Boot, r.Init, r.FirstByte} {
			phases[i] += d
		}
		if err := env.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for i, name := range []string{"acquire", "attach", "boot", "init", "first"} {
		b.ReportMetric(micros(phases[i])/float64(b.N), "µs-"+name)
	}
}

// TestSnapshotIsBounded: a runtime that gives out more than its version may
// hold has no snapshot.
func TestSnapshotIsBounded(t *testing.T) {
	t.Parallel()
	file, err := sandbox.NewSealedFile("test")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l := &link{session: newSession(exampleVersion()), snapshot: &keeper{file: file, left: 10}}
	for i, size := range []int{4, 6} {
		if err := l.apply(linkPart, make([]byte, size)); err != nil {
			t.Errorf("part %d: %v", i, err)
		}
	}
	if err := l.apply(linkPart, []byte("x")); err != nil {
		t.Errorf("one too many: %v", err)
	}
	if f := l.session.initFailure(); f == nil || f.Type != errorTooLarge {
		t.Errorf("got %+v", f)
	}
	if err := (&link{session: newSession(exampleVersion())}).apply(linkPart, nil); !errors.Is(err, errViolation) {
		t.Errorf("where none is wanted: %v", err)
	}
}

// TestSnapshotsGiveWay: the least used one does, a version's own goes with it,
// and what is in use is not closed before it is given back.
func TestSnapshotsGiveWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := 0
		s := newSnapshots(25, slog.New(slog.DiscardHandler), func(context.Context, *millicent.Version) (*snapshot, error) {
			made++
			file, err := os.Open(os.DevNull)
			return &snapshot{file: file, size: 10, made: time.Now()}, err
		})
		defer s.close()
		versions := make([]*millicent.Version, 3)
		for i := range versions {
			versions[i] = &millicent.Version{Function: "f", Number: strconv.Itoa(i + 1)}
		}
		for _, v := range versions[:2] {
			if err := s.create(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		used := s.take(versions[0])
		time.Sleep(time.Second)
		second := s.take(versions[1])
		time.Sleep(time.Second)
		s.release(s.take(versions[0]))
		time.Sleep(time.Second)
		if err := s.create(t.Context(), versions[2]); err != nil {
			t.Fatal(err)
		}
		if s.shots[idOf(versions[1])] != nil || s.shots[idOf(versions[0])] != used || s.total != 20 {
			t.Errorf("%v are left", s.shots)
		}
		if _, err := second.file.Stat(); err != nil {
			t.Errorf("closed in use: %v", err)
		}
		s.release(second)
		if _, err := second.file.Stat(); err == nil {
			t.Error("not closed when it was given back")
		}
		if s.take(versions[1]) != nil {
			t.Error("one that gave way is there")
		}
		synctest.Wait()
		if made != 4 || s.shots[idOf(versions[1])] == nil {
			t.Errorf("%d were made, want another one", made)
		}
		time.Sleep(snapshotLife + time.Second)
		old := s.take(versions[1])
		synctest.Wait()
		if old == nil || s.shots[idOf(versions[1])] == old {
			t.Error("an old one is not replaced")
		}
		s.release(old)
		s.release(used)
		s.prune("", "f", func(number string) bool { return number == "3" })
		for id := range s.shots {
			if id.number != "3" {
				t.Errorf("%v is left", id)
			}
		}
	})
}
