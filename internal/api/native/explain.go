package native

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/telemetry"
)

// Bounds of a list of starts, in entries.
const (
	defaultStarts = 20
	maxStarts     = 1000
)

var invocationForm = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)

// explain answers how an invocation went: what is in memory, else what its
// log says.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request) error {
	function, err := optionalFunction(r)
	if err != nil {
		return err
	}
	q := telemetry.InvocationQuery{
		Tenant: millicent.IdentityFrom(r.Context()).Tenant, Function: function, Invocation: r.PathValue("id"),
	}
	if !invocationForm.MatchString(q.Invocation) {
		return millicent.Errorf(millicent.CodeInvalid, "%.80q is not the id of a request", q.Invocation)
	}
	e, ok := h.cfg.Recent.Explain(q)
	if !ok {
		if e, err = h.cfg.Logs.Explain(r.Context(), q); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, explained{e, e.Verdict(), e.Advice()})
}

// explained is an explanation, put into words as well.
type explained struct {
	*millicent.Explanation
	Verdict []string `json:"verdict"`
	Advice  []string `json:"advice,omitempty"`
}

// starts lists the latest invocations that something had to be started for.
func (h *Handler) starts(w http.ResponseWriter, r *http.Request) error {
	function, err := optionalFunction(r)
	if err != nil {
		return err
	}
	limit := defaultStarts
	if s := r.URL.Query().Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxStarts {
			return millicent.Errorf(millicent.CodeInvalid, "limit: %.80q is not a number from 1 to %d", s, maxStarts)
		}
	}
	list := h.cfg.Recent.List(millicent.IdentityFrom(r.Context()).Tenant, function, limit)
	return writeJSON(w, http.StatusOK, map[string][]millicent.Explanation{"starts": list})
}

// optionalFunction returns the function that a call names, or "".
func optionalFunction(r *http.Request) (string, error) {
	name := r.URL.Query().Get("function")
	if name != "" && !functionForm.MatchString(name) {
		return "", millicent.Errorf(millicent.CodeInvalid, "function: %.80q is not a function's name", name)
	}
	return name, nil
}
