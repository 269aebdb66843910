package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A pid1 is a sandbox's first process as the server sees it. A goroutine that
// waits for its end takes no thread, as one in os.Process.Wait would: there
// are as many as there are sandboxes.
type pid1 struct {
	pid  int
	file *os.File // a pidfd
}

// timerSlack is that of pid 1, in nanoseconds: by so much its sleeps may be
// longer. The monitor of a Go program sleeps 20 µs at a time while the program
// works, and would take a seventh of pid 1's processor time.
const timerSlack = 1_000_000

// start runs a program as os.StartProcess does, with timerSlack.
func start(path string, args []string, attr *os.ProcAttr) (*pid1, error) {
	fd := -1
	attr.Sys.PidFD = &fd
	runtime.LockOSThread() // the slack is a thread's, and its children's
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) // a saving only
	p, err := os.StartProcess(path, args, attr)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // as the thread had it; cannot fail
	if err != nil {
		return nil, err
	}
	pid := p.Pid
	err = p.Release()
	if fd < 0 {
		err = errors.Join(err, errors.New("no pidfd"))
	} else if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("process %d: %w", pid, err), endNow(pid))
	}
	return &pid1{pid, os.NewFile(uintptr(fd), "pidfd")}, nil
}

// endNow ends a child that cannot be watched.
func endNow(pid int) error {
	err := unix.Kill(pid, unix.SIGKILL)
	var ws unix.WaitStatus
	for {
		if _, waitErr := unix.Wait4(pid, &ws, 0, nil); !errors.Is(waitErr, unix.EINTR) {
			return errors.Join(err, waitErr)
		}
	}
}

// withFD calls f with a file's descriptor, which stays open meanwhile.
func withFD(file *os.File, f func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if conn.Control(func(fd uintptr) { done = f(int(fd)) }) != nil {
		return os.ErrClosed // nothing else can be the matter
	}
	return done
}

// kill ends the process; it may have ended before.
func (p *pid1) kill() error {
	err := withFD(p.file, func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// handle returns another descriptor of the process, by which it is found as
// long as it is not reaped.
func (p *pid1) handle() (*os.File, error) {
	dup := -1
	err := withFD(p.file, func(fd int) (err error) {
		dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), "pidfd"), nil
}

// wait waits for the process's end and reaps it.
func (p *pid1) wait() {
	conn, err := p.file.SyscallConn()
	if err == nil {
		err = conn.Read(func(fd uintptr) bool {
			var info unix.Siginfo
			for {
				err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG, nil)
				if !errors.Is(err, unix.EINTR) {
					return err == nil && info.Signo != 0 || err != nil && !errors.Is(err, unix.EAGAIN)
				}
			}
		})
	}
	if err != nil { // the pidfd cannot be polled: a thread waits
		var ws syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(p.pid, &ws, 0, nil); !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
}

// close gives the process up. Nobody waits for it any more.
func (p *pid1) close() error { return p.file.Close() }
