package native

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
)

// Usage is what the endpoints need of the ledger.
type Usage interface {
	Series(ctx context.Context, q ledger.Query) ([]ledger.Row, error)
}

// UsageRow is some of a tenant's usage.
type UsageRow struct {
	Time  *time.Time `json:"time,omitempty"`  // when the step began
	Names []string   `json:"names,omitempty"` // by what it was asked apart

	Invocations int64              `json:"invocations"`
	Errors      int64              `json:"errors"`
	Cold        int64              `json:"cold"`
	Duration    int64              `json:"duration"` // of all handlers, microseconds
	PeakMB      int64              `json:"peakMB"`
	In          int64              `json:"in"`
	Out         int64              `json:"out"`
	Receipts    int64              `json:"receipts"`
	Charged     millicent.MoneySum `json:"charged"`    // at list prices: the sum of the receipts
	Quantities  map[string]int64   `json:"quantities"` // by item, in the item's unit
}

func usageRow(r *ledger.Row) UsageRow {
	row := UsageRow{
		Names: r.Names, Invocations: r.Invocations(), Errors: r.Errors, Cold: r.Cold, Duration: r.Duration, PeakMB: r.PeakMB,
		In: r.In, Out: r.Out, Receipts: r.Records, Charged: r.Charged, Quantities: map[string]int64{},
	}
	if !r.Time.IsZero() {
		row.Time = &r.Time
	}
	for i, n := range r.Quantities {
		if n > 0 {
			row.Quantities[billing.Item(i).String()] = n
		}
	}
	return row
}

// usage answers sums of usage. Without from they begin a day ago.
func (h *Handler) usage(w http.ResponseWriter, r *http.Request) error {
	q, err := usageQuery(r)
	if err != nil {
		return err
	}
	rows, err := h.series(r.Context(), q)
	if err != nil {
		return err
	}
	out := struct {
		Currency string     `json:"currency"`
		Rows     []UsageRow `json:"rows"`
	}{h.cfg.Books.At(time.Now()).Currency, make([]UsageRow, 0, len(rows))}
	for i := range rows {
		out.Rows = append(out.Rows, usageRow(&rows[i]))
	}
	return writeJSON(w, http.StatusOK, out)
}

// maxBy bounds what usage is told apart by: the work is that times the series
// of the tenant.
const maxBy = 8

func usageQuery(r *http.Request) (q ledger.Query, err error) {
	v := r.URL.Query()
	q = ledger.Query{Function: v.Get("function"), Alias: v.Get("alias"), Key: v.Get("key")}
	q.Tag, q.TagValue, _ = strings.Cut(v.Get("tag"), "=")
	if q.Tenant, err = billedTenant(r, v); err != nil {
		return q, err
	}
	if q.From, q.To, err = usageTime(v); err != nil {
		return q, err
	}
	if name := v.Get("each"); name != "" {
		step, ok := ledger.StepNamed(name)
		if !ok {
			return q, millicent.Errorf(millicent.CodeInvalid, "each %.40q: choose minute, hour, day or month", name)
		}
		q.Each = &step
	}
	for _, name := range strings.FieldsFunc(v.Get("by"), func(c rune) bool { return c == ',' }) {
		by, ok := ledger.DimensionNamed(name)
		if !ok {
			return q, millicent.Errorf(millicent.CodeInvalid, "by %.40q: choose tenant, function, alias, key, memory, tag, book or tag:KEY", name)
		}
		if q.By = append(q.By, by); len(q.By) > maxBy {
			return q, millicent.Errorf(millicent.CodeInvalid, "by: choose %d at most", maxBy)
		}
	}
	return q, nil
}

// everyTenant is how an operator names all tenants.
const everyTenant = "all"

// billedTenant returns the tenant that a request is about, "" for all of them.
func billedTenant(r *http.Request, v url.Values) (string, error) {
	id, named := millicent.IdentityFrom(r.Context()), v.Get("tenant")
	if named != everyTenant {
		return tenantOf(id, named)
	}
	if !id.Operator {
		return "", millicent.Errorf(millicent.CodeAccessDenied, "What is all accounts' is for the operator, on the admin socket")
	}
	return "", nil
}

func usageTime(v url.Values) (from, to time.Time, err error) {
	to = time.Now()
	if to, err = timeOf(v, "to", to); err != nil {
		return from, to, err
	}
	from, err = timeOf(v, "from", to.AddDate(0, 0, -1))
	return from, to, err
}

func timeOf(v url.Values, name string, without time.Time) (time.Time, error) {
	text := v.Get(name)
	if text == "" {
		return without, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return t, millicent.Errorf(millicent.CodeInvalid, "%s %.40q: want a time such as 2026-11-23T00:00:00Z", name, text)
	}
	return t, nil
}
