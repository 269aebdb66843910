package process

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox"
)

// A run is one life of a runtime in an environment: its process and what
// belongs to it alone. It ends as a whole.
type run struct {
	session *session
	api     *http.Server
	output  *pipe // standard output and error
	frames  *pipe // the framed log channel
	process *sandbox.Process
	ooms    int // kernel kills for memory before this run

	deadline time.Time // of the latest invocation
}

// drainEnd is how long the end of a run's output may take once everything
// that could write it has been killed.
const drainEnd = 2 * time.Second

// start begins a run. A failure says that the package cannot be run, an error
// that the platform could not.
func (e *environment) start() (*run, *failure, error) {
	args, f := command(e.version, e.runtime, e.dir)
	if f != nil {
		return nil, f, nil
	}
	r, err := e.prepare()
	if err != nil {
		return nil, nil, err
	}
	cmd := sandbox.Cmd{
		Path: args[0], Args: args, Env: e.environ, Dir: taskRoot,
		Stdout: r.output.w, Stderr: r.output.w, ExtraFiles: []*os.File{r.frames.w},
	}
	r.process, err = e.box.Start(cmd)
	if err != nil {
		stopErr := e.stop(r)
		if f := startFailure(e.version, args, err); f != nil {
			return nil, f, stopErr
		}
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", args[0], err), stopErr)
	}
	r.output.started()
	r.frames.started()
	return r, nil, nil
}

// prepare makes what a process needs before it can start.
func (e *environment) prepare() (r *run, err error) {
	r = &run{session: newSession(e.version)}
	lines := &lineDecoder{emit: e.journal.text}
	if r.output, err = newPipe(lines.write, lines.flush); err != nil {
		return nil, err
	}
	frames := &frameDecoder{emit: e.journal.line}
	if r.frames, err = newPipe(frames.write, frames.flush); err != nil {
		r.output.close(0)
		return nil, err
	}
	l := e.ports.takeRuntime()
	if l == nil {
		if l, err = e.box.Listen(inside(portRuntimeAPI)); err != nil {
			r.output.close(0)
			r.frames.close(0)
			return nil, fmt.Errorf("listen for the Runtime API: %w", err)
		}
	}
	r.api = serveRuntimeAPI(r.session, runListener{l}, e.log)
	if stats, err := e.box.Stats(); err == nil {
		r.ooms = stats.OOMKills
	}
	return r, nil
}

// stop kills everything in the sandbox and ends the run; its output is in the
// log then. After an error nothing can be run in the sandbox any more.
func (e *environment) stop(r *run) error {
	err := e.box.KillAll()
	if closeErr := r.api.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close the Runtime API: %w", closeErr)
	}
	r.output.close(drainEnd)
	r.frames.close(drainEnd)
	return err
}

// drain puts what the run wrote so far into the log.
func (r *run) drain() {
	r.frames.drain()
	r.output.drain()
}

// gone reports whether the process has ended.
func (r *run) gone() bool {
	select {
	case <-r.process.Done():
		return true
	default:
		return false
	}
}

// exitFailure returns the failure that the end of r's process is.
func (e *environment) exitFailure(r *run) *failure {
	stats, err := e.box.Stats()
	oom := err == nil && stats.OOMKills > r.ooms
	status := r.process.Status()
	return exited(status, oom && status.Signal != 0)
}
