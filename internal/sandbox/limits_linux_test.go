package sandbox

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMemoryLimit(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 128 * mib, Mounts: []Mount{probeMount(t)}})
	before, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if before.OOMKills != 0 {
		t.Errorf("kills before anything ran: %d", before.OOMKills)
	}
	if got := run(t, s, "/var/task/probe", "probe", "eat"); got.Signal != syscall.SIGKILL {
		t.Errorf("a process beyond the limit: %+v, want the end by signal 9", got)
	}
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if st.OOMKills != 1 || st.PeakMemory < 120*mib || st.PeakMemory > 129*mib || st.CPU <= 0 {
		t.Errorf("stats %+v", st)
	}
	// Pid 1 lives, and the next process has all the memory again.
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after it: %+v", got)
	}
	limit := int64(64 * mib)
	if err := s.ResetPeak(); errors.Is(err, errors.ErrUnsupported) {
		limit = 129 * mib // it stays
	} else if err != nil {
		t.Fatal(err)
	}
	if st, err = s.Stats(); err != nil || st.PeakMemory > limit {
		t.Errorf("after ResetPeak: %+v, %v", st, err)
	}
}

// A fork bomb of small processes is ended before pid 1 is.
func TestMemoryLimitOfMany(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 64 * mib})
	sh(t, s, "for i in 1 2 3 4 5 6 7 8; do (a=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 5) & done; wait")
	st, err := s.Stats()
	if err != nil || st.OOMKills == 0 {
		t.Errorf("stats %+v, %v", st, err)
	}
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after it: %+v", got)
	}
}

func TestPidsLimit(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Pids: 40, Mounts: []Mount{probeMount(t)}})
	var got filled
	probe(t, s, &got, "forks")
	// Some of the 40 are the probe's own threads; in version 2 pid 1 may leave
	// some of its share.
	if got.Err != "EAGAIN" || got.Bytes < 20 || got.Bytes > 39+initPids {
		t.Errorf("got %+v, want some 30 processes and EAGAIN", got)
	}
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after it: %+v", got)
	}
}

func TestCPULimit(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{CPU: 0.2, Mounts: []Mount{probeMount(t)}})
	spin := func() (cores float64) {
		before, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		var used float64
		probe(t, s, &used, "spin")
		after, err := s.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if counted := (after.CPU - before.CPU).Seconds(); counted < used {
			t.Errorf("counted %.3f s of CPU, the process itself %.3f", counted, used)
		}
		return used
	}
	limited := spin()
	if limited > 0.3 { // a fifth, and the last period begun
		t.Errorf("a fifth of a core gave %.2f s in a second", limited)
	}
	if err := s.SetCPU(0); err != nil {
		t.Fatal(err)
	}
	var free float64
	for range 10 { // the machine may be busy
		if free = spin(); free > 2*limited {
			return
		}
	}
	t.Errorf("without a limit: %.2f s in a second, with it %.2f", free, limited)
}

func TestTmp(t *testing.T) {
	h := openHost(t)
	if h.disks == nil {
		t.Skip("no loop devices: ", strings.Join(h.Limitations(), "; "))
	}
	// Twice the memory goes into /tmp, and nobody is killed.
	s := newSandbox(t, h, Spec{Memory: 48 * mib, Tmp: 96 * mib, Mounts: []Mount{probeMount(t)}})
	var got filled
	probe(t, s, &got, "fill", "/tmp/a", "96")
	if got.Err != "ok" || got.Bytes != 96*mib {
		t.Errorf("96 MiB into a /tmp of 96 MiB: %+v", got)
	}
	probe(t, s, &got, "fill", "/tmp/b", "96")
	if got.Err != "ENOSPC" || got.Bytes > 8*mib {
		t.Errorf("more than that: %+v", got)
	}
	st, err := s.Stats()
	if err != nil || st.OOMKills != 0 {
		t.Errorf("stats %+v, %v", st, err)
	}
	if r := sh(t, s, "rm /tmp/a /tmp/b && stat -c '%a %U' /tmp && ls -A /tmp | wc -l"); r.out != "1777 root\n0\n" {
		t.Errorf("got %+v", r)
	}
	// Nobody else has it.
	other := newSandbox(t, h, Spec{Tmp: 96 * mib})
	sh(t, s, "echo mine > /tmp/mine")
	if r := sh(t, other, "ls -A /tmp"); r.out != "" {
		t.Errorf("another sandbox sees %q", r.out)
	}
}

