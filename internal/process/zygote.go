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
// is replaced after a while, and after a number of forks; its successor is
// begun before that, so that nobody waits for it.
type zygote struct {
	launcher *Launcher
	runtime  Runtime
	there    atomic.Bool  // box is
	changing atomic.Int32 // processes that are begun or given up

	ctx    context.Context // ends when close is called
	cancel context.CancelFunc
	making sync.Mutex // held by who begins a process
	box    *sandbox.Sandbox
	work   sync.WaitGroup // on processes that are begun ahead or given up

	mu     sync.Mutex     // held for moments
	latest *zygoteProcess // nil before the first
	paused time.Time      // until when nothing is forked, after a failure
	closed bool
}

const (
	zygoteForks = 512
	zygoteAhead = zygoteForks / 4 // so many forks before the last one the successor is begun
	zygoteLife  = 10 * time.Minute
	zygotePause = time.Minute // after a failure

	zygoteKind = "zygote" // the value of stemVariable

	// maxTold is the most that a child says of itself.
	maxTold = 1 << 10
)

var errZygotePaused = errors.New("the zygote failed just now")

func newZygote(l *Launcher, rt Runtime) *zygote {
	z := &zygote{launcher: l, runtime: rt}
	z.ctx, z.cancel = context.WithCancel(context.Background())
	return z
}

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
	if z.current() == nil {
		z.refresh()
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

// refresh begins a process, unless one is being begun, and does not wait for
// it.
func (z *zygote) refresh() {
	if !z.making.TryLock() {
		return
	}
	z.work.Go(func() {
		defer z.making.Unlock()
		ctx, cancel := context.WithTimeout(z.ctx, bootedTime)
		defer cancel()
		if err := z.replace(ctx); err != nil && !errors.Is(err, errZygotePaused) && z.ctx.Err() == nil {
			z.launcher.cfg.Log.Warn("runtimes are started, and not forked", "runtime", z.runtime.Name, "error", err)
		}
	})
}

// current returns the process that can be asked, nil when there is none, or
// nothing is forked for a while.
func (z *zygote) current() *zygoteProcess {
	z.mu.Lock()
	defer z.mu.Unlock()
	now := time.Now()
	if now.Before(z.paused) || z.latest == nil || z.latest.left(now) <= 0 {
		return nil
	}
	return z.latest
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
	for {
		p, err := z.ready(ctx)
		if err != nil {
			return err
		}
		err = p.ask(e, files...)
		if errors.Is(err, errHungUp) {
			continue // it was replaced just now
		}
		if err != nil {
			return errors.Join(err, p.end())
		}
		if p.left(time.Now()) <= zygoteAhead {
			z.refresh()
		}
		return nil
	}
}

// ready returns the process to ask.
func (z *zygote) ready(ctx context.Context) (*zygoteProcess, error) {
	if p := z.current(); p != nil {
		return p, nil
	}
	z.making.Lock()
	defer z.making.Unlock()
	if p := z.current(); p != nil {
		return p, nil // of somebody who came first
	}
	if err := z.replace(ctx); err != nil {
		return nil, err
	}
	if p := z.current(); p != nil {
		return p, nil
	}
	return nil, errors.New("the zygote has ended")
}

// pause keeps a zygote from forking for a while.
func (z *zygote) pause() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.paused = time.Now().Add(zygotePause)
}

// replace begins a process and gives up the one before. making is held.
func (z *zygote) replace(ctx context.Context) error {
	z.mu.Lock()
	paused, closed := time.Now().Before(z.paused), z.closed
	z.mu.Unlock()
	switch {
	case closed:
		return lifecycle.ErrClosed
	case paused:
		return errZygotePaused
	}
	z.changing.Add(1)
	defer z.changing.Add(-1)
	p, err := z.begin(ctx)
	if err != nil {
		if ctx.Err() == nil {
			z.pause()
		}
		return fmt.Errorf("start a zygote: %w", err)
	}
	z.mu.Lock()
	before := z.latest
	z.latest = p
	z.mu.Unlock()
	if before != nil {
		z.changing.Add(1)
		z.work.Go(func() {
			defer z.changing.Add(-1)
			if err := before.retire(z.ctx); err != nil {
				z.launcher.cfg.Log.Warn("a zygote does not end", "runtime", z.runtime.Name, "error", err)
			}
		})
	}
	return nil
}

// close ends the zygote for good.
func (z *zygote) close() error {
	z.cancel()
	z.mu.Lock()
	z.closed = true
	z.mu.Unlock()
	z.making.Lock() // nothing is begun from now on
	defer z.making.Unlock()
	var err error
	if z.latest != nil {
		err = z.latest.end()
	}
	z.work.Wait()
	if z.box != nil {
		err = errors.Join(err, z.box.Close())
		z.box = nil
		z.there.Store(false)
	}
	return err
}

// begin starts a process, in the sandbox that all have. making is held.
func (z *zygote) begin(ctx context.Context) (_ *zygoteProcess, err error) {
	if z.box == nil {
		spec := z.launcher.preparedSpec()
		spec.UDP, spec.TCP, spec.Redirect, spec.Memory = nil, nil, 0, 0
		if z.box, err = z.launcher.cfg.Host.New(ctx, spec); err != nil {
			return nil, err
		}
		z.there.Store(true)
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "zygote"), os.NewFile(uintptr(fds[1]), "zygote")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	p := &zygoteProcess{conn: conn.(*net.UnixConn), until: time.Now().Add(zygoteLife)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.end())
		}
	}()
	home, err := os.Open("/proc/self/ns/pid")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	args := languageCommand(z.runtime)
	p.proc, err = z.box.StartTrusted(sandbox.Cmd{
		Path: args[0], Args: args, Dir: taskRoot, ExtraFiles: []*os.File{theirs, home},
		Env: append(stemEnviron(z.runtime), stemVariable+"="+zygoteKind, fmt.Sprintf("%s=%d", linkVariable, linkFD)),
	})
	if err != nil {
		return nil, err
	}
	theirs.Close()
	if err := p.conn.SetReadDeadline(time.Now().Add(bootedTime)); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = p.conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := p.conn.Read(make([]byte, 16)); err != nil {
		return nil, fmt.Errorf("it is not ready: %w", err)
	}
	return p, nil
}
