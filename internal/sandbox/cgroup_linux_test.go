package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseCgroupMounts(t *testing.T) {
	for _, c := range []struct {
		name, mountinfo string
		v1              map[string]string
		v2              mount2
	}{
		{
			"version 2",
			"25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw\n" +
				"35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			map[string]string{}, mount2{"/sys/fs/cgroup", "/"},
		},
		{
			"hybrid",
			"35 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
				"36 25 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" +
				"37 25 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"38 25 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
				"39 25 0:33 / /elsewhere rw - cgroup cgroup rw,memory\n",
			map[string]string{
				"rw": "/sys/fs/cgroup/systemd", "xattr": "/sys/fs/cgroup/systemd", "name=systemd": "/sys/fs/cgroup/systemd",
				"cpu": "/sys/fs/cgroup/cpu,cpuacct", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory",
			}, mount2{"/sys/fs/cgroup/unified", "/"},
		},
		{"nothing", "garbage\n\n1 2 - cgroup\n", map[string]string{}, mount2{}},
	} {
		v1, v2 := parseCgroupMounts(c.mountinfo)
		if v2 != c.v2 || !cmp.Equal(v1, c.v1) {
			t.Errorf("%s: %+v %s", c.name, v2, cmp.Diff(v1, c.v1))
		}
	}
}

func TestQuota(t *testing.T) {
	for cores, want := range map[float64]int64{0.001: 1000, 0.5: 50_000, 1: 100_000, 5.8: 580_000} {
		if got := quota(cores); got != want {
			t.Errorf("%g cores: got %d, want %d", cores, got, want)
		}
	}
}

// tree is a directory that stands for a control group: writes and reads go to
// ordinary files.
type tree string

func newTree(t *testing.T, dir string, files map[string]string) tree {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree(dir)
}

// holds compares control files.
func (d tree) holds(t *testing.T, want map[string]string) {
	t.Helper()
	for name, w := range want {
		b, err := os.ReadFile(filepath.Join(string(d), name))
		if err != nil || strings.TrimSpace(string(b)) != w {
			t.Errorf("%s: got %q, %v; want %q", name, b, err, w)
		}
	}
}

func TestGroup1(t *testing.T) {
	root := t.TempDir()
	mounts := map[string]string{
		"memory": root + "/memory", "cpu": root + "/cpu,cpuacct", "cpuacct": root + "/cpu,cpuacct",
		"pids": root + "/pids",
	}
	c, err := openCgroups1(mounts, "me")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.missing(); !cmp.Equal(got, []string{"freezer"}) {
		t.Errorf("missing: %v", got)
	}
	made, err := c.create("one")
	if err != nil {
		t.Fatal(err)
	}
	g := made.(*group1)
	memory := newTree(t, root+"/memory/millicent/me/one", map[string]string{
		"memory.limit_in_bytes": "", "memory.memsw.limit_in_bytes": "", "memory.max_usage_in_bytes": "4096\n",
		"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "tasks": "",
	})
	cpu := newTree(t, root+"/cpu,cpuacct/millicent/me/one", map[string]string{
		"cpu.cfs_quota_us": "", "cpuacct.usage": "1500000\n", "tasks": "",
	})
	pids := newTree(t, root+"/pids/millicent/me/one", map[string]string{"pids.max": "", "tasks": ""})

	if err := g.limit(Spec{Memory: 1 << 27, CPU: 0.25, Pids: 10}); err != nil {
		t.Fatal(err)
	}
	memory.holds(t, map[string]string{"memory.limit_in_bytes": "134217728", "memory.memsw.limit_in_bytes": "134217728"})
	cpu.holds(t, map[string]string{"cpu.cfs_quota_us": "25000"})
	pids.holds(t, map[string]string{"pids.max": "11"}) // with the spawner
	if err := g.setCPU(0); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(string(cpu) + "/cpu.cfs_quota_us"); !strings.HasPrefix(string(b), "-1") {
		t.Errorf("quota lifted: %q", b)
	}
	st, err := g.stats()
	if want := (Stats{PeakMemory: 4096, CPU: 1500 * time.Microsecond, OOMKills: 3}); err != nil || st != want {
		t.Errorf("stats %+v, %v", st, err)
	}
	for range 2 {
		if n, err := g.peakMemory(); n != 4096 || err != nil {
			t.Errorf("peak %d, %v", n, err)
		}
	}
	files, err := g.tasks()
	if err != nil || len(files) != 3 { // cpu and cpuacct are one
		t.Errorf("%d files of tasks, %v", len(files), err)
	}
	for _, f := range files {
		f.Close()
	}
	if err := g.freeze(t.Context()); err == nil {
		t.Error("frozen without a freezer")
	}
	left, err := c.leftovers()
	if err != nil || len(left) != 1 || !cmp.Equal(left[0].(*group1).all, g.all) {
		t.Errorf("leftovers: %v, %v", left, err)
	}
}

