package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// A run is one life of a runtime in an environment: its process and what
// belongs to it alone. It ends as a whole.
type run struct {
	session *session
	api     *runtimeAPI // nil for a runtime on a link
	link    *link       // nil for one that speaks the Runtime API
	output  *pipe       // standard output and error
	frames  *pipe       // the framed log channel
	process *sandbox.Process
	stopped chan struct{} // closed by stop
	ooms    int           // kernel kills for memory before this run

	deadline time.Time // of the latest invocation
	drained  time.Time // when output and frames were, the last time
}

// drainEnd is how long the end of a run's output may take once everything
// that could write it has been killed.
const drainEnd = 2 * time.Second

// begin begins a run: of the stem that came with the sandbox, or of one that
// can be forked now, the first time. A failure says that the package cannot be
// run, an error that the platform could not.
func (e *environment) begin(ctx context.Context) (*run, *lifecycle.Failure, error) {
	if st := e.firstStem(ctx); st != nil {
		r, err := e.adopt(st)
		if err == nil {
			return r, nil, nil
		}
		e.log.Warn("a booted runtime cannot be used", "error", err)
	}
	return e.start()
}

// firstStem returns a stem for the first run, nil when there is none. A stem is
// forked only where nothing of the function has run yet.
func (e *environment) firstStem(ctx context.Context) *stem {
	st, fork := e.stem, e.fork
	e.stem, e.fork = nil, nil
	if st != nil || fork == nil {
		return st
	}
	st, err := fork(ctx, e.box)
	if err != nil && ctx.Err() == nil {
		e.log.Warn("a runtime is started, and not forked", "error", err)
	}
	return st
}

// start begins a run with a process of its own.
func (e *environment) start() (*run, *lifecycle.Failure, error) {
	args, f := command(e.version, e.runtime, e.dir)
	if f != nil {
		return nil, f, nil
	}
	r, theirs, err := e.prepare()
	if err != nil {
		return nil, nil, err
	}
	cmd := sandbox.Cmd{
		Path: args[0], Args: args, Env: e.environ, Dir: taskRoot,
		Stdout: r.output.w, Stderr: r.output.w, ExtraFiles: []*os.File{r.frames.w},
	}
	if theirs != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, theirs...)
		cmd.Env = append(slices.Clip(cmd.Env), fmt.Sprintf("%s=%d", linkVariable, linkFD))
	}
	r.process, err = e.box.Start(cmd)
	if err = errors.Join(err, theirs.close()); err != nil {
		stopErr := e.stop(r)
		if f := startFailure(e.version, args, err); f != nil {
			return nil, f, stopErr
		}
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", args[0], err), stopErr)
	}
	r.output.started()
	r.frames.started()
	if r.link != nil {
		e.watch(r)
	}
	return r, nil, nil
}

// prepare makes what a process needs before it can start: theirs is its end of
// the link, nil when it is to speak the Runtime API.
func (e *environment) prepare() (r *run, theirs files, err error) {
	r = &run{session: newSession(e.version), stopped: make(chan struct{})}
	if r.output, err = newPipe(); err != nil {
		return nil, nil, err
	}
	if r.frames, err = newPipe(); err != nil {
		r.output.close(0)
		return nil, nil, err
	}
	e.serveOutput(r)
	if linked(e.version, e.runtime) {
		if l := e.ports.takeRuntime(); l != nil {
			l.Close() // whoever connects shall not wait
		}
		if r.link, theirs, err = newLink(r.session); err == nil {
			r.link.snapshot, r.link.refused = e.keep, e.refused
			err = lookable(e.runtime, theirs[0])
		}
	} else {
		err = e.listen(r)
	}
	if err != nil {
		r.output.close(0)
		r.frames.close(0)
		return nil, nil, err
	}
	e.noteKills(r)
	return r, theirs, nil
}

