package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// An Entry is what a process outside takes to become one of the sandbox's. It
// is for the platform's own processes alone, run by root, that fork what shall
// go in: nothing of a function has ever run in them. The child of such a
// process does, in this order:
//
//  1. Its parent has called setns(PID1, CLONE_NEWPID) before the fork.
//  2. Write "0" to each of Groups, then unshare(CLONE_NEWCGROUP).
//  3. setns(PID1, Namespaces); setsid.
//  4. Write OOMScore to /proc/self/oom_score_adj; set Limits; umask 022.
//  5. Close every descriptor that it is not to have.
//  6. Empty the capability bounding set and the ambient set.
//  7. setgroups of none, setresgid and setresuid to UID: the rest goes with it.
//  8. PR_SET_NO_NEW_PRIVS; landlock_restrict_self(Rules); PR_SET_DUMPABLE 1,
//     which the change of uid took; seccomp with Filter.
//
// Then it is what Start would have made of it. The files are the Entry's own
// until Close.
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
		UID: s.uid, Filter: s.host.filter, Limits: initproc.Limits(false), OOMScore: initproc.OOMScore,
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

// Adopt takes a process that entered as one of the sandbox's. pidfd, which is
// the sandbox's from then on, is the process's. Whoever waits for it, its
// parent, says by exited how it ended; the end of the sandbox ends it as well.
func (s *Sandbox) Adopt(pidfd *os.File) (p *Process, exited func(ExitStatus)) {
	p = &Process{sandbox: s, pidfd: pidfd, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered--
	p.pid = s.entered
	if s.over {
		p.end(ExitStatus{Signal: syscall.SIGKILL})
		return p, func(ExitStatus) {}
	}
	s.processes[p.pid] = p
	return p, func(st ExitStatus) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.processes[p.pid] == p {
			delete(s.processes, p.pid)
			p.end(st)
		}
	}
}

// signalEntered is Signal for a process that entered.
func (p *Process) signalEntered(sig syscall.Signal) error {
	err := withFD(p.pidfd, func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrClosed) {
		return os.ErrProcessDone
	}
	return err
}