func TestGroup2(t *testing.T) {
	root := t.TempDir()
	dir := newTree(t, root+"/millicent/me/one", map[string]string{
		"memory.current": "1000\n", "memory.max": "", "memory.swap.max": "", "memory.oom.group": "", "pids.max": "",
		"cpu.max": "", "cpu.stat": "usage_usec 1500\nuser_usec 1000\n", "memory.peak": "5000\n",
		"memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\n", "cgroup.freeze": "",
		"cgroup.events": "populated 1\nfrozen 1\n",
	})
	g := &group2{path: string(dir)}
	if err := g.limit(Spec{Memory: 1 << 27, CPU: 0.25, Pids: 10}); err != nil {
		t.Fatal(err)
	}
	dir.holds(t, map[string]string{
		"memory.max": "134218728", "memory.swap.max": "0", "memory.oom.group": "0", "pids.max": "26",
		"cpu.max": "25000 100000",
	})
	st, err := g.stats()
	if want := (Stats{PeakMemory: 4000, CPU: 1500 * time.Microsecond, OOMKills: 2}); err != nil || st != want {
		t.Errorf("stats %+v, %v", st, err)
	}
	if n, err := g.peakMemory(); n != 4000 || err != nil {
		t.Errorf("peak %d, %v", n, err)
	}
	if err := g.resetPeak(); err != nil {
		t.Fatal(err)
	}
	if n, err := g.peakMemory(); n != 0 || err != nil {
		t.Errorf("peak after its reset: %d, %v", n, err)
	}
	if b, _ := os.ReadFile(string(dir) + "/memory.peak"); !strings.HasPrefix(string(b), "0") {
		t.Errorf("peak: %q", b)
	}
	if err := g.freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir.holds(t, map[string]string{"cgroup.freeze": "1"})
	if err := g.setCPU(0); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(string(dir) + "/cpu.max"); !strings.HasPrefix(string(b), "max 100000") {
		t.Errorf("quota lifted: %q", b)
	}
	g.peak.Close()

	// A kernel of before memory.peak, and a group without controllers.
	old := &group2{path: string(newTree(t, root+"/old", map[string]string{
		"cpu.stat": "usage_usec 1\n", "memory.current": "77\n", "memory.events": "oom_kill 0\n",
	}))}
	if n, err := old.peakMemory(); n != 77 || err != nil {
		t.Errorf("peak before memory.peak: %d, %v", n, err)
	}
	if st, err := old.stats(); err != nil || st.PeakMemory != 77 {
		t.Errorf("before memory.peak: %+v, %v", st, err)
	}
	bare := &group2{path: string(newTree(t, root+"/bare", map[string]string{"cpu.stat": "usage_usec 1\n"}))}
	if err := bare.limit(Spec{Memory: 1, CPU: 1}); err != nil {
		t.Errorf("limit without controllers: %v", err)
	}
	if st, err := bare.stats(); err != nil || st.PeakMemory != 0 {
		t.Errorf("stats without controllers: %+v, %v", st, err)
	}
}

// version2 returns where version 2 is mounted.
func version2(t *testing.T) mount2 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, mount := parseCgroupMounts(string(b))
	if mount.dir == "" {
		t.Skip("no cgroups of version 2 are mounted")
	}
	return mount
}

// TestVersion2 runs sandboxes in the machine's own hierarchy of version 2,
// which need not have any controller for what a group does without them.
func TestVersion2(t *testing.T) {
	requireRoot(t)
	mount := version2(t)
	h := openHost(t)
	if err := h.groups.remove(); err != nil {
		t.Fatal(err)
	}
	groups, err := openCgroups2(mount, "", h.cfg.Name)
	if err != nil {
		t.Fatal(err)
	}
	h.groups = groups
	s := newSandbox(t, h, Spec{Memory: 64 * mib, CPU: 1, Mounts: []Mount{probeMount(t)}})
	var got self
	probe(t, s, &got, "self")
	if strings.Contains(got.Cgroup, "millicent") {
		t.Errorf("the cgroup's path is seen: %s", got.Cgroup)
	}
	p, err := s.Start(Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 2 {
		t.Errorf("%d processes in the group, want pid 1 and one more", n)
	}
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // in which a running one would have used some
	if after, err := s.Stats(); err != nil || after.CPU != before.CPU || after.CPU == 0 {
		t.Errorf("frozen: %+v, then %+v, %v", before, after, err)
	}
	if err := s.KillAll(); err != nil { // thaws
		t.Fatal(err)
	}
	waitFor(t, p.Done(), "the end of what was frozen")
	if got := sh(t, s, "echo alive"); got.out != "alive\n" {
		t.Errorf("after it: %+v", got)
	}
	// Left behind, frozen, and swept.
	if err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.sweep(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s.Done(), "the end of what was swept")
}

func TestWeigh(t *testing.T) {
	above := newTree(t, filepath.Join(t.TempDir(), "millicent"), map[string]string{"cpu.weight": "100"})
	own := newTree(t, filepath.Join(string(above), "name"), map[string]string{"cpu.weight": "100"})
	weigh("cpu.weight", 1000, string(own))
	above.holds(t, map[string]string{"cpu.weight": "1000"})
	own.holds(t, map[string]string{"cpu.weight": "1000"})
	weigh("cpu.weight", 1000, filepath.Join(t.TempDir(), "absent")) // is let go
}
