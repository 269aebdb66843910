package native

import (
	"net/http"
	"regexp"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

// Key is an access key on the wire.
type Key struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"` // only in the answer that creates it
	Tenant  string    `json:"tenant"`
	Created time.Time `json:"created"`
}

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

func (h *Handler) createKey(w http.ResponseWriter, r *http.Request) error {
	id := millicent.IdentityFrom(r.Context())
	var in struct {
		Tenant string `json:"tenant"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	switch {
	case in.Tenant == "":
		in.Tenant = id.Tenant
	case !accountForm.MatchString(in.Tenant):
		return millicent.Errorf(millicent.CodeInvalid, "Tenant %.40q: an account id has twelve digits", in.Tenant)
	case in.Tenant != id.Tenant && !id.Operator:
		return millicent.Errorf(millicent.CodeAccessDenied, "Keys of another account are made on the admin socket")
	}
	key, err := h.cfg.Store.CreateKey(r.Context(), in.Tenant)
	if err != nil {
		return err
	}
	h.cfg.Log.Info("access key made", "key", key.ID, "tenant", key.Tenant)
	return writeJSON(w, http.StatusCreated, Key{ID: key.ID, Secret: key.Secret, Tenant: key.Tenant, Created: key.Created})
}

func (h *Handler) listKeys(w http.ResponseWriter, r *http.Request) error {
	id := millicent.IdentityFrom(r.Context())
	keys := []Key{}
	for _, k := range h.cfg.Store.Keys() {
		if owns(id, k) {
			keys = append(keys, Key{ID: k.ID, Tenant: k.Tenant, Created: k.Created})
		}
	}
	return writeJSON(w, http.StatusOK, map[string][]Key{"keys": keys})
}

func (h *Handler) deleteKey(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("id")
	key, ok := h.cfg.Store.Key(name)
	if !ok || !owns(millicent.IdentityFrom(r.Context()), key) {
		return millicent.Errorf(millicent.CodeNotFound, "Access key not found: %.64s", name)
	}
	if err := h.cfg.Store.DeleteKey(r.Context(), key.ID); err != nil {
		return err
	}
	h.cfg.Log.Info("access key deleted", "key", key.ID, "tenant", key.Tenant)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func owns(id millicent.Identity, k store.AccessKey) bool { return id.Operator || id.Tenant == k.Tenant }
