package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// A Process is one that Start started, or that Adopt took.
type Process struct {
	sandbox *Sandbox
	pid     int // inside
	done    chan struct{}
	status  ExitStatus // before done is closed
}

// Start runs cmd as the sandbox's unprivileged user. The caller keeps its
// descriptors and closes them. A path that is missing or not executable is an
// error here (errors.Is fs.ErrNotExist, fs.ErrPermission, or syscall.ENOEXEC).
// A frozen sandbox starts nothing.
func (s *Sandbox) Start(cmd Cmd) (*Process, error) {
	if err := cmd.check(); err != nil {
		return nil, err
	}
	r := initproc.Request{Kind: initproc.Start, Path: cmd.Path, Dir: cmd.Dir, Args: cmd.Args, Env: cmd.Env}
	if r.Dir == "" {
		r.Dir = "/"
	}
	var files []*os.File
	for i, f := range []*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if f != nil {
			r.Std |= 1 << i
			files = append(files, f)
		}
	}
	s.state.Lock() // a thread that freezes while it forks would leave the answer out
	defer s.state.Unlock()
	if s.frozen {
		return nil, errors.New("the sandbox is frozen")
	}
	a, err := s.ask(r, append(files, cmd.ExtraFiles...)...)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return a.process, nil
}

func (c Cmd) check() error {
	if !filepath.IsAbs(c.Path) || c.Dir != "" && !filepath.IsAbs(c.Dir) || len(c.Args) == 0 {
		return fmt.Errorf("start %q in %q: not absolute, or without arguments: %w", c.Path, c.Dir, syscall.EINVAL)
	}
	for _, l := range [][]string{c.Args, c.Env, {c.Path, c.Dir}} {
		if len(l) > initproc.MaxStrings {
			return fmt.Errorf("start %q: %w", c.Path, syscall.E2BIG)
		}
		for _, v := range l {
			if strings.ContainsRune(v, 0) {
				return fmt.Errorf("start %q: a zero byte in its arguments or environment: %w", c.Path, syscall.EINVAL)
			}
		}
	}
	return nil
}

// processStarted notes a process before any message about its end is read.
func (s *Sandbox) processStarted(e initproc.Event) *Process {
	p := &Process{sandbox: s, pid: int(e.PID), done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes[p.pid] = p
	return p
}

// processExited notes a process's end.
func (s *Sandbox) processExited(e initproc.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.processes[int(e.PID)]; p != nil {
		delete(s.processes, p.pid)
		p.end(ExitStatus{Code: int(e.Code), Signal: syscall.Signal(e.Signal)})
	}
}

func (p *Process) end(st ExitStatus) {
	p.status = st
	close(p.done)
}

// Done is closed when the process has ended and Status is known.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status returns how the process ended; valid once Done is closed.
func (p *Process) Status() ExitStatus {
	select {
	case <-p.done:
		return p.status
	default:
		return ExitStatus{}
	}
}

// Signal sends sig to the process. The error is os.ErrProcessDone when it has
// ended.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	_, err := p.sandbox.ask(initproc.Request{Kind: initproc.Signal, PID: int32(p.pid), Signal: int32(sig)})
	if errors.Is(err, syscall.ESRCH) || errors.Is(err, errEnded) {
		return os.ErrProcessDone
	}
	return err
}
