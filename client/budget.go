package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/millicent-run/millicent"
)

// Budgets are a tenant's budgets and the pauses of its functions.
type Budgets struct {
	Budgets []millicent.BudgetStatus `json:"budgets"`
	Storms  []millicent.Storm        `json:"storms"`
}

// Budgets returns the budgets of a tenant; of the caller's own for "".
func (c *Client) Budgets(ctx context.Context, tenant string) (Budgets, error) {
	var out Budgets
	err := c.call(ctx, http.MethodGet, "/_millicent/budgets", ofTenant(tenant), nil, &out)
	return out, err
}

// SetBudget makes or replaces a budget. Its owner is the operator on the admin
// socket, the tenant elsewhere; an empty Tenant is the caller's own.
func (c *Client) SetBudget(ctx context.Context, b millicent.Budget) (*millicent.BudgetStatus, error) {
	out := new(millicent.BudgetStatus)
	if err := c.call(ctx, http.MethodPut, "/_millicent/budgets", nil, b, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteBudget ends a budget.
func (c *Client) DeleteBudget(ctx context.Context, tenant, id string) error {
	query := ofTenant(tenant)
	query.Set("id", id)
	return c.call(ctx, http.MethodDelete, "/_millicent/budgets", query, nil, nil)
}

// ResumeFunction ends a function's pause.
func (c *Client) ResumeFunction(ctx context.Context, tenant, function string) error {
	return c.call(ctx, http.MethodPost, "/_millicent/functions/"+url.PathEscape(function)+"/resume", ofTenant(tenant), nil, nil)
}

func ofTenant(tenant string) url.Values {
	query := url.Values{}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	return query
}
