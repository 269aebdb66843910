package native

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/store"
	"github.com/millicent-run/millicent/internal/telemetry"
)

// Prefix is what the paths of all native endpoints begin with.
const Prefix = "/_millicent/"

// Info is what a server says of itself.
type Info struct {
	Version     string    `json:"version"`
	Account     string    `json:"account"`
	Region      string    `json:"region"`
	Auth        string    `json:"auth"`
	Egress      string    `json:"egress"`
	Listen      string    `json:"listen"`
	Started     time.Time `json:"started"`
	Limitations []string  `json:"limitations"` // what this machine cannot enforce
}

// Runtime is a language runtime that the platform knows.
type Runtime struct {
	Name        string `json:"name"`        // python3.13
	Interpreter string `json:"interpreter"` // path of the interpreter that serves it; empty when none does
	Version     string `json:"version"`     // the interpreter's own version
	Exact       bool   `json:"exact"`       // the interpreter has the requested version
	Note        string `json:"note,omitempty"`
}

// Store is what the endpoints need of the store.
type Store interface {
	Function(tenant, name string) (*millicent.Function, error)
	Functions(tenant string) []*millicent.Function
	Update(ctx context.Context, tenant, name string, change func(*millicent.Function) error) (*millicent.Function, error)
	OpenPackage(p millicent.Package) (io.ReadCloser, error)
	CreateKey(ctx context.Context, tenant string) (store.AccessKey, error)
	Key(id string) (store.AccessKey, bool)
	Keys() []store.AccessKey
	DeleteKey(ctx context.Context, id string) error
}

// Logs is what the endpoints need of the logs.
type Logs interface {
	Read(ctx context.Context, q telemetry.Query) ([]millicent.LogRecord, error)
	Follow(ctx context.Context, q telemetry.Query, emit func(millicent.LogRecord) error) error
	Explain(ctx context.Context, q telemetry.InvocationQuery) (*millicent.Explanation, error)
	Invocations(ctx context.Context, q telemetry.Query) ([]millicent.Explanation, error)
}

// Recent is what the endpoints need of the latest starts.
type Recent interface {
	Explain(q telemetry.InvocationQuery) (*millicent.Explanation, bool)
	List(tenant, function string, limit int) []millicent.Explanation
}

// Config configures a Handler; all of it is required.
type Config struct {
	Info        Info
	Runtimes    func() []Runtime
	Provisioned func(tenant string) []Provisioned
	Schedule    func(tenant, group, name string, times int) (*ScheduleStatus, error)
	Store       Store
	Logs        Logs
	Recent      Recent
	Rates       Rates
	URL         func(id string) string // address of a function URL
	Links       *Links
	Events      Events
	Usage       Usage
	Books       *billing.Books
	Queues      Letters // dead letters in queues
	Budgets     Budgets
	Ledger      Ledger                   // nil where no usage is recorded
	CheckEgress func(entry string) error // says what is wrong with an allow-list entry
	Stopping    <-chan struct{}          // closed when the server stops: log followers leave then
	Log         *slog.Logger
}

// A Handler serves the native endpoints to callers that the listener has
// identified.
type Handler struct {
	cfg     Config
	mux     *http.ServeMux
	reading chan struct{} // held by who reads much of the ledger
	readers turns         // of these
	queries turns         // of who asks about usage
}

// New returns a Handler.
func New(cfg Config) *Handler {
	h := &Handler{
		cfg: cfg, mux: http.NewServeMux(), reading: make(chan struct{}, maxLedgerReaders), readers: turns{most: 1}, queries: turns{most: maxQueries},
	}
	h.routes()
	return h
}

// endpoint serves one route; its error is answered by the listener.
type endpoint func(w http.ResponseWriter, r *http.Request) error

