package millicenttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Footprint is what a server holds of the machine, but for its stock: the
// sandboxes that it has prepared for starts to come, and what belongs to them.
type Footprint struct {
	Processes int // descendants of the server
	Mounts    int // in the server's mount table, of its data directory
	Cgroups   int // directories of its environments, in all hierarchies
	Loops     int // loop devices with a backing file in its data directory
	FDs       int // of the server
}

// spare is how many descriptors a server may hold for connections that are
// about to close.
const spare = 8

// within reports whether f holds no more than base.
func (f Footprint) within(base Footprint) bool {
	return f.Processes <= base.Processes && f.Mounts <= base.Mounts && f.Cgroups <= base.Cgroups &&
		f.Loops <= base.Loops && f.FDs <= base.FDs+spare
}

// stableTime is how long to wait for a moment in which the stock does not
// change.
const stableTime = 20 * time.Second

// Footprint counts what the server holds, at a moment at which its stock does
// not change; when there is none for long, at any.
func (s *Server) Footprint(t testing.TB) Footprint {
	t.Helper()
	for deadline := time.Now().Add(stableTime); ; time.Sleep(10 * time.Millisecond) {
		before := s.Stock(t)
		f := s.hold(t)
		after := s.Stock(t)
		if after == before && after.Changing == 0 || time.Now().After(deadline) {
			f.Processes -= after.Processes()
			f.Cgroups -= after.Sandboxes() * len(s.hierarchies())
			f.Loops -= after.Disks()
			f.FDs -= after.FDs()
			return f
		}
	}
}

// Stock asks the server for its stock, by a door that takes no signatures.
func (s *Server) Stock(t testing.TB) Stock {
	t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.Data, "admin.sock"))
		},
	}
	resp, err := (&http.Client{Transport: transport, Timeout: readyTime}).Get("http://admin/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s %s %v", resp.Status, metrics, err)
	}
	return ReadStock(string(metrics))
}

// FDs counts the descriptors that the server holds now, its stock's included.
func (s *Server) FDs(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// hold counts what the server holds now, its stock included.
func (s *Server) hold(t testing.TB) Footprint {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(s.PID()))
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		t.Fatal(err)
	}
	return Footprint{
		Processes: len(s.Descendants(t)),
		Mounts:    strings.Count(string(mounts), s.Data),
		Cgroups:   s.cgroups(),
		Loops:     s.loops(),
		FDs:       s.FDs(t),
	}
}

// Settle waits until the server holds no more than base, and fails the test
// when that takes too long.
func (s *Server) Settle(t testing.TB, base Footprint, limit time.Duration) {
	t.Helper()
	s.client.CloseIdleConnections()
	deadline := time.Now().Add(limit)
	for {
		now := s.Footprint(t)
		if now.within(base) {
			return
		}
		s.litter(t)
		if time.Now().After(deadline) {
			t.Errorf("left behind: before %+v, after %+v beside %+v, processes %v", base, now, s.Stock(t), s.Descendants(t))
			return
		}
		s.client.CloseIdleConnections()
		time.Sleep(50 * time.Millisecond)
	}
}

// litter makes work for the server's collector of garbage, which takes the
// pipes that it keeps for the next connections, too: an idle server has no
// reason to collect any.
func (s *Server) litter(t testing.TB) {
	t.Helper()
	resp, err := s.client.Post(s.URL()+"/2015-03-31/functions/none/invocations", "", bytes.NewReader(make([]byte, 5<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // what it says does not matter
}

// A Process is one below the server.
type Process struct {
	PID     int
	Command string
}

// Descendants lists the processes below the server.
func (s *Server) Descendants(t testing.TB) []Process {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int][]int{}
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
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []Process
	for queue := children[s.PID()]; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		queue = append(queue, children[pid]...)
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty when it ended meanwhile
		found = append(found, Process{pid, strings.TrimSpace(strings.ReplaceAll(string(cmd), "\x00", " "))})
	}
	return found
}

// hierarchies lists the server's own directories, one in each hierarchy: they
// bear a name that is made of the data directory's.
func (s *Server) hierarchies() (found []string) {
	sum := sha256.Sum256([]byte(s.Data))
	name := "millicent-" + hex.EncodeToString(sum[:6])
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed meanwhile
		}
		if d.IsDir() && d.Name() == name {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	return found
}

// cgroups counts the directories of the server's sandboxes.
func (s *Server) cgroups() (count int) {
	for _, dir := range s.hierarchies() {
		entries, _ := os.ReadDir(dir) // none when it is removed meanwhile
		for _, e := range entries {
			if e.IsDir() {
				count++
			}
		}
	}
	return count
}

// loops counts the loop devices with an image of the server's.
func (s *Server) loops() int {
	names, _ := filepath.Glob("/sys/block/loop*/loop/backing_file") // the pattern is right
	count := 0
	for _, name := range names {
		if file, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(file), s.Data) {
			count++
		}
	}
	return count
}
