package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A footprint is what a server holds of the machine.
type footprint struct {
	processes int // below the server
	mounts    int // in its mount table
	cgroups   int // of its environments, in all hierarchies
	loops     int // loop devices with an image in its data directory
	files     int // descriptors of the server
}

// spareFiles is how many descriptors may be there for connections that are
// about to close.
const spareFiles = 8

// beyond returns how many things of f are more than in base.
func (f footprint) beyond(base footprint) int {
	return max(0, f.processes-base.processes) + max(0, f.mounts-base.mounts) + max(0, f.cgroups-base.cgroups) +
		max(0, f.loops-base.loops) + max(0, f.files-base.files-spareFiles)
}

// footprint counts what the server holds now.
func (s *server) footprint() (footprint, error) {
	proc := fmt.Sprintf("/proc/%d", s.pid())
	mounts, err := os.ReadFile(proc + "/mountinfo")
	if err != nil {
		return footprint{}, err
	}
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return footprint{}, err
	}
	below, err := descendants(s.pid())
	if err != nil {
		return footprint{}, err
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return footprint{}, err
	}
	f := footprint{
		processes: len(below), mounts: bytes.Count(mounts, []byte("\n")), cgroups: cgroupsOf(s.data), files: len(files),
	}
	for _, name := range loops {
		if image, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(image), s.data) {
			f.loops++
		}
	}
	return f, nil
}

// settle waits until the server holds no more than base, for limit at most,
// and returns what it holds then.
func (s *server) settle(ctx context.Context, base footprint, limit time.Duration) (footprint, error) {
	for end := time.Now().Add(limit); ; {
		now, err := s.footprint()
		if err != nil || now.beyond(base) == 0 || time.Now().After(end) {
			return now, err
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// descendants lists the processes below pid.
func descendants(pid int) ([]int, error) {
	all, err := pids()
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, p := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue // ended meanwhile
		}
		// The command, in parentheses, may hold anything; see proc(5).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], p)
		}
	}
	var found []int
	for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
		found = append(found, queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return found, nil
}

func pids() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}

// cgroupsOf counts the directories of a server's environments, whose parent
// bears a name made of the data directory's.
func cgroupsOf(data string) (count int) {
	sum := sha256.Sum256([]byte(data))
	name := "millicent-" + hex.EncodeToString(sum[:6])
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed meanwhile
		}
		if d.IsDir() && filepath.Base(filepath.Dir(path)) == name {
			count++
			return fs.SkipDir
		}
		return nil
	})
	return count
}

// A holding is the memory that processes hold, in MB.
type holding struct {
	private float64 // pages that nobody else maps
	pss     float64 // and a share of those that others map, too
	frozen  bool    // all that are in a cgroup of ours are
	count   int     // processes
}

// holdingOf sums up the processes in a PID namespace, given as a link of
// /proc/PID/ns reads.
func holdingOf(namespace string) (h holding, err error) {
	all, err := pids()
	if err != nil {
		return h, err
	}
	grouped, frozen := 0, 0
	for _, pid := range all {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err != nil || link != namespace {
			continue
		}
		one, err := memoryOf(pid)
		if err != nil {
			return h, err
		}
		h.private += one.private
		h.pss += one.pss
		h.count++
		// The first process of a sandbox may stay outside the cgroups.
		if strings.Contains(cgroupPaths(pid), "/millicent") {
			grouped++
			if isFrozen(pid) {
				frozen++
			}
		}
	}
	h.frozen = grouped > 0 && frozen == grouped
	if h.count == 0 {
		return h, fmt.Errorf("no process is in %s", namespace)
	}
	return h, nil
}

// memoryOf reads the memory of one process.
func memoryOf(pid int) (h holding, err error) {
	file := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	b, err := os.ReadFile(file)
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kb, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			continue // the line that names the addresses
		}
		switch fields[0] {
		case "Private_Clean:", "Private_Dirty:", "Private_Hugetlb:":
			h.private += kb / 1024
		case "Pss:":
			h.pss += kb / 1024
		}
	}
	return h, nil
}

// residentMB returns the resident memory of a process.
func residentMB(pid int) (float64, error) {
	text := field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS", ":")
	kb, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	if err != nil {
		return 0, fmt.Errorf("resident memory of process %d: %w", pid, err)
	}
	return kb / 1024, nil
}

func cgroupPaths(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)) // of a process that ended: none
	return string(b)
}

// isFrozen asks the freezer of either version of cgroups.
func isFrozen(pid int) bool {
	for line := range strings.Lines(cgroupPaths(pid)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch parts[1] {
		case "freezer":
			b, err := os.ReadFile("/sys/fs/cgroup/freezer" + parts[2] + "/freezer.state")
			if err == nil && strings.TrimSpace(string(b)) == "FROZEN" {
				return true
			}
		case "":
			b, err := os.ReadFile("/sys/fs/cgroup" + parts[2] + "/cgroup.events")
			if err == nil && strings.Contains(string(b), "frozen 1") {
				return true
			}
		}
	}
	return false
}
