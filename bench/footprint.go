package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A footprint is what a server holds of the machine, but for its stock.
type footprint struct {
	processes int // below the server
	mounts    int // in its mount table
	cgroups   int // of its environments, in all hierarchies
	loops     int // loop devices with an image in its data directory
	files     int // descriptors of the server
}

// A stock is how many sandboxes a server has prepared for starts to come, as
// its metrics tell.
type stock struct {
	bare, booted, zygotes int
	python                int // of the booted
	changing              int // that are being prepared or given up
	disks                 int // spare ones, beside those of the sandboxes
}

// readStock finds the stock in the text of /metrics.
func readStock(metrics string) (st stock) {
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(value)
		if err != nil {
			continue // a comment, or no count
		}
		switch kind, prepared := strings.CutPrefix(name, "millicent_prepared_sandboxes"); {
		case prepared && kind == `{kind="bare"}`:
			st.bare += n
		case prepared:
			st.booted += n
			if strings.HasPrefix(kind, `{kind="python`) {
				st.python += n
			}
		case name == "millicent_zygotes":
			st.zygotes = n
		case name == "millicent_spare_disks":
			st.disks = n
		case name == "millicent_changing_sandboxes":
			st.changing = n
		}
	}
	return st
}

// footprint is what a stock takes, in as many hierarchies of cgroups: the same
// as e2e/millicenttest says of it. It is said again here because the bench
// stands by itself, and measures any binary.
func (st stock) footprint(hierarchies int) footprint {
	sandboxes := st.bare + st.booted + st.zygotes
	return footprint{
		processes: st.bare + 2*st.booted + 2*st.zygotes,
		cgroups:   sandboxes * hierarchies,
		loops:     sandboxes + st.disks,
		files:     sandboxes + st.disks + 8*st.bare + 12*st.booted + st.python + 5*st.zygotes,
	}
}

// without returns what f is without another.
func (f footprint) without(o footprint) footprint {
	return footprint{
		f.processes - o.processes, f.mounts - o.mounts, f.cgroups - o.cgroups, f.loops - o.loops, f.files - o.files,
	}
}

// spareFiles is how many descriptors may be there for connections that are
// about to close.
const spareFiles = 8

// beyond returns how many things of f are more than in base.
func (f footprint) beyond(base footprint) int {
	return max(0, f.processes-base.processes) + max(0, f.mounts-base.mounts) + max(0, f.cgroups-base.cgroups) +
		max(0, f.loops-base.loops) + max(0, f.files-base.files-spareFiles)
}

// stableTime is how long to wait for a moment in which the stock does not
// change.
const stableTime = 20 * time.Second

// footprint counts what the server holds but for its stock, at a moment at
// which that does not change; when there is none for long, at any.
func (s *server) footprint(ctx context.Context) (footprint, error) {
	for end := time.Now().Add(stableTime); ; {
		before, err := s.stock(ctx)
		if err != nil {
			return footprint{}, err
		}
		f, hierarchies, err := s.hold()
		if err != nil {
			return footprint{}, err
		}
		after, err := s.stock(ctx)
		if err != nil {
			return footprint{}, err
		}
		if after == before && after.changing == 0 || time.Now().After(end) {
			return f.without(after.footprint(hierarchies)), nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return footprint{}, err
		}
	}
}

// stock asks the server for its stock.
func (s *server) stock(ctx context.Context) (stock, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/metrics", nil)
	if err != nil {
		return stock{}, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return stock{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return readStock(string(text)), err
}

// hold counts what the server holds now, its stock included, and in how many
// hierarchies its cgroups are.
func (s *server) hold() (f footprint, hierarchies int, err error) {
	proc := fmt.Sprintf("/proc/%d", s.pid())
	mounts, err := os.ReadFile(proc + "/mountinfo")
	if err != nil {
		return f, 0, err
	}
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return f, 0, err
	}
	below, err := descendants(s.pid())
	if err != nil {
		return f, 0, err
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return f, 0, err
	}
	f = footprint{processes: len(below), mounts: bytes.Count(mounts, []byte("\n")), files: len(files)}
	hierarchies, f.cgroups = cgroupsOf(s.data)
	for _, name := range loops {
		if image, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(image), s.data) {
			f.loops++
		}
	}
	return f, hierarchies, nil
}

// settle waits until the server holds no more than base, for limit at most,
// and returns what it holds then.
func (s *server) settle(ctx context.Context, base footprint, limit time.Duration) (footprint, error) {
	for end := time.Now().Add(limit); ; {
		now, err := s.footprint(ctx)
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

// cgroupsOf counts the hierarchies in which a server has a directory, whose
// name is made of the data directory's, and the directories of its
// environments below these.
func cgroupsOf(data string) (hierarchies, below int) {
	sum := sha256.Sum256([]byte(data))
	name := "millicent-" + hex.EncodeToString(sum[:6])
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir(): // removed meanwhile
		case d.Name() == name:
			hierarchies++
		case filepath.Base(filepath.Dir(path)) == name:
			below++
			return fs.SkipDir
		}
		return nil
	})
	return hierarchies, below
}

// A holding is the memory that processes hold, in MB.
type holding struct {
	private float64 // pages that nobody else maps
	pss     float64 // and a share of those that others map, too
	shared  float64 // of that, what files in memory have
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
		case "Pss_Shmem:":
			h.shared += kb / 1024
		}
	}
	return h, nil
}

// residentMB returns the resident memory of a process.
func residentMB(pid int) (float64, error) { return statusMB(pid, "VmRSS") }

// peakMB returns the highest that was.
func peakMB(pid int) (float64, error) { return statusMB(pid, "VmHWM") }

func statusMB(pid int, name string) (float64, error) {
	text := field(fmt.Sprintf("/proc/%d/status", pid), name, ":")
	kb, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	if err != nil {
		return 0, fmt.Errorf("%s of process %d: %w", name, pid, err)
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
