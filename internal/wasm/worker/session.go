package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/nowait"
	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// maxLoad is how long it may take to send, compile and load a program, besides
// its initialisation.
const maxLoad = 2 * time.Minute

// A session is a wasm.Session in a worker.
type session struct {
	host    *Host
	attempt *attempt
	process *process
	id      uint64
	socket  *net.UnixConn
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
	socket, theirs, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	stream, err := nowait.New(socket)
	if err == nil {
		if err = a.process.tell(wire.Control{Session: id}, theirs); err != nil {
			err = h.gone(a, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return &session{host: h, attempt: a, process: a.process, id: id, socket: socket, conn: wire.NewConn(stream), over: true}, nil
}

// Opened implements wasm.Session.
func (s *session) Opened() wasm.Opening { return s.opened }

// Close implements wasm.Session.
func (s *session) Close() error {
	var err error
	s.close.Do(func() {
		err = s.socket.Close()
		s.host.release(s.attempt)
	})
	return err
}

// open has the worker load the program, or prepare it.
func (s *session) open(ctx context.Context, kind wire.Kind, spec *wasm.Spec) error {
	s.spec = spec
	most := spec.InitTime
	if most == 0 {
		most = wasm.DefaultInitTime
	}
	most += maxLoad
	if err := s.socket.SetDeadline(time.Now().Add(most)); err != nil {
		return s.host.gone(s.attempt, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.socket.SetDeadline(time.Now()) }) // closed ones have none
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
		return s.socket.SetDeadline(time.Time{})
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.host.gone(s.attempt, fmt.Errorf("the program was not loaded within %v", most))
	case errors.Is(err, wire.ErrFrame), ended(err):
		return s.host.gone(s.attempt, err)
	}
	return err
}

// ended reports whether an error of a socket means that the other side has.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
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
	var deadline time.Time
	if !req.Deadline.IsZero() {
		deadline = req.Deadline.Add(s.host.cfg.Grace)
	}
	if err := s.socket.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%w: %w", wasm.ErrNotServed, err)
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, s.cancel)()
	}
	began := time.Now()
	if err := s.conn.Send(wire.AppendRequest(s.conn.Begin(wire.Request), req), req.Event); err != nil {
		return nil, fmt.Errorf("%w: %w", wasm.ErrNotServed, err) // an event that is not whole is not given to a guest
	}
	a, err := s.answer(ctx, req)
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

// answer serves the worker until it has the answer.
func (s *session) answer(ctx context.Context, req *wasm.Request) (*wasm.Answer, error) {
	for {
		kind, body, err := s.conn.Next()
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

// cancel has the worker stop the guest: the answer comes soon then.
func (s *session) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	_ = s.socket.SetReadDeadline(time.Now().Add(s.host.cfg.Grace))          // fails for a closed one, which Serve sees
	_ = s.process.tell(wire.Control{Session: s.id, Cancel: s.request}, nil) // as above
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
