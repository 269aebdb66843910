package native

import (
	"net/http"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
)

// sizedDays is how many days' invocations are looked at.
const sizedDays = 30

// rightsize answers what functions would cost at other memory sizes.
func (h *Handler) rightsize(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	tenant, err := tenantOf(millicent.IdentityFrom(r.Context()), v.Get("tenant"))
	if err != nil {
		return err
	}
	to := time.Now().UTC().Truncate(time.Second)
	from := to.AddDate(0, 0, -sizedDays)
	rows, err := h.series(r.Context(), ledger.Query{
		Tenant: tenant, Function: v.Get("function"), From: from, To: to, By: []ledger.Dimension{ledger.ByFunction, ledger.ByMemory},
	})
	if err != nil {
		return err
	}
	measured, names := map[string][]billing.Measured{}, []string{}
	for _, row := range rows {
		memory, err := strconv.Atoi(row.Names[1])
		if err != nil || memory == 0 || row.Invocations() == 0 {
			continue // no invocations
		}
		name := row.Names[0]
		if measured[name] == nil {
			names = append(names, name)
		}
		measured[name] = append(measured[name], billing.Measured{
			MemoryMB: memory, Duration: row.Duration, Squares: row.Squares, PeakMB: row.PeakMB, Quantities: row.Quantities,
		})
	}
	reports := []billing.SizeReport{}
	for _, name := range names {
		reports = append(reports, billing.RightSize(name, from, to, measured[name], h.cfg.Books.At(to)))
	}
	return writeJSON(w, http.StatusOK, map[string][]billing.SizeReport{"reports": reports})
}
