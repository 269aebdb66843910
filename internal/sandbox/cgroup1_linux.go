package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// cgroups1 are the hierarchies of version 1: one directory per controller.
// Pid 1 stays outside; its spawner thread is inside, and so are its children.
type cgroups1 struct {
	dirs map[string]string // by controller
}

// used1 are the controllers of version 1 that a Host uses.
var used1 = append([]string{"cpuacct", "freezer"}, controllers...)

func openCgroups1(mounts map[string]string, name string) (*cgroups1, error) {
	c := &cgroups1{dirs: map[string]string{}}
	for _, ctl := range used1 {
		mount, ok := mounts[ctl]
		if !ok {
			continue
		}
		dir := filepath.Join(mount, "millicent", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		c.dirs[ctl] = dir
	}
	if len(c.dirs) == 0 {
		return nil, errors.New("no controller of use is mounted")
	}
	if err := c.standStill(); err != nil {
		return nil, err
	}
	if dir := c.dirs["cpu"]; dir != "" {
		weigh("cpu.shares", weight*1024, dir)
	}
	return c, nil
}

// still is a group that has no process and is frozen as long as the Host is
// open. The kernel rewrites its own code when the first group is frozen or the
// last one thawed: while there is this one, to freeze takes 66 µs and not 190,
// and to thaw, on the path of an invocation, 34 and not 130.
const still = "still"

func (c *cgroups1) standStill() error {
	dir := c.dirs["freezer"]
	if dir == "" {
		return nil
	}
	dir = filepath.Join(dir, still)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return put(dir, "freezer.state", "FROZEN")
}

func (c *cgroups1) limitations() []string { return notEnforced(c.missing()) }

func (c *cgroups1) missing() []string {
	var none []string
	for _, ctl := range used1 {
		if c.dirs[ctl] == "" {
			none = append(none, ctl)
		}
	}
	return none
}

func (c *cgroups1) memory() string { return c.dirs["memory"] }

func (c *cgroups1) home() string {
	for _, ctl := range used1 {
		if dir := c.dirs[ctl]; dir != "" {
			return dir
		}
	}
	return ""
}

// at returns the group of an id.
func (c *cgroups1) at(id string) *group1 {
	g := &group1{dirs: map[string]string{}}
	for ctl, dir := range c.dirs {
		g.dirs[ctl] = filepath.Join(dir, id)
		if !slices.Contains(g.all, g.dirs[ctl]) { // cpu and cpuacct are often one
			g.all = append(g.all, g.dirs[ctl])
		}
	}
	slices.Sort(g.all)
	return g
}

func (c *cgroups1) create(id string) (group, error) {
	g := c.at(id)
	for _, dir := range g.all {
		if err := os.Mkdir(dir, 0o755); err != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return nil, errors.Join(err, g.remove(ctx))
		}
	}
	return g, nil
}

func (c *cgroups1) leftovers() ([]group, error) {
	ids := map[string]bool{}
	for _, dir := range c.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() && e.Name() != still {
				ids[e.Name()] = true
			}
		}
	}
	var groups []group
	for id := range ids {
		groups = append(groups, c.at(id))
	}
	return groups, nil
}

func (c *cgroups1) remove() error {
	var errs []error
	for _, dir := range c.dirs {
		if err := os.Remove(filepath.Join(dir, still)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, removeIfEmpty(dir))
	}
	return errors.Join(errs...)
}

// removeIfEmpty removes a Host's directory, and the one above when no other
// Host uses it.
func removeIfEmpty(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(dir)) // in use by another Host
	return nil
}

// group1 is a group in each hierarchy of version 1.
type group1 struct {
	dirs map[string]string // by controller; a controller that is missing has none
	all  []string          // the same, each once
	peak counter
	used counter // of the processor
}

func (g *group1) limit(s Spec) error {
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

func (g *group1) setBackground(on bool) error {
	dir := g.dirs["cpu"]
	if dir == "" {
		return nil
	}
	return setIdle(dir, on, func() error {
		const usual, little = 1024, 16
		if on {
			return putInt(dir, "cpu.shares", little)
		}
		return putInt(dir, "cpu.shares", usual)
	})
}

// setMemory sets the limit and, where swap is accounted, the same one for
// both together: no swap. The kernel wants the second never below the first.
func (g *group1) setMemory(bytes int64) error {
	dir := g.dirs["memory"]
	if dir == "" {
		return nil
	}
	swap := func() error {
		err := putInt(dir, "memory.memsw.limit_in_bytes", bytes)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	err := putInt(dir, "memory.limit_in_bytes", bytes)
	if errors.Is(err, syscall.EINVAL) { // above the other one, as it is
		if err = swap(); err == nil {
			err = putInt(dir, "memory.limit_in_bytes", bytes)
		}
	}
	return errors.Join(err, swap(), g.setSocketMemory(bytes/4))
}

// setSocketMemory limits the buffers of sockets, which have a count of their
// own, and without a limit none: they would be the machine's memory, and what
// all of its sockets may have together.
func (g *group1) setSocketMemory(bytes int64) error {
	err := putInt(g.dirs["memory"], "memory.kmem.tcp.limit_in_bytes", bytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (g *group1) setPids(n int) error {
	dir := g.dirs["pids"]
	if dir == "" {
		return nil
	}
	const spawner = 1
	return putInt(dir, "pids.max", int64(n+spawner))
}

func (g *group1) setCPU(cores float64) error {
	dir := g.dirs["cpu"]
	if dir == "" {
		return nil
	}
	if cores == 0 {
		return putInt(dir, "cpu.cfs_quota_us", -1)
	}
	return putInt(dir, "cpu.cfs_quota_us", quota(cores))
}

func (g *group1) stats() (st Stats, err error) {
	if dir := g.dirs["memory"]; dir != "" {
		if st.PeakMemory, err = get(dir, "memory.max_usage_in_bytes"); err != nil {
			return st, err
		}
		kills, err := field(dir, "memory.oom_control", "oom_kill")
		if err != nil {
			return st, err
		}
		st.OOMKills = int(kills)
	}
	if dir := g.dirs["cpuacct"]; dir != "" {
		ns, err := get(dir, "cpuacct.usage")
		if err != nil {
			return st, err
		}
		st.CPU = time.Duration(ns)
	}
	return st, nil
}

func (g *group1) resetPeak() error {
	if dir := g.dirs["memory"]; dir != "" {
		return putInt(dir, "memory.max_usage_in_bytes", 0)
	}
	return nil
}

func (g *group1) tasks() (files []*os.File, err error) {
	for _, dir := range g.all {
		f, err := openControlFile(dir+"/tasks", os.O_WRONLY)
		if err != nil {
			for _, f := range files {
				f.Close() // nothing was written
			}
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (g *group1) dir() (*os.File, error) { return nil, nil }

func (g *group1) entry() ([]*os.File, error) { return g.tasks() }

func (g *group1) kill(ctx context.Context) error {
	if err := g.thaw(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var errs []error
	for _, dir := range g.all {
		errs = append(errs, killIn(ctx, dir))
	}
	return errors.Join(errs...)
}

func (g *group1) remove(ctx context.Context) error {
	g.peak.close()
	g.used.close()
	var errs []error
	for _, dir := range g.all {
		errs = append(errs, removeDir(ctx, dir))
	}
	return errors.Join(errs...)
}
