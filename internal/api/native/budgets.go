package native

import (
	"context"
	"net/http"

	"github.com/millicent-run/millicent"
)

// Budgets is what the endpoints need of the budgets.
type Budgets interface {
	Set(ctx context.Context, who millicent.Identity, b millicent.Budget) (*millicent.BudgetStatus, error)
	Delete(ctx context.Context, who millicent.Identity, tenant, id string) error
	Resume(who millicent.Identity, tenant, function string) error
	Statuses(tenant string) []millicent.BudgetStatus
	Storms(tenant string) []millicent.Storm
}

// tenantOf returns the tenant that a call is about: the caller's own unless
// another is named, which only the operator may.
func tenantOf(id millicent.Identity, named string) (string, error) {
	switch {
	case named == "" || named == id.Tenant:
		return id.Tenant, nil
	case !accountForm.MatchString(named):
		return "", millicent.Errorf(millicent.CodeInvalid, "Tenant %.40q: an account id has twelve digits", named)
	case !id.Operator:
		return "", millicent.Errorf(millicent.CodeAccessDenied, "What is another account's is for the operator, on the admin socket")
	}
	return named, nil
}

func (h *Handler) listBudgets(w http.ResponseWriter, r *http.Request) error {
	tenant, err := tenantOf(millicent.IdentityFrom(r.Context()), r.URL.Query().Get("tenant"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"budgets": h.cfg.Budgets.Statuses(tenant), "storms": h.cfg.Budgets.Storms(tenant)})
}

func (h *Handler) putBudget(w http.ResponseWriter, r *http.Request) error {
	var b millicent.Budget
	if err := readJSON(w, r, &b); err != nil {
		return err
	}
	id := millicent.IdentityFrom(r.Context())
	var err error
	if b.Tenant, err = tenantOf(id, b.Tenant); err != nil {
		return err
	}
	for _, name := range []string{b.Scope.Function, b.Notify} {
		if name == "" {
			continue
		}
		f, err := h.cfg.Store.Function(b.Tenant, name)
		if err != nil {
			return err
		}
		if b.Scope.Alias != "" && name == b.Scope.Function && f.Aliases[b.Scope.Alias] == nil {
			return millicent.Errorf(millicent.CodeNotFound, "The function %s has no alias %.128s.", name, b.Scope.Alias)
		}
	}
	status, err := h.cfg.Budgets.Set(r.Context(), id, b)
	if err != nil {
		return err
	}
	h.cfg.Log.Info("budget set", "tenant", b.Tenant, "budget", status.ID, "amount", status.Amount, "key", id.AccessKey)
	return writeJSON(w, http.StatusOK, status)
}

func (h *Handler) deleteBudget(w http.ResponseWriter, r *http.Request) error {
	id, q := millicent.IdentityFrom(r.Context()), r.URL.Query()
	tenant, err := tenantOf(id, q.Get("tenant"))
	if err != nil {
		return err
	}
	if err := h.cfg.Budgets.Delete(r.Context(), id, tenant, q.Get("id")); err != nil {
		return err
	}
	h.cfg.Log.Info("budget deleted", "tenant", tenant, "budget", q.Get("id"), "key", id.AccessKey)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// resume ends the pause of a function.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request) error {
	id := millicent.IdentityFrom(r.Context())
	tenant, err := tenantOf(id, r.URL.Query().Get("tenant"))
	if err != nil {
		return err
	}
	if err := h.cfg.Budgets.Resume(id, tenant, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
