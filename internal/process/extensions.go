package process

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/google/uuid"
)

// Internal extensions: parts of the runtime's own process that register to
// learn of invocations, or only to be sent SIGTERM before the end.

const (
	maxExtensions   = 10
	maxRegistration = 64 << 10
)

var extensionName = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

// An extension is one that registered in a session; the session's mu guards it.
type extension struct {
	name    string
	invoke  bool  // wants INVOKE events
	waiting bool  // asks for its next event
	pending *turn // the event that it has not been given yet
}

func (s *session) registerExtension(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get("Lambda-Extension-Name")
	if !extensionName.MatchString(name) {
		answerError(w, http.StatusForbidden, "Extension.InvalidExtensionName", "Empty extension name")
		return
	}
	x, errorType, message := newExtension(name, io.LimitReader(r.Body, maxRegistration))
	if x == nil {
		answerError(w, http.StatusForbidden, errorType, message)
		return
	}
	id := uuid.NewString()
	if errorType, message = s.admit(id, x); errorType != "" {
		answerError(w, http.StatusForbidden, errorType, message)
		return
	}
	doc := struct {
		FunctionName    string `json:"functionName"`
		FunctionVersion string `json:"functionVersion"`
		Handler         string `json:"handler"`
		AccountID       string `json:"accountId,omitempty"`
	}{s.version.Function, s.version.Number, s.version.Handler, ""}
	if r.Header.Get("Lambda-Extension-Accept-Feature") == "accountId" {
		doc.AccountID = s.version.Tenant
	}
	w.Header().Set("Lambda-Extension-Identifier", id)
	answer(w, http.StatusOK, doc)
}

// newExtension reads a registration; x is nil when it is refused.
func newExtension(name string, body io.Reader) (x *extension, errorType, message string) {
	var reg struct {
		Events []string `json:"events"`
	}
	if err := json.NewDecoder(body).Decode(&reg); err != nil {
		return nil, "InvalidRequestFormat", err.Error()
	}
	x = &extension{name: name}
	for _, event := range reg.Events {
		if event != "INVOKE" {
			return nil, "Extension.InvalidEventType", fmt.Sprintf("%.64s: event not allowed for an internal extension", event)
		}
		x.invoke = true
	}
	return x, "", ""
}

// admit adds x to the session; errorType is empty when it was added.
func (s *session) admit(id string, x *extension) (errorType, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateStarted {
		return "Extension.RegistrationClosed", "Extension registration closed already"
	}
	for _, other := range s.extensions {
		if other.name == x.name {
			return "Extension.InvalidExtensionState", "Extension with this name already registered"
		}
	}
	if len(s.extensions) == maxExtensions {
		return "Extension.TooManyExtensions", fmt.Sprintf("Extension limit (%d) reached", maxExtensions)
	}
	if s.extensions == nil {
		s.extensions = map[string]*extension{}
	}
	s.extensions[id] = x
	return "", ""
}

// nextExtensionEvent hands an extension its next event; one that registered
// for none waits until the session ends.
func (s *session) nextExtensionEvent(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Lambda-Extension-Identifier")
	if id == "" {
		answerError(w, http.StatusForbidden, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
		return
	}
	if _, err := uuid.Parse(id); err != nil {
		answerError(w, http.StatusForbidden, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
		return
	}
	s.mu.Lock()
	x := s.extensions[id]
	if x == nil {
		s.mu.Unlock()
		answerError(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "Unknown extension "+id)
		return
	}
	x.waiting = true
	s.announce()
	s.mu.Unlock()
	for {
		watch := s.watch(func(*session) bool { return x.pending != nil })
		select {
		case <-watch.met:
		case <-r.Context().Done():
			s.unwatch(watch)
			return
		}
		s.mu.Lock()
		t := x.pending
		if t != nil { // and not yet given to another connection
			x.pending, x.waiting = nil, false
		}
		s.mu.Unlock()
		if t != nil {
			answerInvoke(w, t)
			return
		}
	}
}

func answerInvoke(w http.ResponseWriter, t *turn) {
	type tracing struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	doc := struct {
		EventType          string   `json:"eventType"`
		DeadlineMs         int64    `json:"deadlineMs"`
		RequestID          string   `json:"requestId"`
		InvokedFunctionArn string   `json:"invokedFunctionArn"`
		Tracing            *tracing `json:"tracing,omitempty"`
	}{"INVOKE", t.deadline.UnixMilli(), t.id, t.arn, nil}
	if t.trace != "" {
		doc.Tracing = &tracing{"X-Amzn-Trace-Id", t.trace}
	}
	w.Header().Set("Lambda-Extension-Event-Identifier", uuid.NewString())
	answer(w, http.StatusOK, doc)
}