func (h *Handler) routes() {
	for pattern, serve := range map[string]endpoint{
		"GET /_millicent/health":                                h.health,
		"GET /_millicent/info":                                  h.info,
		"GET /_millicent/runtimes":                              h.runtimes,
		"GET /_millicent/logs":                                  h.logs,
		"GET /_millicent/functions":                             h.functions,
		"GET /_millicent/functions/{name}":                      h.functionDetail,
		"GET /_millicent/invocations":                           h.invocations,
		"GET /_millicent/invocations/{id}":                      h.explain,
		"GET /_millicent/starts":                                h.starts,
		"GET /_millicent/provisioned":                           h.provisioned,
		"GET /_millicent/schedules/{group}/{name}":              h.schedule,
		"GET /_millicent/queues":                                h.eventQueues,
		"GET /_millicent/deadletters":                           h.deadLetters,
		"GET /_millicent/functions/{name}/deadletters/{number}": deadLetter(h.cfg.Events),
		"POST /_millicent/functions/{name}/deadletters":         actOnDeadLetters(h.cfg.Events, func(a *millicent.DeadLetterAction, name string) { a.Function = name }),
		"GET /_millicent/queues/{name}/deadletters/{number}":    deadLetter(h.cfg.Queues),
		"POST /_millicent/queues/{name}/deadletters":            actOnDeadLetters(h.cfg.Queues, func(a *millicent.DeadLetterAction, name string) { a.Queue = name }),
		"POST /_millicent/keys":                                 h.createKey,
		"GET /_millicent/keys":                                  h.listKeys,
		"DELETE /_millicent/keys/{id}":                          h.deleteKey,
		"GET /_millicent/functions/{name}/egress":               h.getEgress,
		"PUT /_millicent/functions/{name}/egress":               h.putEgress,
		"GET /_millicent/usage":                                 h.usage,
		"GET /_millicent/invoices/{month}":                      h.invoice,
		"POST /_millicent/invoices/{month}":                     h.reprice,
		"GET /_millicent/prices":                                h.prices,
		"GET /_millicent/rightsize":                             h.rightsize,
		"GET /_millicent/export/focus/{month}":                  h.focus,
		"GET /_millicent/budgets":                               h.listBudgets,
		"PUT /_millicent/budgets":                               h.putBudget,
		"DELETE /_millicent/budgets":                            h.deleteBudget,
		"POST /_millicent/functions/{name}/resume":              h.resume,
		"GET /_millicent/ledger/head":                           h.ledgerHead,
		"GET /_millicent/ledger/verify":                         h.verifyLedger,
		"POST /_millicent/ledger/skip":                          h.skipGroup,
		"GET /_millicent/ledger/records":                        h.ledgerRecords,
		"GET /_millicent/receipts/{id}":                         h.receipt,
		"GET /_millicent/packages/{token}":                      h.download,
	} {
		h.mux.Handle(pattern, serving(serve))
	}
	h.mux.Handle("/", serving(func(_ http.ResponseWriter, r *http.Request) error {
		return millicent.Errorf(millicent.CodeNotFound, "No such endpoint: %s %s", r.Method, r.URL.Path)
	}))
}

// Serve serves a request; an error is not yet answered.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	out := &outcome{ResponseWriter: w}
	h.mux.ServeHTTP(out, r)
	return out.err
}

// Public reports whether a request needs no identity: it tells nothing, or
// carries its own permission.
func Public(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	const packages = Prefix + "packages/"
	return r.URL.Path == Prefix+"health" || len(r.URL.Path) > len(packages) && r.URL.Path[:len(packages)] == packages
}

// outcome carries an endpoint's error through the mux.
type outcome struct {
	http.ResponseWriter
	err error
}

func (o *outcome) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func serving(serve endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		if o, ok := w.(*outcome); ok {
			o.err = err
		}
	})
}

func (h *Handler) health(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *Handler) info(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, h.cfg.Info)
}

func (h *Handler) runtimes(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string][]Runtime{"runtimes": h.cfg.Runtimes()})
}

// writeJSON writes an answer. A client that left is no error.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that left misses nothing
	return nil
}

// maxBody bounds the bodies of the native endpoints, in bytes.
const maxBody = 64 << 10

// readJSON reads a body into v; an empty body leaves v as it is.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return &millicent.Error{Code: "InvalidRequestContentException", Message: "Could not parse request body into json: " + err.Error(), Err: err}
	}
	return nil
}
