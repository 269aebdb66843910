package lambda

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

// Config gives a Handler what it works with. Region, Store, Invoker, URL and
// PackageURL are required.
type Config struct {
	Region  string
	Store   *store.Store
	Invoker Invoker

	// Tenant returns the account id that a request acts for; default the
	// tenant of the identity in the request's context.
	Tenant func(*http.Request) string

	// URL returns the public address of a function URL, by its id.
	URL func(id string) string

	// PackageURL returns an address from which a package can be fetched for a
	// while.
	PackageURL func(tenant string, p millicent.Package) string

	// Runtime says whether this machine can run a runtime: note warns, an
	// *millicent.Error refuses. Nil means that every runtime is welcome.
	Runtime func(name string) (note string, err error)

	// Allocation returns how far a version's provisioned environments are;
	// default: there are none.
	Allocation func(v *millicent.Version) millicent.Allocation

	Mappings Mappings

	// Packages fetches packages from S3; nil when there is no such store.
	Packages PackageSource

	// HasQueue reports whether a tenant has a standard queue of a name, which
	// can be a destination of Event invocations; default: there are none.
	HasQueue func(tenant, name string) bool

	Concurrency int              // invocations at a time for a tenant; default 1000
	Now         func() time.Time // default time.Now
	Log         *slog.Logger     // told of every change; default none
}

// Invoker runs invocations. *invoke.Invoker is one.
type Invoker interface {
	Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error)
	Enqueue(ctx context.Context, inv *millicent.Invocation) error
	Check(ctx context.Context, inv *millicent.Invocation) error
}

// Handler serves the Lambda API.
type Handler struct {
	cfg    Config
	routes routingTable

	invokeOp      *operation
	invokeHeaders []string // that an invocation may have, beside its path and body

	// uploads and fetches bound how many packages are worked on at a time,
	// each several times its size in memory: those sent as ZipFile, and those
	// fetched from S3, which may be slow.
	uploads, fetches chan struct{}

	// reserving is held while a function's reserved or provisioned concurrency
	// changes: the sum over all functions has a limit.
	reserving sync.Mutex
}

