package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

const (
	// initCPU is what every runtime has at least until it is ready, in cores.
	// The share that goes with 128 MB, 7 % of a core, would make a 40 ms
	// interpreter start take over half a second and a large import miss the
	// limit of the Init phase, which functions on Lambda meet because it lends
	// them CPU then, too. The loan ends with lifecycle.InitLimit, in whichever phase
	// Init runs.
	initCPU = 1.0

	mbPerCore = 1769 // MemoryMB that come with one core

	// shutdownInternal is what a runtime with internal extensions may take
	// between SIGTERM and SIGKILL; others get no SIGTERM.
	shutdownInternal = 500 * time.Millisecond
)

// An environment implements millicent.Environment.
type environment struct {
	version *millicent.Version
	kind    lifecycle.Initialization
	runtime Runtime
	region  string
	dir     string   // of the unpacked package
	environ []string // of the runtime's process
	refused func()   // the runtime has no use for the compiled code
	log     *slog.Logger

	box     *sandbox.Sandbox
	ports   *ports
	uplink  *uplink
	journal *lifecycle.Journal

	ctx    context.Context // ends when Close is called
	cancel context.CancelFunc
	close  func() error // once
	freed  func()       // tells that the sandbox and its mounts are gone

	freezes freezes

	// slot is held by the one Invoke that runs, by Freeze, and by Close at the
	// end; its holder alone uses what follows.
	slot   chan struct{}
	frozen bool
	stem   *stem         // for the first run, nil when there is none
	keep   io.Writer     // takes a snapshot; nil where none is wanted
	fork   forkFunc      // makes one, nil when none can be made, or not any more
	run    *run          // nil when no runtime runs
	ran    bool          // one has run
	lent   bool          // it has the CPU that it had for its Init phase
	cold   bool          // no invocation has been served yet
	init   time.Duration // what a successful Init phase took

	restored, restoredBilled time.Duration // what the start from a snapshot took

	broken error // the sandbox cannot be used any more

	measured time.Time     // when peak and cpu were
	peak     int           // memory in MB
	cpu      time.Duration // of all processes so far
	sent     int64         // bytes to elsewhere so far

	started millicent.StartRecord  // complete with the first invocation
	again   *millicent.StartRecord // of the runtime in the running invocation; nil where it ran
	after   millicent.StartCause   // of a start after the last run, which has ended
}

// newEnvironment gives an environment its sandbox; nothing runs in it yet.
func (l *Launcher) newEnvironment(ctx context.Context, kind lifecycle.Initialization, v *millicent.Version, rt Runtime, dir string) (*environment, error) {
	stream := lifecycle.StreamName(v, time.Now())
	var key credentials
	if l.cfg.Credentials != nil {
		key.id, key.secret, key.token = l.cfg.Credentials(v)
	}
	e := &environment{
		version: v,
		kind:    kind,
		runtime: rt,
		region:  l.cfg.Region,
		dir:     dir,
		environ: environ(kind, v, rt, l.cfg.Region, stream, key),
		log:     l.cfg.Log.With("function", v.Function, "version", v.Number, "environment", stream),
		journal: lifecycle.NewJournal(l.cfg.Logs, v, stream),
		slot:    make(chan struct{}, 1),
		cold:    true,
		started: millicent.StartFrom(ctx),
	}
	e.started.Environment, e.started.Runtime = stream, rt.Name
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.close = sync.OnceValue(e.shutDown)

	code := packageCode{dir: dir, compiled: l.compiler.lookup(v, rt)}
	p, err := l.acquire(ctx, kind, v, rt, &code, &e.started)
	if err != nil {
		e.cancel()
		return nil, err
	}
	e.box, e.ports, e.stem = p.box, p.ports, p.stem
	if e.stem == nil && forkable(rt) && bootable(v, rt) {
		e.fork = l.zygote(rt).forkNow
	}
	if code.compiled != "" {
		e.started.Compiled = true
		e.environ = append(e.environ, compiledVariable+"="+path.Join(compiledDir, filepath.Base(code.compiled)))
		e.refused = func() { l.compiler.refused(v, rt) }
	}
	if l := p.ports.runtime; l != nil && linked(v, rt) {
		p.ports.runtime = nil
		_ = runListener{l}.Close() // nobody is to serve it; closed it is, whatever it says
	}
	e.uplink = newUplink(&l.cfg, v, p.ports, e.journal.Warn, e.log)
	return e, nil
}

// cpuShare returns the cores that come with an amount of memory.
func cpuShare(memoryMB int) float64 { return float64(memoryMB) / mbPerCore }

// Close implements millicent.Environment.
func (e *environment) Close() error {
	e.cancel() // ends a running Invoke, which gives up the slot
	return e.close()
}

