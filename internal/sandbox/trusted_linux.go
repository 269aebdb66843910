package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Trusted is a process of the platform's own that runs among a sandbox's
// files and in its network, with the server's privileges and outside of the
// sandbox's limits: it is for forking processes into sandboxes, see Entry.
// Nothing of a function may ever run in it, nor in its sandbox.
type Trusted struct {
	process *os.Process
	done    chan struct{}
}

// StartTrusted runs cmd as the server's own user in s's mounts, network, IPC
// and UTS namespaces, in the server's own pid namespace and cgroups, and in a
// session of its own. It does not end with s: Kill it first.
func (s *Sandbox) StartTrusted(cmd Cmd) (*Trusted, error) {
	if s.host.rootless {
		return nil, fmt.Errorf("start %s: run as an ordinary user: %w", cmd.Path, syscall.EPERM)
	}
	if err := cmd.check(); err != nil {
		return nil, err
	}
	type result struct {
		process *os.Process
		err     error
	}
	var r result
	onOwnThread(func() { r.process, r.err = s.startTrusted(cmd) })
	if r.err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, r.err)
	}
	t := &Trusted{r.process, make(chan struct{})}
	go func() { // ends with the process
		defer close(t.done)
		_, _ = t.process.Wait() // how it ended tells nothing
	}()
	return t, nil
}

// onOwnThread runs f on a thread that is lost to everything else, and has
// ended, or is about to, when onOwnThread returns.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: so the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// A program's first thread never ends. While it is held here the next
		// goroutine gets another one.
		onOwnThread(f)
		runtime.UnlockOSThread()
	}()
	<-done
}

// startTrusted moves the calling thread into s and starts cmd from there.
func (s *Sandbox) startTrusted(cmd Cmd) (*os.Process, error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads share their root directory
		return nil, fmt.Errorf("leave the other threads: %w", err)
	}
	err := withFD(s.pid1.file, func(fd int) error { return unix.Setns(fd, Namespaces) })
	if err != nil {
		return nil, fmt.Errorf("enter namespaces: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, null, null}
	for i, f := range []*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f != nil {
			files[i] = f
		}
	}
	return os.StartProcess(cmd.Path, cmd.Args, &os.ProcAttr{
		Dir: cmd.Dir, Env: cmd.Env, Files: append(files, cmd.ExtraFiles...), Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// PID is the process's number, by the server's own count.
func (t *Trusted) PID() int { return t.process.Pid }

// Done is closed when the process has ended.
func (t *Trusted) Done() <-chan struct{} { return t.done }

// Kill ends the process and returns once it has ended.
func (t *Trusted) Kill() error {
	err := t.process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if err == nil {
		<-t.done
	}
	return err
}
