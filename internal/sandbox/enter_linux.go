package sandbox

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// An Entry is what a process outside takes to become one of the sandbox's. It
// is for the platform's own processes alone, run by root, that fork what shall
// go in: nothing of a function has ever run in them. A descendant of
// such a process does, in this order:
//
//  1. Its ancestor has called setns(PID1, CLONE_NEWPID) before it forked one
//     that forks this one, and ends.
//  2. Write "0" to each of Groups, then unshare(CLONE_NEWCGROUP).
//  3. setns(PID1, Namespaces).
//  4. Write OOMScore to /proc/self/oom_score_adj; set Limits; umask 022.
//  5. Close every descriptor that it is not to have.
//  6. Empty the capability bounding set and the ambient set.
//  7. setgroups of none, setresgid and setresuid to UID: the rest goes with it.
//  8. PR_SET_NO_NEW_PRIVS; landlock_restrict_self(Rules); PR_SET_DUMPABLE 1,
//     which the change of uid took; seccomp with Filter.
//
// It leads a session, and its parent has ended: pid 1 is its parent then, as it
// is of what Start starts, and Adopt tells it so. The files are the Entry's own until Close.
type Entry struct {
	PID1   *os.File   // a pidfd
	Groups []*os.File // control groups, to be written to
	Rules  *os.File   // a Landlock ruleset; nil where the kernel has none

	UID      int // gid as well
	Filter   []byte
	Limits   []initproc.Limit
	OOMScore string
}

// Namespaces are those that an Entry's PID1 is entered by, but for the first
// step's.
const Namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// Entry returns a new Entry. An ordinary user has none.
func (s *Sandbox) Entry() (_ *Entry, err error) {
	if s.host.rootless {
		return nil, fmt.Errorf("enter: run as an ordinary user: %w", syscall.EPERM)
	}
	e := &Entry{
		UID: s.uid, Filter: s.host.filter, Limits: initproc.Limits(false, 0), OOMScore: initproc.OOMScore,
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("enter: %w", err), e.Close())
		}
	}()
	if e.PID1, err = s.pid1.handle(); err != nil {
		return nil, err
	}
	if s.group != nil {
		if e.Groups, err = s.group.entry(); err != nil {
			return nil, err
		}
	}
	a, err := s.ask(initproc.Request{Kind: initproc.Rules})
	switch {
	case err == nil:
		e.Rules = a.file
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP):
	default:
		return nil, err
	}
	return e, nil
}

// Send writes a packet that asks for a child to enter: e in JSON, with PID1,
// the given files, Rules unless there are none, and Groups, in this order.
func (e *Entry) Send(conn *net.UnixConn, files ...*os.File) error {
	body, err := json.Marshal(map[string]any{
		"uid": e.UID, "filter": hex.EncodeToString(e.Filter), "limits": e.Limits, "oomScore": e.OOMScore,
		"namespaces": Namespaces, "rules": e.Rules != nil,
	})
	if err != nil {
		return err
	}
	files = append([]*os.File{e.PID1}, files...)
	if e.Rules != nil {
		files = append(files, e.Rules)
	}
	files = append(files, e.Groups...)
	var fds []int
	for _, f := range files { // all of them stay open meanwhile: they are the caller's
		if err := withFD(f, func(fd int) error { fds = append(fds, fd); return nil }); err != nil {
			return err
		}
	}
	_, _, err = conn.WriteMsgUnix(body, unix.UnixRights(fds...), nil)
	runtime.KeepAlive(files)
	return err
}

// Close closes the files.
func (e *Entry) Close() error {
	var errs []error
	for _, f := range append([]*os.File{e.PID1, e.Rules}, e.Groups...) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Adopt takes a process that entered as one that Start started. It is an
// orphan by now: the child of the process that forked into the sandbox has
// forked again and ended. pid is its number inside.
func (s *Sandbox) Adopt(pid int) (*Process, error) {
	a, err := s.ask(initproc.Request{Kind: initproc.Adopt, PID: int32(pid)})
	if err != nil {
		return nil, fmt.Errorf("adopt process %d: %w", pid, err)
	}
	return a.process, nil
}
