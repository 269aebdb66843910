package process

import (
	"slices"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// The states of a runtime, by the names that the protocol's answers use.
//
//	Started ──next──► Ready ──event──► Running ─┬─response─► InvocationResponse ──────┐
//	   │                ▲                       └─error────► InvocationErrorResponse ─┤
//	   └─init/error     └──────────────next──────────── RuntimeResponseSentState ◄────┘
type runtimeState string

const (
	stateStarted       runtimeState = "Started"
	stateInitError     runtimeState = "InitError"
	stateReady         runtimeState = "Ready"
	stateRunning       runtimeState = "Running"
	stateResponse      runtimeState = "InvocationResponse"
	stateErrorResponse runtimeState = "InvocationErrorResponse"
	stateResponseSent  runtimeState = "RuntimeResponseSentState"
	stateRestoreReady  runtimeState = "RestoreReady" // only ever the target of a refusal
	stateRestoreError  runtimeState = "RuntimeRestoreErrorState"
)

// A session is what the platform knows about one run of a runtime: where it
// stands, and the invocation that it has been given. What the runtime says
// moves it, be it by the Runtime API or by a link, and the environment does by
// offering turns.
type session struct {
	version *millicent.Version

	mu         sync.Mutex
	state      runtimeState
	turn       *turn                 // the latest, nil before the first
	initFailed *lifecycle.Failure    // what the runtime reported of its Init
	extensions map[string]*extension // by identifier; nil before the first
	watches    []*watch
	takers     []*runtimeConn // on which the runtime waits for its next event
}

// A watch waits for a session to come to a point.
type watch struct {
	cond func(*session) bool // called with mu held
	met  chan struct{}       // closed once cond held
}

// A turn is one invocation in the hands of a runtime.
type turn struct {
	id       string
	arn      string
	trace    string
	client   []byte // the client context, JSON or empty
	event    []byte
	deadline time.Time

	stream    *stream  // takes the response as it comes; nil where it is wanted whole
	answer    outcome  // room for what a link brings
	outcome   *outcome // nil while there is none
	delivered bool     // the runtime has been given the event
	abandoned bool     // nobody waits for the outcome any more
}

// An outcome is what a runtime made of a turn. A payload without a failure is
// a success, and so is none where the response was streamed.
type outcome struct {
	payload     []byte
	contentType string
	failure     *lifecycle.Failure
}

func newSession(v *millicent.Version) *session {
	return &session{version: v, state: stateStarted}
}

// newTurn prepares the event as the runtime will see it. An empty event
// reaches functions as an empty object.
func newTurn(inv *millicent.Invocation, deadline time.Time) *turn {
	event := inv.Event
	if len(event) == 0 {
		event = []byte("{}")
	}
	return &turn{
		id: inv.ID, arn: inv.ARN, trace: inv.TraceID, client: inv.ClientContext,
		event: event, deadline: deadline,
	}
}

// announce tells the watches that something changed. Callers hold mu.
func (s *session) announce() {
	s.watches = slices.DeleteFunc(s.watches, func(w *watch) bool {
		if !w.cond(s) {
			return false
		}
		close(w.met)
		return true
	})
}

// watch begins a watch for cond, which is called with mu held; unwatch ends
// it.
func (s *session) watch(cond func(*session) bool) *watch {
	w := &watch{cond, make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cond(s) {
		close(w.met)
		return w
	}
	s.watches = append(s.watches, w)
	return w
}

// unwatch ends a watch, whether or not it was met.
func (s *session) unwatch(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.watches, w); i >= 0 {
		s.watches = slices.Delete(s.watches, i, i+1)
	}
}

// holds reports whether cond holds now.
func (s *session) holds(cond func(*session) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cond(s)
}

// answered reports whether there is an outcome of the latest turn. Callers hold
// mu.
func (s *session) answered() bool { return s.turn.outcome != nil }

// ready reports whether the runtime waits for its next event. Callers hold mu.
func (s *session) ready() bool { return s.state == stateReady }

// idle reports whether the runtime and the extensions that take part in
// invocations all wait for what comes next. Callers hold mu.
func (s *session) idle() bool {
	if s.state != stateReady {
		return false
	}
	for _, x := range s.extensions {
		if !x.waiting {
			return false
		}
	}
	return true
}

// ask is the runtime's wish for its next event: it is ready from then on,
// unless it is at work on one. ok is false where it may not ask. Callers hold
// mu.
func (s *session) ask() (from runtimeState, ok bool) {
	switch s.state {
	case stateStarted, stateResponseSent:
		s.state = stateReady
		s.announce()
	case stateReady, stateRunning:
	default:
		return s.state, false
	}
	return s.state, true
}

// due reports whether there is an event for a runtime that waits. Callers
// hold mu.
func (s *session) due() bool {
	t := s.turn
	return s.state == stateReady && t != nil && !t.delivered && !t.abandoned
}

// take gives the runtime the event that is due. Callers hold mu.
func (s *session) take() *turn {
	s.state = stateRunning
	s.turn.delivered = true
	s.announce()
	return s.turn
}

// claim moves from Running to state for the invocation of an id, so that
// exactly one answer is read. Otherwise it returns nil, and known says whether
// the id was right.
func (s *session) claim(id string, state runtimeState) (t *turn, from runtimeState, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, from = s.turn, s.state
	if t == nil || t.abandoned || t.id != id {
		return nil, from, false
	}
	if s.state != stateRunning {
		return nil, from, true
	}
	s.state = state
	s.announce()
	return t, from, true
}

// settle stores what came of t, unless its time was over before. It is nil
// where that cannot be said.
func (s *session) settle(t *turn, out *outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn != t {
		return
	}
	if !t.abandoned && t.outcome == nil {
		t.outcome = out
	}
	s.state = stateResponseSent
	s.announce()
}

// foretell stores what will come of t, of which the runtime has not sent the
// end yet.
func (s *session) foretell(t *turn, out *outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == t && !t.abandoned {
		t.outcome = out
		s.announce()
	}
}

// claimInit moves to InitError, so that one report is read; ok is false where
// Init is over.
func (s *session) claimInit() (from runtimeState, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateStarted {
		return s.state, false
	}
	s.state = stateInitError
	return s.state, true
}

// settleInit stores how Init failed.
func (s *session) settleInit(f *lifecycle.Failure) {
	f.Fatal = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.initFailed = f
	s.announce()
}

// initialised reports that the Init phase is over, one way or the other.
// Callers hold mu.
func (s *session) initialised() bool { return s.idle() || s.initFailed != nil }

// initFailure returns what the runtime posted to init/error, nil if nothing.
func (s *session) initFailure() *lifecycle.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.initFailed
}

