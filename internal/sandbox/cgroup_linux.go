package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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

	// missing names the controllers that this machine does not offer.
	missing() []string

	// home is a directory that is this Host's alone.
	home() string

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

	stats() (Stats, error)
	peakMemory() (int64, error)
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
// short bursts: 5 ms of work at 7 % take 49 ms with a period of 20 ms.
const cpuPeriod = 100_000 * time.Microsecond

// quota returns the microseconds per cpuPeriod that cores are; the kernel
// takes no less than a millisecond.
func quota(cores float64) int64 {
	return max(1000, int64(cores*float64(cpuPeriod.Microseconds())))
}

// openCgroups finds the hierarchy to use. Version 2 is used when it has every
// controller; nil means that there is none.
func openCgroups(name string) (cgroups, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v1, v2, err := parseCgroupMounts(f)
	if err != nil {
		return nil, err
	}
	if v2 != "" {
		has, err := os.ReadFile(v2 + "/cgroup.controllers")
		if err != nil {
			return nil, err
		}
		if subset(controllers, strings.Fields(string(has))) {
			return openCgroups2(v2, name)
		}
	}
	if len(v1) > 0 {
		return openCgroups1(v1, name)
	}
	if v2 != "" {
		return openCgroups2(v2, name)
	}
	return nil, errors.New("no cgroups are mounted")
}

func subset(want, have []string) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// parseCgroupMounts reads mountinfo (proc_pid_mountinfo(5)) and returns where
// each controller of version 1 is mounted, and where version 2 is.
func parseCgroupMounts(r io.Reader) (v1 map[string]string, v2 string, err error) {
	v1 = map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		mount, fstype, ok := strings.Cut(lines.Text(), " - ")
		where, what := strings.Fields(mount), strings.Fields(fstype)
		if !ok || len(where) < 5 || len(what) < 3 {
			continue
		}
		switch what[0] {
		case "cgroup2":
			if v2 == "" {
				v2 = where[4]
			}
		case "cgroup":
			for _, c := range strings.Split(what[2], ",") {
				if _, dup := v1[c]; !dup {
					v1[c] = where[4]
				}
			}
		}
	}
	return v1, v2, lines.Err()
}

// put writes a control file.
func put(dir, name, value string) error {
	f, err := os.OpenFile(dir+"/"+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cgroup %s: %w", name, err)
	}
	return nil
}

func putInt(dir, name string, value int64) error {
	return put(dir, name, strconv.FormatInt(value, 10))
}

// get reads a control file of one number.
func get(dir, name string) (int64, error) {
	b, err := os.ReadFile(dir + "/" + name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// field reads one number of a control file with a key on each line.
func field(dir, name, key string) (int64, error) {
	b, err := os.ReadFile(dir + "/" + name)
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
	b, err := os.ReadFile(dir + "/cgroup.procs")
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
