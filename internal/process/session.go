package process

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
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

// A session is what the Runtime API knows about one run of a runtime: where
// it stands, and the invocation that it has been given. The HTTP side moves
// it by what the runtime sends, the environment by offering turns.
type session struct {
	version *millicent.Version

	mu         sync.Mutex
	state      runtimeState
	turn       *turn                 // the latest, nil before the first
	initFailed *failure              // what the runtime posted to init/error
	extensions map[string]*extension // by identifier
	changed    chan struct{}         // closed and replaced at every change
}

// A turn is one invocation in the hands of a runtime.
type turn struct {
	id       string
	arn      string
	trace    string
	event    []byte
	header   http.Header // of the answer that carries the event
	deadline time.Time

	delivered bool     // the runtime has been given the event
	outcome   *outcome // nil while there is none
	abandoned bool     // nobody waits for the outcome any more
}

// An outcome is what a runtime made of a turn. A payload without a failure is
// a success.
type outcome struct {
	payload []byte
	failure *failure
}

func newSession(v *millicent.Version) *session {
	return &session{
		version:    v,
		state:      stateStarted,
		extensions: map[string]*extension{},
		changed:    make(chan struct{}),
	}
}

// newTurn prepares the event as the runtime will see it. An empty event
// reaches functions as an empty object.
func newTurn(inv *millicent.Invocation, deadline time.Time) *turn {
	event := inv.Event
	if len(event) == 0 {
		event = []byte("{}")
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.ID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(deadline.UnixMilli(), 10))
	for name, value := range map[string]string{
		"Lambda-Runtime-Invoked-Function-Arn": inv.ARN,
		"Lambda-Runtime-Trace-Id":             inv.TraceID,
		"Lambda-Runtime-Client-Context":       string(inv.ClientContext),
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return &turn{id: inv.ID, arn: inv.ARN, trace: inv.TraceID, event: event, header: h, deadline: deadline}
}

// announce tells every waiter that something changed. Callers hold mu.
func (s *session) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

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

// await returns a channel that is closed once cond holds. cond is called with
// mu held. The watch ends with stop being closed, without closing the channel.
func (s *session) await(stop <-chan struct{}, cond func() bool) <-chan struct{} {
	met := make(chan struct{})
	s.mu.Lock()
	if cond() {
		close(met)
		s.mu.Unlock()
		return met
	}
	changed := s.changed
	s.mu.Unlock()
	go func() {
		for {
			select {
			case <-changed:
			case <-stop:
				return
			}
			s.mu.Lock()
			ok := cond()
			changed = s.changed
			s.mu.Unlock()
			if ok {
				close(met)
				return
			}
		}
	}()
	return met
}

// initialised reports that the Init phase is over, one way or the other.
// Callers hold mu.
func (s *session) initialised() bool { return s.idle() || s.initFailed != nil }

// initFailure returns what the runtime posted to init/error, nil if nothing.
func (s *session) initFailure() *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.initFailed
}

// offer gives t to the runtime, which waits for it; false when the runtime
// does not wait.
func (s *session) offer(t *turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.idle() {
		return false
	}
	s.turn = t
	for _, x := range s.extensions {
		if x.invoke {
			x.pending = t
		}
	}
	s.announce()
	return true
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