// offer gives t to the runtime, which waits for it; false when the runtime
// does not wait.
func (s *session) offer(t *turn) bool {
	s.mu.Lock()
	if !s.idle() {
		s.mu.Unlock()
		return false
	}
	s.turn = t
	for _, x := range s.extensions {
		if x.invoke {
			x.pending = t
		}
	}
	if len(s.takers) == 0 {
		s.announce()
		s.mu.Unlock()
		return true
	}
	c := s.takers[0]
	s.untake(c)
	c.writing.Lock() // before anybody knows
	s.take()
	s.mu.Unlock()
	c.give(t)
	return true
}

// untake removes a connection from those that wait. Callers hold mu.
func (s *session) untake(c *runtimeConn) {
	if i := slices.Index(s.takers, c); i >= 0 {
		s.takers = slices.Delete(s.takers, i, i+1)
	}
}

// moved is that of the latest turn's stream, 0 without one.
func (s *session) moved() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == nil || s.turn.stream == nil {
		return 0
	}
	return s.turn.stream.moved.Load()
}

// abandon ends the wait for t's outcome and returns the outcome if one came
// first. What the runtime sends for t from now on is refused.
func (s *session) abandon(t *turn) (out *outcome, delivered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.outcome == nil {
		t.abandoned = true
	}
	return t.outcome, t.delivered
}

// hasExtensions reports whether the runtime registered any, which is what
// earns it a SIGTERM and time to act on it at shutdown.
func (s *session) hasExtensions() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.extensions) > 0
}