// lookable has a Node.js process not wait for its first message when it looks
// whether it is there; later it makes its end so by itself.
func lookable(rt Runtime, theirs *os.File) error {
	if family, _ := splitRuntime(rt.Name); family != familyNode {
		return nil
	}
	conn, err := theirs.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = conn.Control(func(fd uintptr) { set = syscall.SetNonblock(int(fd), true) })
	return errors.Join(err, set)
}

// serveOutput has a run's output written to the log.
func (e *environment) serveOutput(r *run) {
	lines := &lifecycle.Lines{Emit: e.journal.Text}
	r.output.serve(lines.Write, lines.Flush)
	frames := &frameDecoder{emit: e.journal.Line}
	r.frames.serve(frames.write, frames.flush)
}

// listen serves a run's Runtime API.
func (e *environment) listen(r *run) error {
	l := e.ports.takeRuntime()
	if l == nil {
		var err error
		if l, err = e.box.Listen(inside(portRuntimeAPI)); err != nil {
			return fmt.Errorf("listen for the Runtime API: %w", err)
		}
	}
	r.api = serveRuntimeAPI(r.session, runListener{l}, e.log)
	return nil
}

// watch has what is done on r's link end with the process, and with Close.
func (e *environment) watch(r *run) {
	r.link.over = func() bool { return e.ctx.Err() != nil }
	go r.alarm(e.ctx.Done())
}

// alarm interrupts a wait on the link for the end of the process, and for
// Close. It ends with the run.
func (r *run) alarm(closing <-chan struct{}) {
	exited := r.process.Done()
	for exited != nil || closing != nil {
		select {
		case <-exited:
			exited = nil
		case <-closing:
			closing = nil
		case <-r.stopped:
			return
		}
		r.link.interrupt()
	}
}

// offer gives t to the runtime, which waits for it; false when the runtime
// does not wait.
func (r *run) offer(t *turn) bool {
	if r.link != nil {
		return r.link.offer(t)
	}
	return r.session.offer(t)
}

// stop kills everything in the sandbox and ends the run; its output is in the
// log then. After an error nothing can be run in the sandbox any more.
func (e *environment) stop(r *run) error { return e.finish(r, e.box.KillAll) }

// finish is stop with a way of its own to end everything in the sandbox.
func (e *environment) finish(r *run, kill func() error) error {
	close(r.stopped)
	err := kill()
	if isClosed(e.box.Done()) { // with all that was in it
		err = nil
	}
	if r.api != nil {
		if closeErr := r.api.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close the Runtime API: %w", closeErr)
		}
	}
	if r.link != nil {
		if closeErr := r.link.close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close the link: %w", closeErr)
		}
	}
	r.output.close(drainEnd)
	r.frames.close(drainEnd)
	return err
}

// drain puts what the run wrote up to now into the log.
func (r *run) drain(now time.Time) {
	r.drained = now
	drain(r.frames, r.output)
}

// gone reports whether the process has ended.
func (r *run) gone() bool { return isClosed(r.process.Done()) }

// exitsWithin waits for the end of the process.
func (r *run) exitsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.process.Done():
		return true
	case <-timer.C:
		return false
	}
}

// kill ends the process.
func (r *run) kill() {
	// It fails where the process or its sandbox has ended: then that is seen.
	_ = r.process.Signal(sigKill)
	r.exitsWithin(exitGrace)
}

// noteKills notes the kernel's kills for memory before r. There was none before
// the first run.
func (e *environment) noteKills(r *run) {
	if !e.ran {
		e.ran = true
		return
	}
	if stats, err := e.box.Stats(); err == nil {
		r.ooms = stats.OOMKills
	}
}

// exitFailure returns the failure that the end of r's process is.
func (e *environment) exitFailure(r *run) *lifecycle.Failure {
	stats, err := e.box.Stats()
	oom := err == nil && stats.OOMKills > r.ooms
	status := r.process.Status()
	return exited(status, oom && status.Signal != 0)
}
