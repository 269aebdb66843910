package native

import (
	"net/http"

	"github.com/millicent-run/millicent"
)

// maxAllow bounds a function's allow-list, in entries.
const maxAllow = 200

// allowList is a function's egress allow-list on the wire.
type allowList struct {
	Allow []string `json:"allow"`
}

func (h *Handler) getEgress(w http.ResponseWriter, r *http.Request) error {
	f, err := h.cfg.Store.Function(millicent.IdentityFrom(r.Context()).Tenant, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeEgress(w, f)
}

func (h *Handler) putEgress(w http.ResponseWriter, r *http.Request) error {
	var in allowList
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	if len(in.Allow) > maxAllow {
		return millicent.Errorf(millicent.CodeInvalid, "An allow-list has at most %d entries", maxAllow)
	}
	for _, entry := range in.Allow {
		if err := h.cfg.CheckEgress(entry); err != nil {
			return &millicent.Error{Code: millicent.CodeInvalid, Message: err.Error(), Err: err}
		}
	}
	tenant := millicent.IdentityFrom(r.Context()).Tenant
	f, err := h.cfg.Store.Update(r.Context(), tenant, r.PathValue("name"), func(f *millicent.Function) error {
		f.Egress = nil
		if len(in.Allow) > 0 {
			f.Egress = in.Allow
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeEgress(w, f)
}

func writeEgress(w http.ResponseWriter, f *millicent.Function) error {
	out := allowList{Allow: f.Egress}
	if out.Allow == nil {
		out.Allow = []string{}
	}
	return writeJSON(w, http.StatusOK, out)
}
