package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/lambda"
	"github.com/millicent-run/millicent/internal/api/native"
	"github.com/millicent-run/millicent/internal/api/scheduler"
	"github.com/millicent-run/millicent/internal/api/sqs"
	"github.com/millicent-run/millicent/internal/api/url"
)

// LambdaAPI is the Lambda API; *lambda.Handler is it.
type LambdaAPI interface {
	Match(r *http.Request) bool
	Operation(r *http.Request) (name, function string)
	Serve(w http.ResponseWriter, r *http.Request) error
}

// Config gives a Handler the APIs that it serves. All of it is required.
type Config struct {
	Region    string
	Auth      *Auth
	Lambda    LambdaAPI
	SQS       *sqs.Handler
	Scheduler *scheduler.Handler
	URL       *url.Handler
	Native    *native.Handler
	Console   http.Handler
	Metrics   http.Handler
	Log       *slog.Logger
}

// A Handler serves all requests of a server.
type Handler struct {
	cfg     Config
	foreign foreign
	bodies  budget       // of the requests being served
	urls    budget       // of those to function URLs
	inside  insideBodies // of those from within sandboxes
}

// New returns a Handler.
func New(cfg Config) *Handler {
	return &Handler{cfg: cfg, foreign: newForeign(), bodies: budget{limit: maxBodies}, urls: budget{limit: maxURLBodies},
		inside: insideBodies{whole: budget{limit: maxInsideBodies}}}
}

// Operator returns the handler for the admin socket: who can open it owns the
// server, and need not sign.
func (h *Handler) Operator() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(asOperator(r.Context())))
	})
}

// Plain reports whether a request is one that ServeHTTP answers in one piece,
// without streaming: an invocation that is to no function URL.
func (h *Handler) Plain(r *http.Request) bool {
	_, isURL := url.Match(r)
	return !isURL && lambda.Invokes(r)
}

// An exchange is all that there is of a request while it is served, in memory
// of one piece.
type exchange struct {
	call    millicent.Call
	request http.Request
	body    body
	answer  answer
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	x := &exchange{call: millicent.Call{ID: uuid.NewString()}}
	x.request = *r.WithContext(millicent.WithCall(r.Context(), &x.call))
	call, r := &x.call, &x.request
	target, isURL := url.Match(r)
	bodies := &h.bodies
	if isURL {
		bodies = &h.urls
	}
	if caller, ok := millicent.CallerFrom(r.Context()); ok {
		part, done := h.inside.of(caller)
		defer done()
		bodies = part
	}
	other := h.other(r)
	if isURL {
		other = nil // whatever is asked of a function URL is for the function
	}
	a, in := &x.answer, &x.body
	a.to(w)
	a.boundBody(in, r, bodies, begin)
	a.apart = isURL && target.Domain == ""
	a.Header()["X-Amzn-Requestid"] = []string{call.ID}
	defer func() {
		in.release()
		if !h.cfg.Log.Enabled(r.Context(), slog.LevelDebug) {
			return
		}
		h.cfg.Log.Debug("request", "id", call.ID, "method", r.Method, "path", r.URL.Path, "host", r.Host,
			"status", a.status, "bytes", a.bytes, "duration", time.Since(begin))
	}()
	defer func() {
		if p := recover(); p != nil {
			h.recovered(a, r, other, p)
		}
	}()
	var err error
	switch {
	case isURL:
		err = h.cfg.URL.Serve(a, r, target)
	case other != nil:
		err = h.serveOther(a, r, call, other)
	default:
		err = h.serve(a, r, call)
	}
	switch {
	case err == nil && a.status == 0:
		a.WriteHeader(http.StatusOK) // an answer without a body, as the server would send it
	case err != nil:
		if in.refused != nil {
			err = in.refused // whatever the reader made of it
		}
		h.refuse(a, r, other, err)
	}
	if a.bytes == 0 {
		a.allow() // what has no body is written once this has returned
	}
}