func TestTmpWithoutDisks(t *testing.T) {
	h := openHost(t)
	h.disks.close()
	h.disks = nil
	s := newSandbox(t, h, Spec{Tmp: 4 * mib, Mounts: []Mount{probeMount(t)}})
	var got filled
	probe(t, s, &got, "fill", "/tmp/a", "8")
	if got.Err != "ENOSPC" || got.Bytes != 4*mib {
		t.Errorf("8 MiB into a /tmp of 4 MiB: %+v", got)
	}
}

// TestTmpSizes holds imageSize to its word for the sizes that functions have.
func TestTmpSizes(t *testing.T) {
	h := openHost(t)
	for _, size := range []int64{1 * mib, 512 * mib, 10240 * mib} {
		d, err := h.disks.make(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		var st syscall.Statfs_t
		if err := syscall.Fstatfs(int(d.fs.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		if free := int64(st.Bavail) * st.Bsize; free < size {
			t.Errorf("%d MiB: %d bytes short", size/mib, size-free)
		}
		if err := d.close(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(h.cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

// TestLimitsChange: a running sandbox gets other limits, up and down.
func TestLimitsChange(t *testing.T) {
	s := newSandbox(t, openHost(t), Spec{Memory: 64 * mib, Pids: 100, Mounts: []Mount{probeMount(t)}})
	hold := func(mb string) ExitStatus {
		t.Helper()
		return run(t, s, "/usr/bin/python3", "-c", "x = bytearray("+mb+" << 20)").ExitStatus
	}
	for _, step := range []struct {
		limit int64
		fits  bool
	}{{64, false}, {192, true}, {64, false}, {256, true}} {
		if err := s.SetMemory(step.limit * mib); err != nil {
			t.Fatal(err)
		}
		if got := hold("120"); (got == ExitStatus{}) != step.fits || !step.fits && got.Signal != syscall.SIGKILL {
			t.Errorf("120 MiB under a limit of %d: %+v", step.limit, got)
		}
	}
	if err := s.SetPids(4); err != nil {
		t.Fatal(err)
	}
	// More than what pid 1 may leave of its share in version 2.
	const forks = "i=0; while [ $i -lt 24 ]; do sleep 5 >/dev/null 2>&1 & i=$((i + 1)); done"
	if got := sh(t, s, forks); got.Code == 0 {
		t.Errorf("25 processes with a limit of 4: %+v", got)
	}
	if err := s.KillAll(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPids(50); err != nil {
		t.Fatal(err)
	}
	if got := sh(t, s, forks); got.Code != 0 {
		t.Errorf("25 processes with a limit of 50: %+v", got)
	}
	if s.SetMemory(0) == nil || s.SetPids(-1) == nil {
		t.Error("limits that cannot be meant are taken")
	}
}

// TestBackground has two sandboxes want all processors.
func TestBackground(t *testing.T) {
	h := openHost(t)
	front, back := newSandbox(t, h, Spec{}), newSandbox(t, h, Spec{Background: true})
	used := func() (f, b time.Duration) {
		t.Helper()
		before := [2]time.Duration{}
		for i, s := range []*Sandbox{front, back} {
			st, err := s.Stats()
			if err != nil {
				t.Fatal(err)
			}
			before[i] = st.CPU
		}
		time.Sleep(500 * time.Millisecond) // what is measured, not waited for
		for i, s := range []*Sandbox{front, back} {
			st, err := s.Stats()
			if err != nil {
				t.Fatal(err)
			}
			before[i] = st.CPU - before[i]
		}
		return before[0], before[1]
	}
	for range 2 * runtime.NumCPU() {
		for _, s := range []*Sandbox{front, back} {
			if _, err := s.Start(Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	used() // until all of them run
	if f, b := used(); b > f/4 {
		t.Errorf("the one in the background used %v of CPU, the other %v", b, f)
	}
	if err := back.SetBackground(false); err != nil {
		t.Fatal(err)
	}
	used()
	if f, b := used(); b < f/3 {
		t.Errorf("no longer in the background it used %v of CPU, the other %v", b, f)
	}
}
