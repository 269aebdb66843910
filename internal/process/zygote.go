package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// A zygote forks stems of a Python interpreter: a process of our own with the
// interpreter and the bootstrap loaded, in which no function's code ever runs.
// To fork takes a tenth of the time of a start, and a fifth of the memory.
//
// What is forked from one process shares what was drawn by lot when that
// began: the seed of hashes, the places of things in memory. So the process
// is replaced after a while, and after a number of forks.
type zygote struct {
	launcher *Launcher
	runtime  Runtime
	there    atomic.Bool // box is

	mu     sync.Mutex // one fork at a time
	box    *sandbox.Sandbox
	proc   *sandbox.Trusted // nil before the first
	conn   *net.UnixConn
	forks  int
	until  time.Time // of the process
	paused time.Time // until when nothing is forked, after a failure
	closed bool
}

const (
	zygoteForks = 512
	zygoteLife  = 10 * time.Minute
	zygotePause = time.Minute // after a failure

	zygoteKind = "zygote" // the value of stemVariable

	// maxTold is the most that a child says of itself.
	maxTold = 1 << 10
)

var errZygotePaused = errors.New("the zygote failed just now")

// forkable reports whether stems of rt can be forked.
func forkable(rt Runtime) bool {
	family, _ := splitRuntime(rt.Name)
	return family == familyPython
}

// fork returns a stem in box, which is ready and has rehearsed.
func (z *zygote) fork(ctx context.Context, box *sandbox.Sandbox, still stillFunc) (*stem, error) {
	st, err := z.forkInto(ctx, box)
	if err != nil {
		return nil, err
	}
	if err := st.boot(ctx, z.runtime, still); err != nil {
		return nil, errors.Join(fmt.Errorf("boot %s: %w", z.runtime.Name, err), st.close(box))
	}
	return st, nil
}

// forkNow returns a stem that has not rehearsed, for somebody who waits: nil
// when there is no process to fork, which is begun meanwhile for the next one.
func (z *zygote) forkNow(ctx context.Context, box *sandbox.Sandbox) (*stem, error) {
	if !z.mu.TryLock() {
		return nil, nil // one is begun, or gone
	}
	current := z.current(time.Now())
	z.mu.Unlock()
	if !current {
		z.launcher.work.Go(func() { z.refresh() })
		return nil, nil
	}
	st, err := z.forkInto(ctx, box)
	if err != nil {
		return nil, err
	}
	st.output.started()
	st.frames.started()
	return st, nil
}

// refresh has a process to fork.
func (z *zygote) refresh() {
	z.mu.Lock()
	defer z.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), bootedTime)
	defer cancel()
	if err := z.ready(ctx); err != nil && !errors.Is(err, errZygotePaused) && !errors.Is(err, lifecycle.ErrClosed) {
		z.launcher.cfg.Log.Warn("runtimes are started, and not forked", "runtime", z.runtime.Name, "error", err)
	}
}

// current reports whether there is a process that can be asked. mu is held.
func (z *zygote) current(now time.Time) bool {
	return z.proc != nil && z.forks < zygoteForks && now.Before(z.until) && !isClosed(z.proc.Done())
}

// forkInto forks a stem into box.
func (z *zygote) forkInto(ctx context.Context, box *sandbox.Sandbox) (_ *stem, err error) {
	st, theirs, err := newStem(z.runtime)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("fork %s: %w", z.runtime.Name, err), st.close(box))
		}
	}()
	pid, err := z.enter(ctx, box, st, theirs)
	if err = errors.Join(err, theirs.close()); err != nil {
		return nil, err
	}
	st.process, err = box.Adopt(pid)
	return st, err
}

