package url

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// maxEvent is the most that a synchronous invocation carries, in bytes.
const maxEvent = 6291456

// Functions finds the function behind a URL id; [store.Store] does.
type Functions interface {
	FunctionByURL(id string) (*millicent.Function, *millicent.FunctionURL, error)
}

// Invoker runs an invocation; [invoke.Invoker] does.
type Invoker interface {
	Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
}

// Verifier tells who signed a request, for URLs of AuthType AWS_IAM. It reads
// the body to check it against the signature, and leaves it readable.
type Verifier interface {
	Verify(r *http.Request) (millicent.Identity, error)
}

// Config configures a Handler; all of it is required.
type Config struct {
	Region    string
	Functions Functions
	Invoker   Invoker
	Verifier  Verifier
	Log       *slog.Logger
}

// A Handler serves function URLs.
type Handler struct{ cfg Config }

// New returns a Handler.
func New(cfg Config) *Handler { return &Handler{cfg} }

// Answers recorded of AWS that no exception's form covers.
const (
	answerUnknown   = `{"Message":null}`
	answerForbidden = `{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}`
	answerFailed    = "Internal Server Error"
)

// Serve serves a request for target. An error is the platform's, not yet
// answered.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, target Target) error {
	f, u, err := h.lookup(target)
	if err != nil {
		return deny(w, answerUnknown)
	}
	if u.CORS != nil && isPreflight(r) {
		preflight(u.CORS, r.Header, w.Header())
		w.WriteHeader(http.StatusOK)
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxEvent)
	signer, err := h.admit(r, f, u)
	switch {
	case errors.Is(err, errForbidden):
		return deny(w, answerForbidden)
	case err != nil:
		return sized(err)
	}
	if target.Domain == "" {
		target.Domain = Host(target.ID, h.cfg.Region)
	}
	inv, err := h.invocation(r, f, u, target, signer)
	if err != nil {
		return err
	}
	if u.InvokeMode == millicent.ResponseStream {
		out := h.newSink(w, r, u)
		inv.Sink = out
		return out.finish(h.cfg.Invoker.Invoke(r.Context(), inv))
	}
	res, err := h.cfg.Invoker.Invoke(r.Context(), inv)
	if err != nil {
		return err
	}
	return h.answer(w, r, u, res)
}

// lookup finds the URL; one of another region is unknown here.
func (h *Handler) lookup(t Target) (*millicent.Function, *millicent.FunctionURL, error) {
	if t.Region != "" && t.Region != h.cfg.Region {
		return nil, nil, millicent.Errorf(millicent.CodeNotFound, "function URL of region %s", t.Region)
	}
	return h.cfg.Functions.FunctionByURL(t.ID)
}

var errForbidden = errors.New("not allowed to invoke the function URL")

// admit returns who signed the request, nil when the URL needs no signature.
func (h *Handler) admit(r *http.Request, f *millicent.Function, u *millicent.FunctionURL) (*millicent.Identity, error) {
	if u.AuthType == "NONE" {
		return nil, nil
	}
	id, err := h.cfg.Verifier.Verify(r)
	if millicent.ErrorCode(err) == "MissingAuthenticationTokenException" {
		return nil, errForbidden
	}
	if err != nil {
		return nil, err
	}
	if id.Tenant != f.Tenant {
		return nil, errForbidden
	}
	return &id, nil
}

// invocation returns the call that a request makes.
func (h *Handler) invocation(r *http.Request, f *millicent.Function, u *millicent.FunctionURL, target Target, signer *millicent.Identity) (*millicent.Invocation, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, sized(err)
	}
	now := time.Now()
	req := Request{
		HTTP: r, Body: body, Target: target, Identity: signer, Now: now,
		ID:      millicent.RequestIDFrom(r.Context()),
		TraceID: traceID(r.Header.Get("X-Amzn-Trace-Id"), now),
	}
	event, err := EventFrom(req)
	if err != nil {
		return nil, err
	}
	if len(event) > maxEvent {
		return nil, errTooLarge
	}
	inv := &millicent.Invocation{
		ID: req.ID, Tenant: f.Tenant, Function: f.Name, Qualifier: u.Qualifier,
		ARN:   millicent.ARN(h.cfg.Region, f.Tenant, f.Name, u.Qualifier),
		Event: event, TraceID: req.TraceID, Received: now,
	}
	if signer != nil {
		inv.Key = signer.AccessKey
	}
	if c, ok := millicent.CallerFrom(r.Context()); ok {
		inv.Lineage = c.Causes()
	}
	return inv, nil
}

// answer writes what the function answered.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, u *millicent.FunctionURL, res *millicent.Result) error {
	resp, err := ResponseFrom(res.Payload)
	if res.FunctionError != "" || err != nil {
		if err != nil && res.FunctionError == "" {
			h.cfg.Log.Warn("function URL got a malformed result", "url", u.ID, "error", err)
		}
		resp = failed()
	}
	if !bodyless(resp.Status) {
		w.Header().Set("Content-Length", strconv.Itoa(len(resp.Body)))
	}
	h.writeHead(w, r, u, resp)
	if bodyless(resp.Status) || r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(resp.Body); err != nil {
		h.cfg.Log.Debug("client left", "url", u.ID, "error", err)
	}
	return nil
}

// failed is the answer of a function that failed.
func failed() *Response {
	resp := inferred([]byte(answerFailed))
	resp.Status = http.StatusBadGateway
	return resp
}

// bodyless reports whether an answer of that status has no body.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// writeHead writes all of an answer but its body.
func (h *Handler) writeHead(w http.ResponseWriter, r *http.Request, u *millicent.FunctionURL, resp *Response) {
	if u.CORS != nil {
		crossOrigin(u.CORS, r.Header, resp.Header)
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.Status)
}

// errTooLarge is the answer to an event beyond maxEvent.
var errTooLarge = millicent.Errorf("RequestTooLargeException",
	"Request must be smaller than %d bytes for the InvokeFunction operation", maxEvent)

// sized turns the error of a body beyond its limit into the protocol's.
func sized(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errTooLarge
	}
	var known *millicent.Error
	if errors.As(err, &known) {
		return err
	}
	return &millicent.Error{Code: "InvalidRequestContentException", Message: "Could not read the request's body.", Err: err}
}

func deny(w http.ResponseWriter, body string) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", millicent.CodeAccessDenied)
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, body) // a client that left misses nothing
	return nil
}

// traceID returns the client's trace id, or a new one in X-Ray's form.
func traceID(given string, now time.Time) string {
	if given != "" && len(given) <= 1024 {
		return given
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("Root=1-%08x-%s", now.Unix(), hex.EncodeToString(b[:]))
}
