package native

import (
	"net/http"

	"github.com/millicent-run/millicent"
)

// Provisioned tells where the provisioned concurrency of a version or an alias
// stands.
type Provisioned struct {
	Function  string `json:"function"`
	Qualifier string `json:"qualifier"`

	// Environments: asked for, there, and initialised.
	Requested int `json:"requested"`
	Allocated int `json:"allocated"`
	Available int `json:"available"`

	Status string `json:"status"` // IN_PROGRESS, READY or FAILED
	Reason string `json:"reason,omitempty"`
}

func (h *Handler) provisioned(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string][]Provisioned{
		"provisioned": h.cfg.Provisioned(millicent.IdentityFrom(r.Context()).Tenant),
	})
}
