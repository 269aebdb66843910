package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestKillAll(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Mounts: []Mount{probeMount(t)}})
	sh(t, s, "echo kept > /tmp/kept")
	p, err := s.Start(Cmd{Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	var ok string
	probe(t, s, &ok, "children")
	if n := count(t, s); n < 5 { // pid 1, sleep, and three shells at least
		t.Errorf("%d processes are there to be killed", n)
	}
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of a process that KillAll killed")
	if p.Status() != (ExitStatus{Signal: syscall.SIGKILL}) {
		t.Errorf("its status: %+v", p.Status())
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to what has ended: %v", err)
	}
	if n := count(t, s); n != 1 { // pid 1
		t.Errorf("%d processes are left", n)
	}
	if got := sh(t, s, "cat /tmp/kept"); got.out != "kept\n" {
		t.Errorf("afresh in the same /tmp: %+v", got)
	}
	if err := s.KillAll(); err != nil {
		t.Errorf("with nothing to kill: %v", err)
	}
}

// TestEndLeavesNobody: nothing is left inside, of a sandbox that stands still either.
func TestEndLeavesNobody(t *testing.T) {
	h := openHost(t)
	for _, freeze := range []bool{false, true} {
		s := newSandbox(t, h, Spec{Mounts: []Mount{probeMount(t)}})
		p, err := s.Start(Cmd{Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
		if err != nil {
			t.Fatal(err)
		}
		if freeze {
			if err := s.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.End(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, p.Done(), "the end of a process in a sandbox that was ended")
		waitFor(t, s.Done(), "the end of pid 1")
		if err := errors.Join(s.End(), s.Close(), s.End()); err != nil {
			t.Errorf("after the end: %v", err)
		}
	}
}

// TestKillAllRemovesObjects: what outlives processes is gone as well.
func TestKillAllRemovesObjects(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, openHost(t), Spec{})
	const make3 = `import ctypes; c = ctypes.CDLL(None); print(min(min(c.shmget(0, 4096, 0o1600), c.semget(0, 1, 0o1600), c.msgget(0, 0o1600)) for _ in range(3)))`
	if r := run(t, s, "/usr/bin/python3", "-c", make3); r.out != "0\n" {
		t.Fatalf("got %+v", r)
	}
	lines := func() string {
		return sh(t, s, "cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | grep -c -v key").out
	}
	if got := lines(); got != "9\n" {
		t.Fatalf("%s objects were made, want 9", got)
	}
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	if got := lines(); got != "0\n" {
		t.Errorf("%s objects are left", got)
	}
}

// count counts the processes of a sandbox.
func count(t *testing.T, s *Sandbox) int {
	t.Helper()
	g, ok := s.group.(*group1)
	dir := ""
	if ok {
		dir = g.dirs["pids"]
	} else {
		dir = s.group.(*group2).path
	}
	pids, err := processes(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(pids)
}

func TestSignal(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := s.Start(Cmd{
		Path: "/bin/sh", Args: []string{"sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"},
		Stdout: w,
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end by SIGTERM")
	if p.Status() != (ExitStatus{Code: 3}) {
		t.Errorf("got %+v", p.Status())
	}
}

func TestFiles(t *testing.T) {
	requireRoot(t)
	// A descriptor that the server was started with, as it were.
	stray, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(stray)
	s := newSandbox(t, openHost(t), Spec{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := s.Start(Cmd{
		Path: "/bin/sh", Args: []string{"sh", "-c", `read x; echo "$A, $x"; ls /proc/self/fd; pwd; printenv A`},
		Env: []string{"A=b"}, Dir: "/var/task", Stdout: w, ExtraFiles: []*os.File{w, w},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of the process")
	buf := make([]byte, 1000)
	n, _ := r.Read(buf)
	// 0 to 4, and 5 by which ls reads the directory.
	if got, want := string(buf[:n]), "b, \n0\n1\n2\n3\n4\n5\n/var/task\nb\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStartRefuses(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	for name, cmd := range map[string]Cmd{
		"no arguments":   {Path: "/bin/true"},
		"zero byte":      {Path: "/bin/true", Args: []string{"a\x00b"}},
		"relative":       {Path: "/bin/true", Args: []string{"true"}, Dir: "tmp"},
		"missing dir":    {Path: "/bin/true", Args: []string{"true"}, Dir: "/nowhere"},
		"too much":       {Path: "/bin/true", Args: []string{strings.Repeat("x", 200<<10)}},
		"too many":       {Path: "/bin/true", Args: make([]string, 5000)},
		"too many files": {Path: "/bin/true", Args: []string{"true"}, ExtraFiles: repeat(os.Stdin, 200)},
	} {
		if p, err := s.Start(cmd); err == nil {
			t.Errorf("%s: started", name)
			<-p.Done()
		}
	}
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after them: %+v", got)
	}
	big := strings.Repeat("y", 100<<10)
	if got := run(t, s, "/bin/sh", "-c", "echo ${#1}", "sh", big); got.out != fmt.Sprintln(len(big)) {
		t.Errorf("an argument of 100 KiB: %+v", got)
	}
}

func repeat(f *os.File, n int) (l []*os.File) {
	for range n {
		l = append(l, f)
	}
	return l
}

func TestNewRefuses(t *testing.T) {
	h := openHost(t)
	for name, spec := range map[string]Spec{
		"no /tmp":         {},
		"negative memory": {Tmp: mib, Memory: -1},
		"host name":       {Tmp: mib, Hostname: "a b"},
		"relative source": {Tmp: mib, Mounts: []Mount{{"usr", "/opt"}}},
		"unclean target":  {Tmp: mib, Mounts: []Mount{{"/usr", "/opt/../etc"}}},
		"missing source":  {Tmp: mib, Mounts: []Mount{{"/no/such", "/opt"}}},
		"missing target":  {Tmp: mib, Mounts: []Mount{{"/usr", "/no/such"}}},
	} {
		if s, err := h.New(t.Context(), spec); err == nil {
			t.Errorf("%s: made", name)
			s.Close()
		}
	}
	if len(h.sandboxes) != 0 || len(h.uids.used) != 0 {
		t.Errorf("left behind: %d sandboxes, %d uids", len(h.sandboxes), len(h.uids.used))
	}
}

func TestAttach(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "code"), []byte("the code"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSandbox(t, openHost(t), Spec{})
	if err := s.Attach(Mount{dir, "/var/task"}); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, s, "cat /var/task/code; echo x > /var/task/code"); !strings.HasPrefix(got.out, "the code") || got.Code == 0 {
		t.Errorf("got %+v", got)
	}
	if err := s.Attach(Mount{dir, "/no/such"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a target that is not there: %v", err)
	}
}

// TestClosed calls everything after Close.
func TestClosed(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 64 * mib})
	p, err := s.Start(Cmd{Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of a process in a closed sandbox")
	if p.Status().Signal != syscall.SIGKILL {
		t.Errorf("its status: %+v", p.Status())
	}
	waitFor(t, s.Done(), "the end of the sandbox")
	for name, f := range map[string]func() error{
		"Start":     func() error { _, err := s.Start(Cmd{Path: "/bin/true", Args: []string{"true"}}); return err },
		"KillAll":   s.KillAll,
		"Attach":    func() error { return s.Attach(Mount{"/usr", "/opt"}) },
		"Stats":     func() error { _, err := s.Stats(); return err },
		"Freeze":    func() error { return s.Freeze(t.Context()) },
		"SetCPU":    func() error { return s.SetCPU(1) },
		"ResetPeak": s.ResetPeak,
	} {
		if err := f(); err == nil {
			t.Errorf("%s of a closed sandbox succeeds", name)
		}
	}
	if err := errors.Join(s.Thaw(), s.Close()); err != nil {
		t.Errorf("Thaw and Close again: %v", err)
	}
}

// TestEnd kills pid 1 from outside.
func TestEnd(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{})
	p, err := s.Start(Cmd{Path: "/bin/sleep", Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.pid1.kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s.Done(), "the end of the sandbox")
	waitFor(t, p.Done(), "the end of its process")
	if _, err := s.Start(Cmd{Path: "/bin/true", Args: []string{"true"}}); err == nil {
		t.Error("an ended sandbox started a process")
	}
}

// TestHostClose closes a Host while sandboxes are being made.
func TestHostClose(t *testing.T) {
	h := openHost(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := h.New(t.Context(), Spec{Tmp: mib}); err != nil {
					return
				}
			}
		})
	}
	for len(h.open()) == 0 {
		runtime.Gosched()
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := len(h.open()); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
	if n := measureLoops(t, h.cfg.Dir); n != 0 {
		t.Errorf("%d loop devices are left", n)
	}
}

// TestClosedBeforeItIsMade has the end of the Host come between a sandbox's
// registration and its making.
func TestClosedBeforeItIsMade(t *testing.T) {
	h := openHost(t)
	s := h.newSandbox("early")
	if err := errors.Join(h.adopt(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.build(t.Context(), Spec{Tmp: mib}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("made a closed sandbox: %v", err)
	}
}

// open lists the sandboxes.
func (h *Host) open() (l []*Sandbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.sandboxes {
		l = append(l, s)
	}
	return l
}

// machine is what sandboxes take of a machine.
type machine struct {
	fds, goroutines, cgroups, loops, mounts, uids int
}

func measure(t *testing.T, h *Host) (m machine) {
	t.Helper()
	glob := func(pattern string) int {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	left, err := h.groups.leftovers()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	m.loops = measureLoops(t, h.cfg.Dir)
	h.uids.mu.Lock()
	defer h.uids.mu.Unlock()
	m.fds, m.goroutines, m.cgroups = glob("/proc/self/fd/*"), runtime.NumGoroutine(), len(left)
	m.mounts, m.uids = strings.Count(string(mounts), "\n"), len(h.uids.used)
	return m
}

// TestNothingLeft makes and closes sandboxes side by side and finds the
// machine as before.
func TestNothingLeft(t *testing.T) {
	h := openHost(t)
	round := func(n int) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				s, err := h.New(t.Context(), Spec{Memory: 64 * mib, Tmp: 8 * mib, Redirect: 900})
				if err != nil {
					t.Error(err)
					return
				}
				script := fmt.Sprint("echo ", i, " >/tmp/i; sync; cat /tmp/i; sleep 1000 >/dev/null 2>&1 &")
				if got, err := s.runToEnd("/bin/sh", "-c", script); err != nil || got.out != fmt.Sprintln(i) {
					t.Errorf("got %+v, %v", got, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	round(2) // what is made once, is
	before := measure(t, h)
	for range 3 {
		round(20)
	}
	var after machine
	for range 100 { // the last goroutines are on their way out
		after = measure(t, h)
		after.goroutines = max(after.goroutines, before.goroutines) // of the rounds before as well
		if after == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("before %+v, after %+v", before, after)
}

// measureLoops counts the loop devices with an image of dir.
func measureLoops(t *testing.T, dir string) (n int) {
	t.Helper()
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(b), dir) {
			n++
		}
	}
	return n
}

// TestSandboxesTakeNoThreads: a server has as many of them as it has idle
// environments.
func TestSandboxesTakeNoThreads(t *testing.T) {
	h := openHost(t)
	threads := func() int {
		names, err := filepath.Glob("/proc/self/task/*")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	newSandbox(t, h, Spec{})
	before := threads()
	for range 20 {
		newSandbox(t, h, Spec{})
	}
	if n := threads() - before; n > 8 { // the runtime may start some for its own ends
		t.Errorf("20 sandboxes take %d threads", n)
	}
}
