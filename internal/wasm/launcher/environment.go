package launcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/wasm"
)

// An environment implements millicent.Environment.
type environment struct {
	launcher *Launcher
	version  *millicent.Version
	kind     lifecycle.Initialization
	dir      string // of the unpacked package
	stream   string // the log stream, as a variable
	log      *slog.Logger
	journal  *lifecycle.Journal
	output   lifecycle.Lines // of the guest
	fetcher  *egress.Fetcher // nil where the function may make no requests

	ctx    context.Context // ends when Close is called
	cancel context.CancelFunc
	close  func() error // once
	freed  func()       // tells that the package is used no more

	// slot is held by the one Invoke that runs, and by Close at the end; its
	// holder alone uses what follows.
	slot    chan struct{}
	session wasm.Session  // nil when there is none
	cold    bool          // no invocation has been served yet
	init    time.Duration // what a successful Init phase took
	sent    int64         // bytes to elsewhere so far

	started millicent.StartRecord  // complete with the first invocation
	again   *millicent.StartRecord // of the session in the running invocation; nil where it was there
	after   millicent.StartCause   // of a start after the last session, which has ended
}

// A guestLog takes the guest's output.
type guestLog struct{ *environment }

// Write implements wasm.Log.
func (l guestLog) Write(p []byte) (int, error) {
	l.output.Write(p)
	return len(p), nil
}

// Close implements millicent.Environment.
func (e *environment) Close() error {
	e.cancel() // ends a running Invoke, which gives up the slot
	return e.close()
}

func (e *environment) shutDown() error {
	e.slot <- struct{}{}
	defer func() { <-e.slot }()
	err := e.drop()
	if e.fetcher != nil {
		e.fetcher.Close()
	}
	e.freed()
	return err
}

// drop gives the session up.
func (e *environment) drop() error {
	s := e.session
	if s == nil {
		return nil
	}
	e.session = nil
	return s.Close()
}

// Initialised reports whether a session waits for the next event.
func (e *environment) Initialised() bool {
	select {
	case e.slot <- struct{}{}:
		defer func() { <-e.slot }()
	default:
		return true // it is in use
	}
	return e.session != nil && e.ctx.Err() == nil
}

// Light says that another environment would begin with the image that this one
// did, as millicent.Light wants it. Nobody else uses the environment meanwhile.
func (e *environment) Light() bool { return e.session != nil && e.session.Opened().Ready }

// ended returns why nobody waits for an invocation any more, nil while
// somebody does.
func (e *environment) ended(ctx context.Context) error {
	if e.ctx.Err() != nil {
		return lifecycle.ErrClosed
	}
	return ctx.Err()
}

// initialise opens a session within a time. A failure leaves none. An error
// means that there can be none here, or that the wait was cancelled.
func (e *environment) initialise(ctx context.Context, phase string, limit time.Duration) (*lifecycle.Failure, error) {
	began := time.Now()
	e.journal.Event(lifecycle.InitStart(e.kind, e.version.Runtime, e.launcher.cfg.Region, phase, e.version))
	f, err := e.open(ctx, limit)
	if err != nil {
		return nil, err
	}
	took := min(time.Since(began), limit)
	rec := e.noteInit(phase, took)
	e.journal.Event(lifecycle.InitRuntimeDone(e.kind, phase, f))
	e.journal.Event(lifecycle.InitReport(e.kind, phase, took, f, &rec))
	if f == nil && phase == lifecycle.PhaseInit {
		e.init = took
	}
	return f, nil
}

// open opens a session.
func (e *environment) open(ctx context.Context, limit time.Duration) (*lifecycle.Failure, error) {
	spec, f := e.launcher.spec(e.kind, e.version, e.dir)
	if f != nil {
		return f, nil
	}
	spec.InitTime, spec.Log = limit, guestLog{e}
	defer e.output.Flush()
	host, err := e.launcher.cfg.Host(e.version.Tenant)
	if err != nil {
		return nil, err
	}
	s, err := host.Open(ctx, spec)
	var own *wasm.Failure
	switch {
	case errors.As(err, &own):
		return e.failure(own), nil
	case err != nil:
		return nil, err
	}
	e.session = s
	return nil, nil
}

// noteInit notes how long it took to open a session, and returns the record of
// the start that this was a part of.
func (e *environment) noteInit(phase string, took time.Duration) millicent.StartRecord {
	var o wasm.Opening
	if e.session != nil {
		o = e.session.Opened()
	}
	rec := millicent.StartRecord{
		From: millicent.FromNothing, Attach: o.Load, Init: o.Init, Boot: max(0, took-o.Load-o.Init), Compiled: o.Compiled,
		Environment: e.started.Environment, Runtime: e.started.Runtime,
	}
	if o.Loaded {
		rec.From = millicent.FromVersion
	}
	switch {
	case phase == lifecycle.PhaseInit:
		known := e.started
		rec.Cause, rec.Others, rec.Gone, rec.For, rec.Acquire = known.Cause, known.Others, known.Gone, known.For, known.Acquire
		e.started = rec
	case !e.cold:
		rec.Cause, rec.From = cmp.Or(e.after, millicent.StartAfterFailure), millicent.FromEnvironment
		e.again = &rec
	default:
		return e.started
	}
	return rec
}
