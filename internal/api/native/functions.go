package native

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/telemetry"
)

// Rates is what the endpoints need of how functions do.
type Rates interface {
	Now(tenant, function string) telemetry.Rate
	Series(tenant, function string) []telemetry.Rate
}

// Function is a function and how it does, on the wire.
type Function struct {
	Name     string         `json:"name"`
	Runtime  string         `json:"runtime"`
	MemoryMB int            `json:"memoryMB"`
	Timeout  int            `json:"timeoutSeconds"`
	State    string         `json:"state"`
	Modified time.Time      `json:"modified"`
	Now      telemetry.Rate `json:"now"` // of the last minute, about

	// Trend is how many invocations ran in each step of the last ten
	// minutes, the oldest first; empty where none did.
	Trend []int `json:"trend,omitempty"`
}

// FunctionDetail tells more of one function.
type FunctionDetail struct {
	Function
	ARN         string           `json:"arn"`
	Handler     string           `json:"handler,omitempty"`
	Description string           `json:"description,omitempty"`
	LastVersion int              `json:"lastVersion,omitempty"`
	Aliases     []string         `json:"aliases,omitempty"`
	URLs        []string         `json:"urls,omitempty"`
	Steps       []telemetry.Rate `json:"steps"` // of the last ten minutes, the oldest first
}

func (h *Handler) functions(w http.ResponseWriter, r *http.Request) error {
	list := []Function{}
	for _, f := range h.cfg.Store.Functions(millicent.IdentityFrom(r.Context()).Tenant) {
		list = append(list, h.function(f, h.cfg.Rates.Series(f.Tenant, f.Name)))
	}
	return writeJSON(w, http.StatusOK, map[string][]Function{"functions": list})
}

func (h *Handler) functionDetail(w http.ResponseWriter, r *http.Request) error {
	f, err := h.cfg.Store.Function(millicent.IdentityFrom(r.Context()).Tenant, r.PathValue("name"))
	if err != nil {
		return err
	}
	steps := h.cfg.Rates.Series(f.Tenant, f.Name)
	d := FunctionDetail{
		Function: h.function(f, steps), ARN: millicent.ARN(h.cfg.Info.Region, f.Tenant, f.Name, ""),
		Handler: f.Draft.Handler, Description: f.Draft.Description, LastVersion: f.LastVersion,
		Aliases: slices.Sorted(maps.Keys(f.Aliases)), Steps: steps,
	}
	for _, qualifier := range slices.Sorted(maps.Keys(f.URLs)) {
		d.URLs = append(d.URLs, h.cfg.URL(f.URLs[qualifier].ID))
	}
	return writeJSON(w, http.StatusOK, d)
}

// function tells of a function that did what steps say.
func (h *Handler) function(f *millicent.Function, steps []telemetry.Rate) Function {
	out := Function{
		Name: f.Name, Runtime: f.Draft.Runtime, MemoryMB: f.Draft.MemoryMB, Timeout: int(f.Draft.Timeout.Seconds()),
		State: f.Draft.State, Modified: f.Draft.Modified, Now: h.cfg.Rates.Now(f.Tenant, f.Name),
	}
	if slices.ContainsFunc(steps, func(s telemetry.Rate) bool { return s.Invocations > 0 }) {
		for _, s := range steps {
			out.Trend = append(out.Trend, s.Invocations)
		}
	}
	return out
}

// Bounds of a list of invocations, in entries.
const (
	defaultInvocations = 50
	maxInvocations     = 1000
)

// invocations lists a function's latest invocations.
func (h *Handler) invocations(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := telemetry.Query{
		Tenant: millicent.IdentityFrom(r.Context()).Tenant, Function: v.Get("function"), Limit: defaultInvocations,
	}
	if !functionForm.MatchString(q.Function) {
		return millicent.Errorf(millicent.CodeInvalid, "function: %.80q is not a function's name", q.Function)
	}
	if s := v.Get("limit"); s != "" {
		var err error
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > maxInvocations {
			return millicent.Errorf(millicent.CodeInvalid, "limit: %.80q is not a number from 1 to %d", s, maxInvocations)
		}
	}
	list, err := h.cfg.Logs.Invocations(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string][]millicent.Explanation{"invocations": list})
}