// shutDown runs the Shutdown phase and frees everything.
func (e *environment) shutDown() error {
	e.slot <- struct{}{}
	defer func() { <-e.slot }()
	errs := []error{e.thaw()} // what is asked to end has to run
	if r := e.run; r != nil {
		if r.session.hasExtensions() && !r.gone() {
			e.terminate(r)
		}
		errs = append(errs, e.finish(r, e.box.End))
		e.run = nil
	}
	if st := e.stem; st != nil {
		errs = append(errs, st.free())
		e.stem = nil
	}
	if l := e.ports.takeRuntime(); l != nil {
		errs = append(errs, l.Close())
	}
	errs = append(errs, e.uplink.close(), e.box.Close())
	e.freed()
	return errors.Join(errs...)
}

// terminate asks a runtime to end and waits a bounded time for it.
func (e *environment) terminate(r *run) {
	if err := r.process.Signal(syscall.SIGTERM); err != nil {
		return // it ended just now
	}
	timer := time.NewTimer(shutdownInternal)
	defer timer.Stop()
	select {
	case <-r.process.Done():
	case <-e.box.Done():
	case <-timer.C:
	}
}

// launch runs the Init phase of a new environment. A failing Init is in the
// log and leaves the environment without a run; an error is the platform's.
func (e *environment) launch(ctx context.Context) (*lifecycle.Failure, error) {
	e.journal.Event(lifecycle.InitStart(e.kind, runtimeVersion(e.runtime), e.region, lifecycle.PhaseInit, e.version))
	if e.runtime.Note != "" {
		e.journal.Warn(e.runtime.Note)
	}
	began := time.Now()
	f, err := e.initialise(ctx, lifecycle.PhaseInit, began.Add(e.kind.Limit()))
	if err == nil && f == nil {
		e.init = min(time.Since(began), e.kind.Limit())
	}
	return f, err
}

// initialise starts a run and waits until it is ready, has failed, or is late.
// A failure leaves no run. An error means that there can be none here, or that
// the wait was cancelled.
func (e *environment) initialise(ctx context.Context, phase string, late time.Time) (*lifecycle.Failure, error) {
	began := time.Now()
	if err := e.ended(ctx); err != nil {
		return nil, err
	}
	if phase == lifecycle.PhaseInvoke {
		e.journal.Event(lifecycle.InitStart(e.kind, runtimeVersion(e.runtime), e.region, phase, e.version))
		if err := e.box.SetCPU(max(initCPU, cpuShare(e.version.MemoryMB))); err != nil {
			return nil, fmt.Errorf("lend CPU: %w", err)
		}
	}
	r, f, err := e.begin(ctx)
	booted := time.Now()
	if err != nil {
		return nil, err
	}
	if f == nil {
		f, err = e.awaitReady(ctx, r, late)
		if f != nil || err != nil {
			err = errors.Join(err, e.stop(r))
		}
		if err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	rec := e.noteInit(phase, booted.Sub(began), time.Since(booted))
	e.journal.Event(lifecycle.InitRuntimeDone(e.kind, phase, f))
	e.journal.Event(lifecycle.InitReport(e.kind, phase, took, f, &rec))
	if f != nil {
		return f, nil
	}
	e.run = r
	return nil, nil
}

// noteInit notes how long a runtime took to run and to be initialised, and
// returns the record of the start that this was a part of.
func (e *environment) noteInit(phase string, boot, init time.Duration) millicent.StartRecord {
	switch {
	case phase == lifecycle.PhaseInit:
		e.started.Boot, e.started.Init = boot, init
	case !e.cold:
		e.again = &millicent.StartRecord{
			Cause: cmp.Or(e.after, millicent.StartAfterFailure), From: millicent.FromEnvironment,
			Boot: boot, Init: init, Environment: e.started.Environment, Runtime: e.started.Runtime,
		}
		return *e.again
	}
	return e.started
}

// awaitReady waits for the end of a run's Init, in which it has lent CPU. What
// is left of the loan is the caller's to end.
func (e *environment) awaitReady(ctx context.Context, r *run, late time.Time) (*lifecycle.Failure, error) {
	e.lent = true
	until := late
	if loan := time.Now().Add(lifecycle.InitLimit); loan.Before(late) {
		until = loan
	}
	for {
		switch e.wait(ctx, r, until, (*session).initialised) {
		case signMet:
			if f := r.session.initFailure(); f != nil {
				return f, nil
			}
			return nil, nil
		case signExit:
			if f := r.session.initFailure(); f != nil {
				return f, nil
			}
			if isClosed(e.box.Done()) {
				return nil, errors.New("the sandbox ended")
			}
			return e.exitFailure(r), nil
		case signLate:
			if until.Equal(late) {
				return lifecycle.TimedOut(e.version.Timeout), nil
			}
			until = late
			if err := e.repay(); err != nil {
				return nil, err
			}
		case signCancelled:
			return nil, e.ended(ctx)
		}
	}
}

// repay leaves the environment the CPU that comes with its memory, where it had
// more for its Init phase. That is over by then; but the system call takes a
// thirtieth of a start, so it is made when somebody has got his event already, and
// else soon after.
func (e *environment) repay() error {
	share := cpuShare(e.version.MemoryMB)
	if !e.lent || share >= initCPU {
		return nil
	}
	e.lent = false
	if err := e.box.SetCPU(share); err != nil {
		return fmt.Errorf("limit CPU: %w", err)
	}
	return nil
}
