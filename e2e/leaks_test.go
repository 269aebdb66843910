package e2e

import (
	"bufio"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// uidBase is the first uid that sandboxes get, uidCount how many there are.
const (
	uidBase  = 1_900_000_000
	uidCount = 10_000
)

// A footprint is what a server holds of the machine.
type footprint struct {
	Processes  int // of the sandboxes' uids, plus the server's children
	Mounts     int // in the machine's mount table
	Cgroups    int // directories below any */millicent
	Loops      int // loop devices with a backing file
	FDs        int // of the server
	Goroutines int // of the server
}

func (f footprint) String() string { return fmt.Sprintf("%+v", struct{ footprint }{f}) }

// machine counts what is there without looking into a server.
func machine(t testing.TB) footprint {
	t.Helper()
	return footprint{
		Processes: len(sandboxPids(t)),
		Mounts:    lines(t, "/proc/self/mountinfo"),
		Cgroups:   cgroups(t),
		Loops:     loops(t),
	}
}

// footprint counts what is there with the server.
func (s *server) footprint() footprint {
	s.t.Helper()
	f := machine(s.t)
	f.Processes += len(children(s.t, s.pid()))
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	f.FDs = len(fds)
	f.Goroutines = int(s.metric("go_goroutines"))
	return f
}

// settle waits until the server's footprint is within what it was, with the
// slack that idle connections need, and fails when it does not get there.
func (s *server) settle(base footprint, within time.Duration) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for {
		now := s.footprint()
		ok := now.Processes <= base.Processes && now.Mounts <= base.Mounts && now.Cgroups <= base.Cgroups &&
			now.Loops <= base.Loops && now.FDs <= base.FDs+8 && now.Goroutines <= base.Goroutines+10
		if ok {
			s.t.Logf("footprint before %v, after %v", base, now)
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("leak: before %v, after %v; processes %v", base, now, describe(sandboxPids(s.t)))
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// sandboxPids lists the processes that run under a sandbox's uid.
func sandboxPids(t testing.TB) []int {
	t.Helper()
	var pids []int
	eachProcess(t, func(pid int, status map[string]string) {
		uid, err := strconv.Atoi(strings.Fields(status["Uid"] + " -1")[0])
		if err == nil && uid >= uidBase && uid < uidBase+uidCount {
			pids = append(pids, pid)
		}
	})
	return pids
}

func children(t testing.TB, parent int) []int {
	t.Helper()
	var pids []int
	eachProcess(t, func(pid int, status map[string]string) {
		if strings.TrimSpace(status["PPid"]) == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	})
	return pids
}

func eachProcess(t testing.TB, visit func(pid int, status map[string]string)) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		f, err := os.Open(filepath.Join("/proc", e.Name(), "status"))
		if err != nil {
			continue // ended meanwhile
		}
		status := map[string]string{}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if k, v, ok := strings.Cut(sc.Text(), ":"); ok {
				status[k] = v
			}
		}
		f.Close()
		visit(pid, status)
	}
}

func describe(pids []int) []string {
	var out []string
	for _, pid := range pids {
		cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			out = append(out, strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	return out
}

func lines(t testing.TB, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

// cgroups counts the environments' cgroup directories, once per hierarchy.
func cgroups(t testing.TB) int {
	t.Helper()
	seen := map[string]bool{}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed meanwhile
		}
		if d.IsDir() && strings.Contains(path, "/millicent/") && strings.Count(path[strings.Index(path, "/millicent/"):], "/") == 3 {
			seen[path] = true
		}
		return nil
	})
	return len(slices.Collect(maps.Keys(seen)))
}

func loops(t testing.TB) int {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
