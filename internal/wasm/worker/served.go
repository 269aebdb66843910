package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// server is what a worker is inside: it runs what the sessions ask for, or
// compiles it.
type server struct {
	local    *wasm.Local
	code     *code // nil in a worker that runs programs
	packages *packages

	mu       sync.Mutex
	sessions map[uint64]*served
}

// A served is a session inside the worker. One goroutine serves it.
type served struct {
	conn *wire.Conn

	mu        sync.Mutex
	request   uint64 // the number of the one that runs, or ran last
	cancelled uint64 // the latest that is to be ended
	ctx       context.Context
	cancel    context.CancelFunc
}

// serve serves a session until the server closes its pipes.
func (w *server) serve(ctx context.Context, id uint64, pipes *inner) {
	defer func() { _ = pipes.close() }() // nobody is there to be told
	s := &served{conn: wire.NewConn(pipes)}
	s.renew(ctx)
	defer s.cancel()
	w.mu.Lock()
	w.sessions[id] = s
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.sessions, id)
	}()
	session, release := w.open(s)
	if session == nil {
		return
	}
	defer release()
	defer func() { _ = session.Close() }() // always succeeds
	for s.serve(ctx, session) == nil {
		session.Renew()
	}
}

// open does what a session begins with. session is nil when there is none to
// serve.
func (w *server) open(s *served) (session *wasm.LocalSession, release func()) {
	kind, body, err := s.conn.Next()
	if err != nil || kind != wire.Open && kind != wire.Prepare {
		return nil, nil
	}
	var sent wire.Spec
	if sent.Decode(body) != nil {
		return nil, nil
	}
	spec := &sent.Spec
	spec.Log = logger{s.conn}
	session, release, err = w.load(s, kind, spec)
	if err != nil {
		if !errors.Is(err, errConn) {
			_ = s.conn.Send(wire.AppendFailed(s.conn.Begin(wire.Failed), err), nil) // the server sees that it closes
		}
		return nil, nil
	}
	answer := s.conn.Begin(wire.Opened)
	if session != nil {
		answer = wire.AppendOpening(answer, session.Opened())
	}
	if s.conn.Send(answer, nil) != nil {
		if session != nil {
			_ = session.Close() // nobody to tell
			release()
		}
		return nil, nil
	}
	return session, release
}

// errConn means that the session's connection is of no use any more.
var errConn = errors.New("the connection to the server")

// load loads a program, or prepares it.
func (w *server) load(s *served, kind wire.Kind, spec *wasm.Spec) (session *wasm.LocalSession, release func(), err error) {
	if (kind == wire.Prepare) != (w.code != nil) {
		return nil, nil, wire.ErrFrame
	}
	if spec.Dir, release, err = w.packages.take(spec.Digest, s.conn); err != nil {
		return nil, nil, err
	}
	if kind == wire.Prepare {
		defer release()
		if err := w.local.Prepare(s.ctx, spec); err != nil {
			return nil, nil, err
		}
		return nil, nil, w.code.handOver(s.conn)
	}
	opened, err := w.local.Open(s.ctx, spec)
	if err != nil {
		release()
		return nil, nil, err
	}
	return opened.(*wasm.LocalSession), release, nil //nolint:forcetypeassert // as Local says
}

// serve serves one request. An error ends the session.
func (s *served) serve(ctx context.Context, session *wasm.LocalSession) error {
	kind, body, err := s.conn.Next()
	if err != nil {
		return err
	}
	req := wasm.Request{Log: holder{s.conn}, Fetch: s.fetch}
	if kind != wire.Request {
		return wire.ErrFrame
	}
	if err := wire.DecodeRequest(body, &req); err != nil {
		return err
	}
	answer, err := session.Run(s.begin(), &req)
	s.end(ctx)
	if err != nil {
		return s.conn.Send(wire.AppendFailed(s.conn.Begin(wire.Failed), err), nil)
	}
	return s.conn.Send(wire.AppendAnswer(s.conn.Begin(wire.Answer), answer), answer.Payload)
}

// fetch has the server make a request for the guest. Where the connection is of
// no use any more, so is what comes of this.
func (s *served) fetch(_ context.Context, request []byte) []byte {
	s.conn.Detach() // the event is a part of the last frame
	if s.conn.Send(s.conn.Begin(wire.Fetch), request) != nil {
		return nil
	}
	kind, body, err := s.conn.Next()
	if err != nil || kind != wire.Fetched {
		return nil
	}
	s.conn.Detach()
	return body
}

// renew makes a context for requests to come, until one of them is cancelled.
func (s *served) renew(ctx context.Context) { s.ctx, s.cancel = context.WithCancel(ctx) }

// begin counts a request and returns its context.
func (s *served) begin() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request++
	if s.cancelled >= s.request { // it was, before it came
		s.cancel()
	}
	return s.ctx
}

// end makes ready for the next request.
func (s *served) end(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.renew(ctx)
	}
}

// cancel ends a request of a session, if it runs or is still to come.
func (w *server) cancel(id, request uint64) {
	w.mu.Lock()
	s := w.sessions[id]
	w.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelled = max(s.cancelled, request)
	if s.request == request {
		s.cancel()
	}
}

// A holder is a logger that sends what a guest logs along with its answer, or
// when the guest has run for a while.
type holder struct{ conn *wire.Conn }

// Write implements wasm.Log.
func (h holder) Write(p []byte) (int, error) {
	if len(p) > wire.MaxLog {
		return logger(h).Write(p)
	}
	if err := h.conn.Hold(h.conn.Begin(wire.Log), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush implements wasm.HeldLog.
func (h holder) Flush() {
	_ = h.conn.Flush() // the session finds the connection broken when it answers
}

// A logger sends what a guest logs.
type logger struct{ conn *wire.Conn }

// Write implements wasm.Log.
func (l logger) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		part := p[:min(len(p), wire.MaxLog)]
		if err := l.conn.Send(l.conn.Begin(wire.Log), part); err != nil {
			return written, err
		}
		written += len(part)
		p = p[len(part):]
	}
	return written, nil
}
