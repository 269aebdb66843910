package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// maxLoad is how long it may take to send, compile and load a program, besides
// its initialisation.
const maxLoad = 2 * time.Minute

// maxSend is how long it may take to send a program that the bundler reads, and
// to compile the JavaScript engine if there is none yet.
const maxSend = 15 * time.Second

// maxOpening returns how long a session's beginning may take. The bundler may be
// in the middle of something that does not end when its time is over.
func maxOpening(kind wire.Kind, spec *wasm.Spec) time.Duration {
	switch {
	case kind == wire.Open:
		return maxLoad + cmp.Or(spec.InitTime, wasm.DefaultInitTime)
	case spec.Module == "":
		return wasm.MaxBundle + maxSend
	}
	return maxLoad
}

// A session is a wasm.Session in a worker.
type session struct {
	host    *Host
	attempt *attempt
	process *process
	id      uint64
	pipes   *pipes
	conn    *wire.Conn
	spec    *wasm.Spec
	opened  wasm.Opening
	close   sync.Once

	mu      sync.Mutex
	request uint64 // number of the one that is served, or was
	over    bool   // it is answered
}

// newSession begins one with a worker.
func newSession(h *Host, a *attempt, id uint64) (*session, error) {
	pipes, theirs, err := newPipes()
	if err != nil {
		return nil, err
	}
	err = a.process.tell(wire.Control{Session: id}, theirs[:]...)
	err = errors.Join(err, theirs[0].Close(), theirs[1].Close())
	if err != nil {
		return nil, errors.Join(h.gone(a, err), pipes.close())
	}
	return &session{host: h, attempt: a, process: a.process, id: id, pipes: pipes, conn: wire.NewConn(pipes), over: true}, nil
}

// Opened implements wasm.Session.
func (s *session) Opened() wasm.Opening { return s.opened }

// Close implements wasm.Session.
func (s *session) Close() error {
	var err error
	s.close.Do(func() {
		if err = s.pipes.close(); errors.Is(err, os.ErrClosed) {
			err = nil // after a request that could not be sent
		}
		s.host.release(s.attempt)
	})
	return err
}

// open has the worker load the program, or prepare it.
func (s *session) open(ctx context.Context, kind wire.Kind, spec *wasm.Spec) error {
	s.spec = spec
	most := maxOpening(kind, spec)
	late := time.Now().Add(most)
	s.pipes.ctx, s.pipes.late = ctx, late
	s.pipes.until(late)
	stop := context.AfterFunc(ctx, func() { _ = s.pipes.r.SetReadDeadline(time.Unix(1, 0)) }) // closed ones have none
	defer stop()
	sent := wire.Spec{Spec: *spec}
	err := s.conn.Send(sent.Append(s.conn.Begin(kind)), nil)
	if err == nil {
		err = s.loading(ctx, kind)
	}
	switch {
	case err == nil:
		if !stop() {
			return ctx.Err()
		}
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.host.gone(s.attempt, fmt.Errorf("it was not done within %v", most))
	case errors.Is(err, wire.ErrFrame), ended(err):
		return s.host.gone(s.attempt, err)
	}
	return err
}