// New returns a Handler.
func New(cfg Config) *Handler {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 1000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Tenant == nil {
		cfg.Tenant = func(r *http.Request) string { return millicent.IdentityFrom(r.Context()).Tenant }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Allocation == nil {
		cfg.Allocation = func(*millicent.Version) millicent.Allocation { return millicent.Allocation{} }
	}
	if cfg.HasQueue == nil {
		cfg.HasQueue = func(string, string) bool { return false }
	}
	if cfg.Runtime == nil {
		cfg.Runtime = func(string) (string, error) { return "", nil }
	}
	h := &Handler{cfg: cfg, uploads: make(chan struct{}, maxUploads), fetches: make(chan struct{}, maxFetches)}
	h.routes = newRoutingTable(h.bindings())
	h.invokeOp, h.invokeHeaders = invokeOperation()
	return h
}

// A request is one call, without its typed input.
type request struct {
	id     string // empty when the listener gave none
	tenant string
	header http.Header
	fields *object // the input's members as they were sent

	warning string // for the caller, beside a success

	w        http.ResponseWriter // for an operation that streams its answer
	answered bool                // such an operation has done so
}

// warn adds a sentence to the request's warning.
func (r *request) warn(sentence string) {
	words := append(strings.Fields(r.warning), strings.Fields(sentence)...)
	r.warning = strings.Join(words, " ") // a header has one line
}

// An endpoint decodes one operation's request, carries it out, and returns
// the output for encode.
type endpoint func(ctx context.Context, op *operation, r *http.Request, labels map[string]string, body []byte, req *request) (any, error)

// typed makes an endpoint of an operation's method.
func typed[In, Out any](f func(context.Context, *request, *In) (*Out, error)) endpoint {
	return func(ctx context.Context, op *operation, r *http.Request, labels map[string]string, body []byte, req *request) (any, error) {
		in := new(In)
		fields, err := decode(op, r, labels, body, in)
		if err != nil {
			return nil, err
		}
		req.fields = fields
		out, err := f(ctx, req, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// WarningHeader of a successful answer says what the caller should know: that
// the runtime asked for is served by another version of it, or that a setting
// has no effect yet.
const WarningHeader = "X-Millicent-Warning"

// Match reports whether a request is for this API, by its path.
func (h *Handler) Match(r *http.Request) bool { return isVersioned(r.URL.Path) }

// Serve carries out one request and writes its answer. An error is for the
// caller to answer, by Answer: nothing has been written then.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	req := &request{id: millicent.RequestIDFrom(r.Context()), tenant: h.cfg.Tenant(r), header: r.Header}
	if function, ok := h.plain(r); ok {
		return h.servePlain(w, r, req, function)
	}
	op, labels, err := h.routes.find(r)
	if err != nil {
		return err
	}
	if op.endpoint == nil {
		return unsupported("The operation %s is not built yet.", op.name)
	}
	req.w = w
	out, err := h.carryOut(op, r, labels, req)
	h.note(op.operation, labels, req, err)
	if err != nil || req.answered {
		return err
	}
	if req.warning != "" {
		w.Header().Set(WarningHeader, req.warning)
	}
	// The client may be gone; nobody is left to tell.
	_ = encode(w, op.operation, out)
	return nil
}

func (h *Handler) carryOut(op route, r *http.Request, labels map[string]string, req *request) (any, error) {
	body, done, err := h.read(r, op.operation)
	if err != nil {
		return nil, err
	}
	defer done()
	return op.endpoint(r.Context(), op.operation, r, labels, body, req)
}

const (
	maxBody       = 1 << 20
	maxCodeBody   = 70167211
	maxInvokeBody = 6291456
	maxEventBody  = 1048576

	largeBody  = maxInvokeBody // beyond it, few are worked on at a time
	maxUploads = 2
	maxFetches = 2
)

// read reads the request's body within the operation's limit, and waits for
// its turn if it is large. That comes last: the memory that a body takes on
// its way in is the listener's to bound, and a slow client keeps nobody
// waiting. done ends the turn.
func (h *Handler) read(r *http.Request, op *operation) (body []byte, done func(), err error) {
	limit, name, code := int64(maxBody), op.name, codeEntityTooBig
	switch op.name {
	case "CreateFunction", "UpdateFunctionCode":
		limit = maxCodeBody
	case "InvokeWithResponseStream":
		limit, code = maxInvokeBody, codeTooLarge
	case "Invoke", "InvokeAsync":
		limit, name, code = maxInvokeBody, "InvokeFunction", codeTooLarge
		if op.name == "InvokeAsync" || r.Header.Get("X-Amz-Invocation-Type") == string(millicent.Event) {
			limit = maxEventBody
		}
	}
	tooLarge := func() error {
		return millicent.Errorf(code, "Request must be smaller than %d bytes for the %s operation", limit, name)
	}
	if r.ContentLength > limit {
		return nil, nil, tooLarge()
	}
	in := io.Reader(r.Body)
	if r.ContentLength < 0 { // others are as long as they say
		in = io.LimitReader(in, limit+1)
	}
	body, err = readAll(in, r.ContentLength)
	switch {
	case err == nil && int64(len(body)) > limit, err != nil && isTooLong(err):
		return nil, nil, tooLarge()
	case err != nil:
		return nil, nil, &millicent.Error{Code: codeSerialization, Message: "Could not read the request body.", Err: err}
	case len(body) <= largeBody:
		return body, func() {}, nil
	}
	done, err = take(r.Context(), h.uploads)
	return body, done, err
}

func isTooLong(err error) bool {
	var tooLong *http.MaxBytesError
	return errors.As(err, &tooLong)
}

// believed is the largest body for which its length is believed before it has
// come.
const believed = 64 << 10

// readAll is io.ReadAll, of what says how long it is.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > believed {
		return io.ReadAll(r)
	}
	body := make([]byte, 0, length+1) // room to see that it ends
	for len(body) < cap(body) {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return body, err
		}
	}
	rest, err := io.ReadAll(r)
	return append(body, rest...), err
}

// take waits for a place in turns; done gives it back.
func take(ctx context.Context, turns chan struct{}) (done func(), err error) {
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
