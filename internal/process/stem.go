package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// A stem is a runtime that has booted in a sandbox before it is known for
// which version: its bootstrap has loaded what it needs and waits for its
// assignment. No code of a function has run in it, and it becomes one run of
// one environment.
type stem struct {
	process *sandbox.Process
	link    *link
	output  *pipe
	frames  *pipe
	side    *os.File // nil where there are no snapshots, and after its use
}

// A forkFunc makes a stem in a sandbox; it may be nil when there is no error.
type forkFunc func(ctx context.Context, box *sandbox.Sandbox) (*stem, error)

// A stillFunc has what boots stand still at times, until done is called, as
// pool.keepStill does.
type stillFunc func() (done func() error)

// stemVariable tells a bootstrap that it is to be a stem.
const stemVariable = "_MILLICENT_STEM"

// bootedTime bounds the start of a stem.
const bootedTime = 30 * time.Second

// startStem boots a runtime of the languages in a sandbox, with the
// bootstraps in their place; the code may come later. It returns once the stem
// is ready. Close it, or have an environment adopt it.
func startStem(ctx context.Context, box *sandbox.Sandbox, rt Runtime, still stillFunc) (_ *stem, err error) {
	st, theirs, err := newStem(rt)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("boot %s: %w", rt.Name, err), st.close(box))
		}
	}()
	args := languageCommand(rt)
	st.process, err = box.Start(sandbox.Cmd{
		Path: args[0], Args: args, Dir: taskRoot,
		Env:    append(stemEnviron(rt), stemVariable+"=1", fmt.Sprintf("%s=%d", linkVariable, linkFD)),
		Stdout: st.output.w, Stderr: st.output.w, ExtraFiles: append(files{st.frames.w}, theirs...),
	})
	if err = errors.Join(err, theirs.close()); err != nil {
		return nil, err
	}
	return st, st.boot(ctx, rt, still)
}

// newStem makes what a stem speaks through; theirs is its end of the link.
func newStem(rt Runtime) (st *stem, theirs files, err error) {
	st = &stem{}
	if st.output, err = newPipe(); err != nil {
		return nil, nil, err
	}
	if st.frames, err = newPipe(); err != nil {
		st.output.close(0)
		return nil, nil, err
	}
	if st.link, theirs, err = newLink(nil); err != nil {
		st.output.close(0)
		st.frames.close(0)
		return nil, nil, err
	}
	if !forkable(rt) {
		return st, theirs, nil
	}
	side, err := st.openSide()
	if err != nil {
		return nil, nil, errors.Join(err, theirs.close(), st.free())
	}
	return st, append(theirs, side), nil
}

// openSide makes the way by which a stem can be given a snapshot, and returns
// its end of it.
func (st *stem) openSide() (theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make link: %w", err)
	}
	st.side = os.NewFile(uintptr(fds[0]), "side")
	return os.NewFile(uintptr(fds[1]), "side"), nil
}

// closeSide closes this process's end.
func (st *stem) closeSide() error {
	if st.side == nil {
		return nil
	}
	err := st.side.Close()
	st.side = nil
	return err
}

// stemEnviron is the environment of a stem's process: what environments of the
// runtime have alike.
func stemEnviron(rt Runtime) []string {
	var list []string
	for name, value := range baseEnviron(rt) {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// boot has a stem rehearse, and waits until it waits for its assignment: what
// is done once for practice is not waited for the next time.
func (st *stem) boot(ctx context.Context, rt Runtime, still stillFunc) (err error) {
	st.output.started()
	st.frames.started()
	if still != nil {
		done := still()
		defer func() { err = errors.Join(err, done()) }()
	}
	if err := st.link.assign(linkRehearse, assignment{stemEnviron(rt), taskRoot}, time.Now().Add(bootedTime)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, st.link.interrupt)()
	st.link.until(time.Now().Add(bootedTime))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	kind, _, err := st.link.in.next()
	switch {
	case err == nil && kind == linkBooted:
		return nil
	case err == nil:
		err = errViolation
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: it says %q", err, st.output.peek())
}

// ended reports whether the stem cannot be used any more.
func (st *stem) ended() bool { return isClosed(st.process.Done()) }

// close ends the stem, and all that runs in its sandbox.
func (st *stem) close(box *sandbox.Sandbox) error {
	return errors.Join(box.KillAll(), st.free())
}

// free gives up what a stem speaks through. It ends by itself then.
func (st *stem) free() error {
	err := errors.Join(st.link.close(), st.closeSide())
	st.output.close(0)
	st.frames.close(0)
	return err
}

// An assignment makes a stem the runtime of a version.
type assignment struct {
	Environ []string `json:"environ"` // as the process would have got it
	Dir     string   `json:"dir"`
}

// assign sends an assignment.
func (l *link) assign(kind byte, a assignment, late time.Time) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return l.send(appendMessage(nil, kind, body), late)
}

// adopt makes a stem the run of its environment and begins its Init phase.
func (e *environment) adopt(st *stem) (*run, error) {
	r := e.runOf(st)
	_ = st.closeSide() // there is nothing left to do with it
	if err := r.link.assign(linkAssign, assignment{e.environ, taskRoot}, time.Now().Add(exitGrace)); err != nil {
		return nil, errors.Join(fmt.Errorf("assign a booted runtime: %w", err), e.stop(r))
	}
	return r, nil
}

// runOf makes a stem the run of its environment, before its assignment.
func (e *environment) runOf(st *stem) *run {
	r := &run{
		session: newSession(e.version), link: st.link, output: st.output, frames: st.frames,
		process: st.process, stopped: make(chan struct{}),
	}
	e.serveOutput(r)
	e.noteKills(r)
	r.link.session, r.link.snapshot, r.link.refused = r.session, e.keep, e.refused
	e.watch(r)
	return r
}

// bootable reports whether v can start in a stem: its runtime is one of ours
// on a link, and its environment sets nothing that an interpreter or the C
// library looks at once and for all when it starts.
func bootable(v *millicent.Version, rt Runtime) bool {
	if !linked(v, rt) {
		return false
	}
	for name := range v.Environment {
		if readAtStart(name) {
			return false
		}
	}
	return true
}

// readAtStart reports whether a process may read a variable when it starts,
// and never again.
func readAtStart(name string) bool {
	if name == "NODE_ENV" { // a convention of libraries; Node.js itself knows it not
		return false
	}
	return slices.Contains(startVariables, name) ||
		slices.ContainsFunc(startPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

var (
	startVariables = []string{
		wrapperVariable, "HOME", "LANG", "LANGUAGE", "LOCPATH", "NLSPATH", "GCONV_PATH", "TZDIR",
	}
	startPrefixes = []string{
		"PYTHON", "NODE_", "V8_", "UV_", "ICU_", "OPENSSL_", // interpreters and their libraries
		"LC_", "LD_", "GLIBC_", "MALLOC_", // the C library and its loader
		"_MILLICENT_",
	}
)
