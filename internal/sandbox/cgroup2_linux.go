package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// initPids is how many threads pid 1 is given beyond the Spec's: in version 2
// it is in the group itself.
const initPids = 16

// cgroups2 is the one hierarchy of version 2.
type cgroups2 struct {
	dir  string
	none []string // controllers that could not be had
	why  string   // where something can be done about it
}

// openCgroups2 makes the Host's group where delegation_linux.go says; own is
// this process's own group.
func openCgroups2(m mount2, own, name string) (*cgroups2, error) {
	parent := m.parent(own, isHanded)
	c := &cgroups2{dir: filepath.Join(parent, "millicent", name)}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	if parent != m.dir {
		c.why = "the cgroup that was handed to this server has no such controllers"
	}
	if err := vacate(parent); err != nil { // with controllers its groups would be of no use
		c.none, c.why = controllers, err.Error()
		return c, nil
	}
	for _, ctl := range controllers {
		for _, dir := range []string{parent, filepath.Dir(c.dir), c.dir} {
			if err := put(dir, "cgroup.subtree_control", "+"+ctl); err != nil {
				c.none = append(c.none, ctl)
				break
			}
		}
	}
	weigh("cpu.weight", weight*100, c.dir)
	return c, nil
}

func (c *cgroups2) limitations() []string {
	if len(c.none) > 0 && c.why != "" {
		return []string{fmt.Sprintf("no limit on %s: %s; %s", strings.Join(c.none, ", "), c.why, alone(os.Geteuid() == 0))}
	}
	return notEnforced(c.none)
}

func (c *cgroups2) home() string { return c.dir }

func (c *cgroups2) memory() string { return c.dir }

func (c *cgroups2) create(id string) (group, error) {
	g := &group2{path: filepath.Join(c.dir, id)}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	return g, nil
}

func (c *cgroups2) leftovers() ([]group, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var groups []group
	for _, e := range entries {
		if e.IsDir() {
			groups = append(groups, &group2{path: filepath.Join(c.dir, e.Name())})
		}
	}
	return groups, nil
}

func (c *cgroups2) remove() error { return removeIfEmpty(c.dir) }

// group2 is a group of version 2. Pid 1 is in it as well, being cloned into
// it: to move a process later takes the kernel some ten milliseconds. What
// pid 1 itself takes is added to the limits.
type group2 struct {
	path string

	mu       sync.Mutex
	baseline int64    // bytes that pid 1 takes
	peak     *os.File // memory.peak, by which it was reset
	whole    counter  // memory.peak that was not
}

func (g *group2) limit(s Spec) error {
	base, err := get(g.path, "memory.current")
	if err := g.lacking(err); err != nil {
		return err
	}
	g.mu.Lock()
	g.baseline = base
	g.mu.Unlock()
	if s.Memory > 0 {
		if err := g.setMemory(s.Memory); err != nil {
			return err
		}
	}
	if err := g.setPids(s.pids()); err != nil {
		return err
	}
	if s.Background {
		if err := g.setBackground(true); err != nil {
			return err
		}
	}
	if s.CPU == 0 {
		return nil
	}
	return g.setCPU(s.CPU)
}

func (g *group2) setBackground(on bool) error {
	return g.lacking(setIdle(g.path, on, func() error {
		const usual, little = 100, 2
		if on {
			return putInt(g.path, "cpu.weight", little)
		}
		return putInt(g.path, "cpu.weight", usual)
	}))
}

func (g *group2) setMemory(bytes int64) error {
	g.mu.Lock()
	base := g.baseline
	g.mu.Unlock()
	for name, value := range map[string]int64{
		"memory.max":       bytes + base,
		"memory.swap.max":  0,
		"memory.oom.group": 0, // pid 1 is to live
	} {
		if err := g.lacking(putInt(g.path, name, value)); err != nil {
			return err
		}
	}
	return nil
}

func (g *group2) setPids(n int) error {
	return g.lacking(putInt(g.path, "pids.max", int64(n+initPids)))
}

// lacking forgives a file that is not there for want of its controller, which
// Limitations has told of.
func (g *group2) lacking(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (g *group2) setCPU(cores float64) error {
	value := "max"
	if cores != 0 {
		value = strconv.FormatInt(quota(cores), 10)
	}
	return g.lacking(put(g.path, "cpu.max", fmt.Sprintf("%s %d", value, cpuPeriod.Microseconds())))
}

func (g *group2) stats() (st Stats, err error) {
	us, err := field(g.path, "cpu.stat", "usage_usec")
	if err != nil {
		return st, err
	}
	st.CPU = time.Duration(us) * time.Microsecond
	kills, err := field(g.path, "memory.events", "oom_kill")
	if err := g.lacking(err); err != nil {
		return st, err
	}
	st.OOMKills = int(kills)
	g.mu.Lock()
	defer g.mu.Unlock()
	peak, err := g.readPeak()
	if err := g.lacking(err); err != nil {
		return st, err
	}
	st.PeakMemory = max(0, peak-g.baseline)
	return st, nil
}

// readPeak reads the peak through the descriptor that reset it, which alone
// sees the new one; without memory.peak (before Linux 5.19) it is what is used
// now. g.mu is held.
func (g *group2) readPeak() (int64, error) {
	if g.peak == nil {
		n, err := get(g.path, "memory.peak")
		if errors.Is(err, fs.ErrNotExist) {
			return get(g.path, "memory.current")
		}
		return n, err
	}
	buf := make([]byte, 32)
	n, err := g.peak.ReadAt(buf, 0)
	if n == 0 {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(buf[:n])), 10, 64)
}

func (g *group2) resetPeak() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peak == nil {
		f, err := os.OpenFile(g.path+"/memory.peak", os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return errNoReset
		}
		if err != nil {
			return err
		}
		g.peak = f
	}
	_, err := g.peak.WriteAt([]byte("0"), 0)
	if errors.Is(err, unix.EINVAL) { // root may open it
		g.peak.Close() // nothing was written
		g.peak = nil
		return errNoReset
	}
	return err
}

func (g *group2) tasks() ([]*os.File, error) { return nil, nil }

func (g *group2) dir() (*os.File, error) { return os.Open(g.path) }

func (g *group2) entry() ([]*os.File, error) {
	f, err := openControlFile(g.path+"/cgroup.procs", os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	return []*os.File{f}, nil
}

func (g *group2) kill(ctx context.Context) error {
	// Thawed by the kernel itself, but not in kernels that lack cgroup.kill.
	if err := g.lacking(g.thaw()); err != nil {
		return err
	}
	if err := put(g.path, "cgroup.kill", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return killIn(ctx, g.path)
}

func (g *group2) remove(ctx context.Context) error {
	g.whole.close()
	g.mu.Lock()
	if g.peak != nil {
		g.peak.Close() // only ever read
		g.peak = nil
	}
	g.mu.Unlock()
	return removeDir(ctx, g.path)
}
