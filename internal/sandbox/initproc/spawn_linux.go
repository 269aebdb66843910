package initproc

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Scores that make the kernel end processes inside before anything else of the
// machine, and before pid 1. A process may take back what was added to its
// score, but not beyond the floor.
const (
	OOMScore = "900"
	oomFloor = "800"
)

// oomFile is this process's oom_score_adj, which a new process inherits. It
// has to be opened while the machine's /proc is in sight. Raising it is an
// advantage and not a guarantee: its errors are let go.
type oomFile struct {
	fd   int
	base []byte // pid 1's own
}

func openOOM() *oomFile {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	buf := make([]byte, 8)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil
	}
	return &oomFile{fd, buf[:n]}
}

// floor gives pid 1 a score that neither it nor what it starts can go below
// any more, once this capability is dropped; without it there is no floor.
func (o *oomFile) floor() {
	if held, err := heldCaps(); o == nil || err != nil || held&(1<<unix.CAP_SYS_RESOURCE) == 0 {
		return
	}
	if _, err := unix.Pwrite(o.fd, []byte(oomFloor), 0); err == nil {
		o.base = []byte(oomFloor)
	}
}

func (o *oomFile) raise() {
	if o != nil {
		_, _ = unix.Pwrite(o.fd, []byte(OOMScore), 0) // then pid 1 is as likely a victim
	}
}

func (o *oomFile) lower() {
	if o != nil {
		_, _ = unix.Pwrite(o.fd, o.base, 0) // as in raise
	}
}

// spawner is the thread that every process inside is forked from. It is given
// up to the sandbox's rules step by step: once confined it can do no more than
// fork what is confined alike. It is not the process's first thread, whose
// cgroup is that of the process's memory.
type spawner struct {
	cfg *Config // since the set-up
	oom *oomFile
}

// enter moves the calling thread, and so all that it forks, into the sandbox's
// cgroups, which a cgroup namespace then makes the root of what is visible.
func enter(tasks []int) error {
	for _, fd := range tasks {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return failed("enter cgroup", err)
		}
	}
	err := unix.Unshare(unix.CLONE_NEWCGROUP)
	if errors.Is(err, unix.EINVAL) { // a kernel without cgroups has none to hide
		err = nil
	}
	return failed("cgroup namespace", err)
}

// confine makes the calling thread's restrictions final and returns what this
// kernel does not have.
func confine(rootless bool, filter []byte) (missing []string, err error) {
	if err := dropBounds(); err != nil {
		return nil, err
	}
	if rootless { // else the change of uid drops them
		if err := setCaps(0); err != nil {
			return nil, err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, failed("no_new_privs", err)
	}
	switch err := applyLandlock(); {
	case err == nil:
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		missing = append(missing, "landlock")
	default:
		return nil, failed("landlock", err)
	}
	return missing, failed("seccomp", applySeccomp(filter))
}

// spawn forks and executes a process and returns its pid. fds are those of
// the request, which the caller closes. The calling thread is the spawner's.
func (s *spawner) spawn(r *Request, fds []int) (int, error) {
	files, null, err := arrange(r.Std, fds)
	if err != nil {
		return 0, err
	}
	if null >= 0 {
		defer unix.Close(null)
	}
	attr := &syscall.ProcAttr{
		Dir:   r.Dir,
		Env:   r.Env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	if !s.cfg.Rootless {
		attr.Sys.Credential = &syscall.Credential{Uid: s.cfg.UID, Gid: s.cfg.GID}
	}
	s.oom.raise()
	defer s.oom.lower()
	pid, err := syscall.ForkExec(r.Path, r.Args, attr)
	return pid, failed("exec", err)
}

// arrange returns the descriptors of the new process: the three standard ones,
// /dev/null where not passed, then the rest. null, if not negative, is to be
// closed after use.
func arrange(std byte, fds []int) (files []uintptr, null int, err error) {
	null = -1
	for i := range 3 {
		if std&(1<<i) != 0 {
			if len(fds) == 0 {
				return nil, null, failed("descriptors of the process", unix.EBADMSG)
			}
			files, fds = append(files, uintptr(fds[0])), fds[1:]
			continue
		}
		if null < 0 {
			if null, err = unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
				return nil, -1, failed("open /dev/null", err)
			}
		}
		files = append(files, uintptr(null))
	}
	for _, fd := range fds {
		files = append(files, uintptr(fd))
	}
	return files, null, nil
}