// enter forks a child into box and returns its number inside.
func (z *zygote) enter(ctx context.Context, box *sandbox.Sandbox, st *stem, link files) (int, error) {
	entry, err := box.Entry()
	if err != nil {
		return 0, err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return 0, errors.Join(err, entry.Close())
	}
	defer told.Close() // only ever read
	err = z.ask(ctx, entry, append(files{tell, st.output.w, st.frames.w}, link...)...)
	if err = errors.Join(err, tell.Close(), entry.Close()); err != nil {
		return 0, err
	}
	if err := told.SetReadDeadline(time.Now().Add(bootedTime)); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { _ = told.SetReadDeadline(time.Unix(1, 0)) })() // it may be closed by then
	text, err := io.ReadAll(io.LimitReader(told, maxTold))
	if err != nil {
		return 0, errors.Join(ctx.Err(), err)
	}
	pid, err := strconv.Atoi(string(text))
	switch {
	case len(text) == 0:
		return 0, errors.New("the child or the zygote has ended")
	case err != nil:
		z.pause() // the next one would say the same
		return 0, fmt.Errorf("the child says %q", text)
	}
	return pid, nil
}

// ask sends a request, to a fresh process where the last one has had its time.
func (z *zygote) ask(ctx context.Context, e *sandbox.Entry, files ...*os.File) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if err := z.ready(ctx); err != nil {
		return err
	}
	z.forks++
	if err := e.Send(z.conn, files...); err != nil {
		return errors.Join(err, z.end())
	}
	return nil
}

// ready has a process to ask. mu is held.
func (z *zygote) ready(ctx context.Context) error {
	now := time.Now()
	switch {
	case z.closed:
		return lifecycle.ErrClosed
	case now.Before(z.paused):
		return errZygotePaused
	case z.current(now):
		return nil
	}
	if err := z.end(); err != nil {
		return err
	}
	if err := z.begin(ctx); err != nil {
		z.paused = time.Now().Add(zygotePause)
		return fmt.Errorf("start a zygote: %w", errors.Join(err, z.end()))
	}
	z.forks, z.until = 0, time.Now().Add(zygoteLife)
	return nil
}

// pause keeps a zygote from forking for a while.
func (z *zygote) pause() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.paused = time.Now().Add(zygotePause)
}

// begin starts a process. mu is held.
func (z *zygote) begin(ctx context.Context) (err error) {
	if z.box == nil {
		spec := z.launcher.preparedSpec()
		spec.UDP, spec.TCP, spec.Redirect, spec.Memory = nil, nil, 0, 0
		if z.box, err = z.launcher.cfg.Host.New(ctx, spec); err != nil {
			return err
		}
		z.there.Store(true)
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "zygote"), os.NewFile(uintptr(fds[1]), "zygote")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return err
	}
	z.conn = conn.(*net.UnixConn)
	home, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	defer home.Close()
	args := languageCommand(z.runtime)
	z.proc, err = z.box.StartTrusted(sandbox.Cmd{
		Path: args[0], Args: args, Dir: taskRoot, ExtraFiles: []*os.File{theirs, home},
		Env: append(stemEnviron(z.runtime), stemVariable+"="+zygoteKind, fmt.Sprintf("%s=%d", linkVariable, linkFD)),
	})
	if err != nil {
		return err
	}
	theirs.Close()
	if err := z.conn.SetReadDeadline(time.Now().Add(bootedTime)); err != nil {
		return err
	}
	if _, err := z.conn.Read(make([]byte, 16)); err != nil {
		return fmt.Errorf("it is not ready: %w", err)
	}
	return nil
}

// end ends the process, which leaves its children alone. mu is held.
func (z *zygote) end() error {
	var errs []error
	if z.conn != nil {
		errs = append(errs, z.conn.Close())
		z.conn = nil
	}
	if z.proc != nil {
		errs = append(errs, z.proc.Kill())
		z.proc = nil
	}
	return errors.Join(errs...)
}

// close ends the zygote for good.
func (z *zygote) close() error {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.closed = true
	err := z.end()
	if z.box != nil {
		err = errors.Join(err, z.box.Close())
		z.box = nil
		z.there.Store(false)
	}
	return err
}
