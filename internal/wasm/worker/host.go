package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// A Host is the wasm.Host of one tenant: it has its worker, when there is one.
type Host struct {
	cfg      *Config
	cache    *cache
	log      *slog.Logger
	compiler *compiler // nil in the Host of a compiler

	mu      sync.Mutex
	closed  bool
	current *attempt // at a worker; nil before the first, and after the last has ended
	work    sync.WaitGroup
}

// An attempt is a worker that is being started, or was.
type attempt struct {
	ready   chan struct{} // closed when the fields below are there
	process *process
	err     error

	ended chan struct{} // closed when the process has, and why is there
	why   string

	// Guarded by the Host's mu.
	sessions int
	next     uint64      // number of a session
	idle     *time.Timer // while there are no sessions
}

// Open implements wasm.Host. What was not compiled before, or is not kept any
// more, is compiled first.
func (h *Host) Open(ctx context.Context, spec *wasm.Spec) (wasm.Session, error) {
	for compiled := false; ; {
		made := h.compiler.made.Load()
		s, err := h.begin(ctx, wire.Open, spec)
		switch {
		case err == nil:
			s.opened.Compiled = s.opened.Compiled && !compiled
			return s, nil
		case compiled && errors.Is(err, wasm.ErrNotPrepared):
			return nil, errors.New("the compiled code could not be kept: the log says why")
		case !errors.Is(err, wasm.ErrNotPrepared):
			return nil, err
		}
		stale := func() bool { return h.compiler.made.Load() != made } // it may be what was compiled since
		if compiled, err = h.compiler.compile(ctx, spec, stale); err != nil {
			return nil, err
		}
	}
}

// Prepare implements wasm.Host. A worker is ready then, too.
func (h *Host) Prepare(ctx context.Context, spec *wasm.Spec) error {
	if _, err := h.compiler.compile(ctx, spec, func() bool { return false }); err != nil {
		return err
	}
	a, _, err := h.take()
	if err != nil {
		return err
	}
	h.release(a)
	return nil
}

// begin has a worker do what a session begins with. A worker that has ended
// without anyone's having noticed is worth another attempt.
func (h *Host) begin(ctx context.Context, kind wire.Kind, spec *wasm.Spec) (*session, error) {
	for again := false; ; again = true {
		a, fresh, err := h.take()
		if err != nil {
			return nil, err
		}
		s, err := h.session(ctx, a)
		if err == nil {
			if err = s.open(ctx, kind, spec); err == nil {
				return s, nil
			}
			_ = s.Close() // the error is told
		}
		if !errors.Is(err, wasm.ErrHostGone) || fresh || again {
			return nil, err
		}
	}
}

// session returns a new one of a worker that was taken for it.
func (h *Host) session(ctx context.Context, a *attempt) (s *session, err error) {
	select {
	case <-a.ready:
		err = a.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		h.mu.Lock()
		a.next++
		id := a.next
		h.mu.Unlock()
		s, err = newSession(h, a, id)
	}
	if err != nil {
		h.release(a)
		return nil, err
	}
	return s, nil
}

// gone is what became of a request, or of an Open, whose worker has ended, or
// does not do what workers do: whatever is left of it ends.
func (h *Host) gone(a *attempt, err error) error {
	h.mu.Lock()
	if h.current == a {
		h.current = nil
	}
	h.mu.Unlock()
	a.process.kill()
	if h.compiler == nil && ended(err) {
		<-a.ended
		err = errors.New(a.why)
	}
	return &goneError{err}
}

// A goneError is wasm.ErrHostGone, and why.
type goneError struct{ why error }

// Error implements error.
func (e *goneError) Error() string { return wasm.ErrHostGone.Error() + ": " + e.why.Error() }

// Unwrap returns both.
func (e *goneError) Unwrap() []error { return []error{wasm.ErrHostGone, e.why} }

// take counts a session of the current worker, or of one that it starts.
func (h *Host) take() (a *attempt, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false, errClosed
	}
	if h.current == nil {
		a := &attempt{ready: make(chan struct{}), ended: make(chan struct{})}
		h.current, fresh = a, true
		h.work.Go(func() { h.run(a) })
	}
	a = h.current
	a.sessions++
	if a.idle != nil {
		a.idle.Stop()
		a.idle = nil
	}
	return a, fresh, nil
}

// release counts a session less.
func (h *Host) release(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.sessions--; a.sessions == 0 && h.current == a && !h.closed {
		a.idle = time.AfterFunc(h.cfg.Keep, func() { h.retire(a) })
	}
}

// retire ends a worker that has had no sessions for long.
func (h *Host) retire(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.sessions == 0 && h.current == a && a.process != nil {
		h.current = nil
		a.process.kill()
	}
}

// run starts a worker and waits for its end.
func (h *Host) run(a *attempt) {
	began := time.Now()
	p, err := startProcess(h)
	h.mu.Lock()
	a.process, a.err = p, err
	if err != nil && h.current == a {
		h.current = nil
	}
	closed := h.closed
	h.mu.Unlock()
	close(a.ready)
	if err != nil {
		h.log.Error("a worker for WebAssembly could not be started", "err", err)
		return
	}
	h.log.Info("worker for WebAssembly started", "took", time.Since(began))
	if closed {
		p.kill()
	}
	why := p.wait()
	h.mu.Lock()
	if h.current == a {
		h.current = nil
	}
	sessions := a.sessions
	h.mu.Unlock()
	err = p.free()
	if p.deep {
		why = "its stack has overflowed"
	}
	a.why = why
	close(a.ended)
	if sessions > 0 {
		h.log.Warn("worker for WebAssembly has ended, and with it what ran there", "why", why, "sessions", sessions)
	} else {
		h.log.Info("worker for WebAssembly has ended", "why", why)
	}
	if err != nil {
		h.log.Error("a worker's sandbox could not be freed", "err", err)
	}
}

// Close implements wasm.Host.
func (h *Host) Close() error {
	if h.compiler != nil {
		_ = h.compiler.host.Close() // always succeeds
	}
	h.mu.Lock()
	h.closed = true
	if a := h.current; a != nil {
		if a.idle != nil {
			a.idle.Stop()
		}
		if a.process != nil {
			a.process.kill()
		}
	}
	h.mu.Unlock()
	h.work.Wait()
	return nil
}
