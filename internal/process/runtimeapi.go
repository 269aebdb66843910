package process

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/millicent-run/millicent/internal/lifecycle"
)

// Bounds of what a runtime may send. The header limit lets pass the 1 MB of
// X-Ray cause that aws-lambda-go may send.
const (
	maxPayload = 6<<20 + 100 // response or error document, in bytes
	maxDiscard = 128 << 20   // what is read and thrown away of a larger one, so that the refusal arrives
	maxHeader  = 1<<20 + 64<<10
	maxTrailer = 256 << 10 // error document in a trailer, base64
)

const errNotAllowed = "State transition is not allowed"

// routes is the whole Runtime API.
func (s *session) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/ping", s.ping)
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", s.respond)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", s.fail)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", s.failInit)
	mux.HandleFunc("GET /2018-06-01/runtime/restore/next", s.refuse(stateRestoreReady))
	mux.HandleFunc("POST /2018-06-01/runtime/restore/error", s.refuse(stateRestoreError))
	mux.HandleFunc("POST /2020-01-01/extension/register", s.registerExtension)
	mux.HandleFunc("GET /2020-01-01/extension/event/next", s.nextExtensionEvent)
	return mux
}

func (s *session) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "pong") // a runtime that hung up needs no answer
}

// next hands the runtime its next event. Asking again while an event is being
// worked on returns the same event.
func (s *session) next(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	state, ok := s.ask()
	t := s.turn
	s.mu.Unlock()
	switch {
	case !ok:
		answerTransition(w, state, stateReady)
		return
	case state == stateRunning:
		writeEvent(w, t)
		return
	}
	for {
		watch := s.watch((*session).due)
		select {
		case <-watch.met:
		case <-r.Context().Done():
			s.unwatch(watch)
			return
		}
		if r.Context().Err() != nil {
			return // an event given to a runtime that hung up would be lost
		}
		s.mu.Lock()
		if s.due() { // and not yet taken by another connection
			t := s.take()
			s.mu.Unlock()
			writeEvent(w, t)
			return
		}
		s.mu.Unlock()
	}
}

func writeEvent(w http.ResponseWriter, t *turn) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", t.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(t.deadline.UnixMilli(), 10))
	setUnlessEmpty(h, "Lambda-Runtime-Invoked-Function-Arn", t.arn)
	setUnlessEmpty(h, "Lambda-Runtime-Trace-Id", t.trace)
	setUnlessEmpty(h, "Lambda-Runtime-Client-Context", string(t.client))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(t.event) // a runtime that hung up asks again or times out
}

func setUnlessEmpty(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// claimed is claim for the invocation that r names. When it refuses, it has
// answered.
func (s *session) claimed(w http.ResponseWriter, r *http.Request, state runtimeState) (*turn, bool) {
	t, from, known := s.claim(r.PathValue("id"), state)
	switch {
	case !known:
		answerError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	case t == nil:
		answerTransition(w, from, state)
	}
	return t, t != nil
}

func (s *session) respond(w http.ResponseWriter, r *http.Request) {
	t, ok := s.claimed(w, r, stateResponse)
	if !ok {
		return
	}
	mode := r.Header.Get("Lambda-Runtime-Function-Response-Mode")
	if mode != "" && mode != "streaming" {
		s.settle(t, &outcome{failure: responseModeFailure()})
		answerError(w, http.StatusBadRequest, "InvalidFunctionResponseMode", "Invalid function response mode")
		return
	}
	if t.stream != nil && (mode != "" || r.ContentLength < 0) {
		s.respondInParts(w, r, t)
		return
	}
	body, err := readBody(r)
	switch {
	case errors.Is(err, errTooLarge):
		s.settle(t, &outcome{failure: lifecycle.ResponseTooLarge(maxPayload)})
		answerTooLarge(w, maxPayload)
	case err != nil:
		s.settle(t, &outcome{failure: truncatedResponse()})
		answerTruncated(w)
	default:
		s.settle(t, endOf(r, &outcome{payload: body, contentType: r.Header.Get("Content-Type")}))
		answerAccepted(w)
	}
}

// trailerFailure is a response that broke off: its error came in trailers.
func trailerFailure(kind, body string) *lifecycle.Failure {
	f := &lifecycle.Failure{Type: lifecycle.FunctionErrorType(kind)}
	if len(body) <= maxTrailer {
		if doc, err := base64.StdEncoding.DecodeString(body); err == nil {
			f.Document = doc
		}
	}
	if f.Document == nil {
		f.Document = lifecycle.ErrorDocument(f.Type, "The function's response broke off.")
	}
	return f
}

func (s *session) fail(w http.ResponseWriter, r *http.Request) {
	t, ok := s.claimed(w, r, stateErrorResponse)
	if !ok {
		return
	}
	body, err := readBody(r)
	switch {
	case errors.Is(err, errTooLarge):
		s.settle(t, &outcome{failure: lifecycle.ResponseTooLarge(maxPayload)})
		answerTooLarge(w, maxPayload)
		return
	case err != nil:
		s.settle(t, &outcome{failure: truncatedResponse()})
		answerTruncated(w)
		return
	}
	kind := lifecycle.FunctionErrorType(r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	if r.Header.Get("Content-Type") == "application/vnd.aws.lambda.error.cause+json" {
		body = withoutCause(body)
	}
	s.settle(t, &outcome{failure: &lifecycle.Failure{Type: kind, Document: body}})
	answerAccepted(w)
}

func (s *session) failInit(w http.ResponseWriter, r *http.Request) {
	if from, ok := s.claimInit(); !ok {
		answerTransition(w, from, stateInitError)
		return
	}
	f := &lifecycle.Failure{Type: lifecycle.RuntimeErrorType(r.Header.Get("Lambda-Runtime-Function-Error-Type"))}
	body, err := readBody(r)
	switch {
	case errors.Is(err, errTooLarge):
		f = lifecycle.ResponseTooLarge(maxPayload)
		answerTooLarge(w, maxPayload)
	case err != nil:
		f = truncatedResponse()
		answerTruncated(w)
	default:
		f.Document = body
		answerAccepted(w)
	}
	s.settleInit(f)
}

// refuse answers a call that belongs to snapshots, which no session is in.
func (s *session) refuse(to runtimeState) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		from := s.state
		s.mu.Unlock()
		answerTransition(w, from, to)
	}
}

var errTooLarge = errors.New("payload too large")

// readBody reads a payload; of one that is too large it reads on without
// keeping, so that the sender gets to see the refusal.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("read payload: %w", err)
	}
	if len(body) > maxPayload {
		_, _ = io.CopyN(io.Discard, r.Body, maxDiscard) // its length decides nothing
		return nil, errTooLarge
	}
	return body, nil
}

// withoutCause takes the X-Ray cause out of an error document that carries
// one; what is no such document stays as it is.
func withoutCause(body []byte) []byte {
	var doc struct {
		ErrorMessage string   `json:"errorMessage"`
		ErrorType    string   `json:"errorType"`
		StackTrace   []string `json:"stackTrace,omitempty"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return body
	}
	return lifecycle.Encode(doc)
}
