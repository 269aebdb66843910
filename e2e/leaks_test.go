package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// A footprint is what a server holds of the machine, but for its stock: the
// sandboxes that it has prepared for starts to come, and what belongs to them.
type footprint struct {
	Processes  int // descendants of the server
	Mounts     int // in the server's mount table
	Cgroups    int // directories of its environments, in all hierarchies
	Loops      int // loop devices with a backing file in its data directory
	FDs        int // of the server
	Goroutines int // of the server
}

// stableTime is how long to wait for a moment in which the stock does not
// change.
const stableTime = 20 * time.Second

// footprint counts what is there with the server, at a moment at which its
// stock does not change; when there is none for long, at any.
func (s *server) footprint() footprint {
	s.t.Helper()
	for deadline := time.Now().Add(stableTime); ; time.Sleep(10 * time.Millisecond) {
		before := s.stock()
		f := s.hold()
		after := s.stock()
		if after == before && after.Changing == 0 || time.Now().After(deadline) {
			hierarchies, _ := s.cgroups()
			f.Processes -= after.Processes()
			f.Cgroups -= after.Sandboxes() * hierarchies
			f.Loops -= after.Disks()
			f.FDs -= after.FDs()
			f.Goroutines -= after.Goroutines()
			return f
		}
	}
}

// stock asks the server for its stock.
func (s *server) stock() millicenttest.Stock {
	s.t.Helper()
	_, metrics := s.get("/metrics")
	return millicenttest.ReadStock(metrics)
}

// hold counts what the server holds now, its stock included.
func (s *server) hold() footprint {
	s.t.Helper()
	_, cgroups := s.cgroups()
	f := footprint{
		Processes: len(s.descendants()),
		Mounts:    lines(s.t, fmt.Sprintf("/proc/%d/mountinfo", s.pid())),
		Cgroups:   cgroups,
		Loops:     s.loops(),
	}
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
	s.client.CloseIdleConnections()
	deadline := time.Now().Add(within)
	for {
		now := s.footprint()
		ok := now.Processes <= base.Processes && now.Mounts <= base.Mounts && now.Cgroups <= base.Cgroups &&
			now.Loops <= base.Loops && now.FDs <= base.FDs+8 && now.Goroutines <= base.Goroutines+10
		if ok {
			s.t.Logf("footprint before %+v, after %+v", base, now)
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("leak: before %+v, after %+v beside %+v; processes %v", base, now, s.stock(), describe(s.descendants()))
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// A process is one of this machine's at a moment.
type process struct {
	pid, parent int
	started     string // ticks since boot: with pid, who it is
	command     string
}

// processes lists all processes of the machine.
func processes(t testing.TB) []process {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		// The command, in parentheses, may hold anything; see proc(5).
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 20 {
			continue
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		cmd, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")) // empty when it ended meanwhile
		all = append(all, process{pid, parent, fields[19], strings.ReplaceAll(string(cmd), "\x00", " ")})
	}
	return all
}

// descendants lists the processes below the server.
func (s *server) descendants() []process {
	s.t.Helper()
	all := processes(s.t)
	below := map[int]bool{s.pid(): true}
	var found []process
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if below[p.parent] && !below[p.pid] {
				below[p.pid], grown = true, true
				found = append(found, p)
			}
		}
	}
	return found
}

// alive returns those of ps that still are there.
func alive(t testing.TB, ps []process) []process {
	t.Helper()
	now := map[int]string{}
	for _, p := range processes(t) {
		now[p.pid] = p.started
	}
	return slices.DeleteFunc(slices.Clone(ps), func(p process) bool { return now[p.pid] != p.started })
}

func describe(ps []process) []string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%d %s", p.pid, p.command))
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

// cgroups counts the hierarchies in which the server has a directory of its
// own, and the directories of its environments below these. They lie in
// millicent/<name>, where the name is made of the data directory's.
func (s *server) cgroups() (hierarchies, below int) {
	s.t.Helper()
	sum := sha256.Sum256([]byte(s.data))
	own := "/millicent/millicent-" + hex.EncodeToString(sum[:6])
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir(): // what was removed meanwhile does not count
		case strings.HasSuffix(path, own):
			hierarchies++
		case strings.Contains(path, own+"/"):
			below++
		}
		return nil
	})
	return hierarchies, below
}

// loops counts the loop devices on files of the server's data directory.
func (s *server) loops() int {
	s.t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		backing, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(backing), s.data) {
			n++
		}
	}
	return n
}
