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
	"syscall"
	"time"
)

// cgroups is where a Host's control groups are: millicent/<Name>/<id> in a
// hierarchy of version 2, or in several of version 1.
type cgroups interface {
	// create makes the group of a new sandbox.
	create(id string) (group, error)

	// leftovers returns the groups that exist.
	leftovers() ([]group, error)

	// limitations tells what these groups do not limit.
	limitations() []string

	// home is a directory that is this Host's alone.
	home() string

	// memory is the directory that limits the memory of all of these groups;
	// empty without the controller.
	memory() string

	// remove takes the Host's own directories away. They are empty.
	remove() error
}

// A group is a sandbox's control group.
type group interface {
	// limit sets the limits of a Spec; pid 1 is in its place by then.
	limit(s Spec) error
	setCPU(cores float64) error
	setBackground(on bool) error
	setMemory(bytes int64) error
	setPids(n int) error

	// freeze returns once all processes stand still.
	freeze(ctx context.Context) error
	thaw() error

	// thawer returns the file by which pid 1 is to thaw the group when the
	// server has ended; nil in version 2, where pid 1 stands still itself.
	thawer() (*os.File, error)

	// giveBack frees what it can of the memory in use and returns how much
	// that was.
	giveBack() (int64, error)

	stats() (Stats, error)
	peakMemory() (int64, error)
	cpu() (time.Duration, error)

	// resetPeak returns errNoReset where the kernel cannot.
	resetPeak() error

	// tasks returns the files by which pid 1's spawner enters the group, and
	// dir the directory into which pid 1 itself is cloned: version 1 has the
	// one, version 2 the other.
	tasks() ([]*os.File, error)
	dir() (*os.File, error)

	// entry returns the files that take a process in which writes "0".
	entry() ([]*os.File, error)

	// kill kills every process in the group until there is none.
	kill(ctx context.Context) error

	// remove takes the group away. Its processes have ended.
	remove(ctx context.Context) error
}

// controllers that a Host uses.
var controllers = []string{"memory", "cpu", "pids"}

// cpuPeriod is the time over which CPU quotas hold. A shorter one stretches
// short bursts: 5 ms of work at 7 % take 49 ms with a period of 20 ms. It is
// what every group begins with, and to write it is not free.
const cpuPeriod = 100_000 * time.Microsecond

// quota returns the microseconds per cpuPeriod that cores are; the kernel
// takes no less than a millisecond.
func quota(cores float64) int64 {
	return max(1000, int64(cores*float64(cpuPeriod.Microseconds())))
}

// errNoReset tells that a group's peak is of its whole life.
var errNoReset = fmt.Errorf("reset a cgroup's memory.peak, before Linux 6.12: %w", errors.ErrUnsupported)

// notEnforced says which limits a machine without these controllers lacks.
func notEnforced(controllers []string) (sentences []string) {
	for _, c := range controllers {
		lost := "its limit is not enforced"
		if c == "freezer" {
			lost = "idle processes are not frozen, and may use processor time"
		}
		sentences = append(sentences, fmt.Sprintf("no cgroup controller %q on this machine: %s", c, lost))
	}
	return sentences
}

// openCgroups finds the hierarchy to use: version 2 when it has every
// controller, else version 1, else what version 2 has.
func openCgroups(name string) (cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	v1, v2 := parseCgroupMounts(string(mounts))
	switch {
	case v2.offers(controllers):
	case len(v1) > 0:
		c, err := openCgroups1(v1, name)
		if err == nil || v2.dir == "" {
			return c, err
		}
	case v2.dir == "":
		return nil, errors.New("no cgroups are mounted")
	}
	return openCgroups2(v2, v2.own(string(self)), name)
}

// parseCgroupMounts reads mountinfo (proc_pid_mountinfo(5)) and returns where
// each controller of version 1 is mounted, and where version 2 is.
func parseCgroupMounts(mountinfo string) (v1 map[string]string, v2 mount2) {
	v1 = map[string]string{}
	for line := range strings.Lines(mountinfo) {
		mount, fstype, ok := strings.Cut(line, " - ")
		where, what := strings.Fields(mount), strings.Fields(fstype)
		if !ok || len(where) < 5 || len(what) < 3 {
			continue
		}
		switch what[0] {
		case "cgroup2":
			if v2.dir == "" {
				v2 = mount2{dir: where[4], root: where[3]}
			}
		case "cgroup":
			for _, c := range strings.Split(what[2], ",") {
				if _, dup := v1[c]; !dup {
					v1[c] = where[4]
				}
			}
		}
	}
	return v1, v2
}

// weight is how many times the CPU of one ordinary process all sandboxes of a
// Host together get when the machine has not enough for all. With the kernel's
// default, 1, an environment among a hundred gets next to nothing beside a
// single busy process, and times out.
const weight = 10

// weigh sets the weight of a Host's group, and of the one above, that is
// shared with other Hosts. It is no limit: where it fails, the default stays.
func weigh(file string, value int64, dir string) {
	for _, d := range []string{filepath.Dir(dir), dir} {
		_ = putInt(d, file, value) // see above
	}
}

// setIdle has a group's processes run when no others want to: such ones are
// preempted at once, and a processor that runs them counts as idle. Before
// Linux 5.15 there is no such thing, and weigh says what comes nearest.
func setIdle(dir string, on bool, weigh func() error) error {
	value := int64(0)
	if on {
		value = 1
	}
	err := putInt(dir, "cpu.idle", value)
	if errors.Is(err, fs.ErrNotExist) {
		return weigh()
	}
	return err
}

// put writes a control file.
func put(dir, name, value string) error {
	if err := writeControl(dir+"/"+name, value); err != nil {
		return fmt.Errorf("cgroup %s: %w", name, err)
	}
	return nil
}

func putInt(dir, name string, value int64) error {
	return put(dir, name, strconv.FormatInt(value, 10))
}

// get reads a control file of one number.
func get(dir, name string) (int64, error) {
	b, err := readControl(dir + "/" + name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// field reads one number of a control file with a key on each line.
func field(dir, name, key string) (int64, error) {
	b, err := readControl(dir + "/" + name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("cgroup %s has no %s", name, key)
}

// processes lists the processes of a group, by the server's own numbers.
func processes(dir string) ([]int, error) {
	b, err := readControl(dir + "/cgroup.procs")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, s := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			return nil, err
		}
		if pid > 0 { // zero: of another pid namespace
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// killIn kills the processes in a group until there is none.
func killIn(ctx context.Context, dir string) error {
	return poll(ctx, func() (bool, error) {
		pids, err := processes(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return false, err
			}
		}
		return len(pids) == 0, err
	})
}

// removeDir removes a group's directory; the kernel refuses for a moment
// after its last process has ended.
func removeDir(ctx context.Context, dir string) error {
	return poll(ctx, func() (bool, error) {
		err := syscall.Rmdir(dir)
		switch err {
		case nil, syscall.ENOENT:
			return true, nil
		case syscall.EBUSY, syscall.EINTR:
			return false, nil
		}
		return false, &os.PathError{Op: "rmdir", Path: dir, Err: err}
	})
}

// poll calls f, at growing intervals, until it is done or fails, or ctx ends.
func poll(ctx context.Context, f func() (bool, error)) error {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		done, err := f()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