// ended reports whether an error of a pipe means that the other side has.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// loading serves the worker until it has loaded the program.
func (s *session) loading(ctx context.Context, kind wire.Kind) error {
	given := false
	for {
		got, body, err := s.conn.Next()
		if err != nil {
			return err
		}
		switch got {
		case wire.Need:
			if given {
				return wire.ErrFrame
			}
			given = true
			err = sendPackage(ctx, s.conn, s.spec.Dir)
		case wire.Log:
			err = s.log(s.spec.Log, body)
		case wire.Compiled:
			if kind != wire.Prepare {
				return wire.ErrFrame
			}
			err = s.host.keep(s.conn, body)
		case wire.Failed:
			return wire.DecodeFailed(body)
		case wire.Opened:
			if kind == wire.Prepare {
				return nil
			}
			s.opened, err = wire.DecodeOpening(body)
			return err
		default:
			err = wire.ErrFrame
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) log(to wasm.Log, p []byte) error {
	if to != nil {
		_, _ = to.Write(p) // a log that cannot be written is not the function's concern
	}
	return nil
}

// Serve implements wasm.Session.
func (s *session) Serve(ctx context.Context, req *wasm.Request) (*wasm.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.request++
	s.over = false
	s.mu.Unlock()
	defer s.end()
	began := time.Now()
	late := began.Add(forever)
	if !req.Deadline.IsZero() {
		late = req.Deadline.Add(s.host.cfg.Grace)
	}
	s.pipes.ctx, s.pipes.late = ctx, late
	s.pipes.patiently(began, late)
	if err := s.conn.Send(wire.AppendRequest(s.conn.Begin(wire.Request), req), req.Event); err != nil {
		return nil, s.unsent(err)
	}
	a, err := s.answer(ctx, req, late)
	if err == nil {
		s.bound(a, time.Since(began))
		return a, nil
	}
	if !errors.Is(err, wasm.ErrNotServed) { // the worker has ended, or is stuck, or is none of ours
		err = s.host.gone(s.attempt, err)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, err
}

// unsent is what becomes of a request that could not be sent as a whole: no
// guest gets it, and no other can follow it. A worker that does not read is
// ended.
func (s *session) unsent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.host.gone(s.attempt, err)
	}
	return fmt.Errorf("%w: %v", wasm.ErrNotServed, errors.Join(err, s.pipes.close())) //nolint:errorlint // it is not ErrHostGone
}

// forever is how long a request without a deadline may take.
const forever = 24 * time.Hour

// next returns what the worker says next. A wait that lasts longer can be
// cancelled: until then it has stop called.
func (s *session) next(ctx context.Context, late time.Time, stop *func() bool) (wire.Kind, []byte, error) {
	for {
		kind, body, err := s.conn.Next()
		if *stop != nil || !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(late) {
			return kind, body, err
		}
		s.pipes.until(late)
		n := s.request
		*stop = context.AfterFunc(ctx, func() { s.cancel(n) })
	}
}

// answer serves the worker until it has the answer.
func (s *session) answer(ctx context.Context, req *wasm.Request, late time.Time) (*wasm.Answer, error) {
	var stop func() bool
	defer func() {
		if stop != nil {
			stop()
		}
	}()
	for {
		kind, body, err := s.next(ctx, late, &stop)
		if err != nil {
			return nil, err
		}
		switch kind {
		case wire.Answer:
			return wire.DecodeAnswer(body)
		case wire.Log:
			if err := s.log(req.Log, body); err != nil {
				return nil, err
			}
		case wire.Fetch:
			if err := s.fetch(ctx, req, body); err != nil {
				return nil, err
			}
		case wire.Failed: // to have an instance
			return nil, fmt.Errorf("%w: %w", wasm.ErrNotServed, wire.DecodeFailed(body))
		default:
			return nil, wire.ErrFrame
		}
	}
}

// fetch makes a guest's request to the outside, until its deadline.
func (s *session) fetch(ctx context.Context, req *wasm.Request, document []byte) error {
	fetch := req.Fetch
	if fetch == nil {
		fetch = wasm.NoFetch
	}
	if !req.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, req.Deadline)
		defer cancel()
	}
	return s.conn.Send(s.conn.Begin(wire.Fetched), fetch(ctx, document))
}

// bound takes of what a worker says of a request only what can be.
func (s *session) bound(a *wasm.Answer, took time.Duration) {
	a.CPU = min(a.CPU, took)
	a.Peak = min(a.Peak, s.spec.MemoryMB<<20)
	if a.Failure == nil && len(a.Payload) > wasm.MaxAnswer {
		a.Failure = wasm.TooLarge(len(a.Payload))
	}
}

// cancel has the worker stop the guest that serves the nth request: the answer
// comes soon then. One that was answered meanwhile is left alone, and so is the
// next.
func (s *session) cancel(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.request != n {
		return
	}
	s.pipes.until(time.Now().Add(s.host.cfg.Grace))
	_ = s.process.tell(wire.Control{Session: s.id, Cancel: n}) // fails for a worker that has ended, which Serve sees
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.pipes.ctx = true, nil
}