// serve sends a request that is to no function URL where it belongs.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, call *millicent.Call) error {
	if err := h.checkForeign(r); err != nil {
		return err
	}
	if strings.HasPrefix(r.URL.Path, native.Prefix) && native.Public(r) {
		return h.cfg.Native.Serve(w, r)
	}
	if isConsole(r) {
		return h.serveConsole(w, r)
	}
	id, err := h.identify(r)
	if err != nil {
		return err
	}
	if err := h.authorize(r, id); err != nil {
		return err
	}
	call.Identity = id
	return h.route(w, r)
}

// An otherAPI is one beside the Lambda API, which says itself what functions
// may ask of it, and has its own form of errors.
type otherAPI interface {
	Serve(w http.ResponseWriter, r *http.Request) error

	// Answer returns what is sent for an error of Serve's, or for one of the
	// listener's own, which has a status then.
	Answer(r *http.Request, err error, status int) (int, http.Header, []byte)
}

// other returns the API beside the Lambda API that a request is to, nil for
// none.
func (h *Handler) other(r *http.Request) otherAPI {
	switch {
	case sqs.Match(r):
		return h.cfg.SQS
	case scheduler.Match(r):
		return h.cfg.Scheduler
	}
	return nil
}

func (h *Handler) serveOther(w http.ResponseWriter, r *http.Request, call *millicent.Call, api otherAPI) error {
	if err := h.checkForeign(r); err != nil {
		return err
	}
	id, err := h.cfg.Auth.Identify(r)
	if err != nil {
		return err
	}
	call.Identity = id
	return api.Serve(w, r)
}

// checkForeign applies where nothing else tells callers from web pages.
func (h *Handler) checkForeign(r *http.Request) error {
	_, inside := millicent.CallerFrom(r.Context())
	if h.cfg.Auth.cfg.Verified || inside || isOperator(r.Context()) {
		return nil
	}
	return h.foreign.check(r)
}

func (h *Handler) route(w http.ResponseWriter, r *http.Request) error {
	switch {
	case strings.HasPrefix(r.URL.Path, native.Prefix):
		return h.cfg.Native.Serve(w, r)
	case r.URL.Path == "/metrics" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return h.serveMetrics(w, r)
	case h.cfg.Lambda.Match(r):
		return h.cfg.Lambda.Serve(w, r)
	}
	if s, err := parseSignature(r); err == nil && s.service != "lambda" {
		return millicent.Errorf(codeUnknown, "This is a Lambda API; it does not serve %.40q", s.service)
	}
	return millicent.Errorf(codeUnknown, "Nothing is served at %s %.200s", r.Method, r.URL.Path)
}

// serveMetrics answers the metrics, which are of all accounts: to the operator
// and the server's own account.
func (h *Handler) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	if id := millicent.IdentityFrom(r.Context()); !id.Operator && id.Tenant != h.cfg.Auth.cfg.Account {
		return millicent.Errorf(millicent.CodeAccessDenied, "The metrics are of all accounts: they are told to the server's own account, and on the admin socket.")
	}
	h.cfg.Metrics.ServeHTTP(w, r)
	return nil
}

// refuse answers an error, and logs it when it is ours.
func (h *Handler) refuse(a *answer, r *http.Request, other otherAPI, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client left: nobody reads an answer
	}
	status, header, body := answerOf(r, other, err)
	log := h.cfg.Log.With("id", millicent.RequestIDFrom(r.Context()),
		"method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented && status != http.StatusServiceUnavailable {
		log.Error("request failed")
	} else {
		log.Debug("request refused")
	}
	a.send(status, header, body)
}

// recovered answers a panic; what was already begun is cut off, so that the
// client cannot take a part for the whole.
func (h *Handler) recovered(a *answer, r *http.Request, other otherAPI, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	h.cfg.Log.Error("panic while serving", "id", millicent.RequestIDFrom(r.Context()),
		"method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	status, header, body := answerOf(r, other, fmt.Errorf("panic: %v", p))
	a.send(status, header, body)
}
