package client

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestBudgets(t *testing.T) {
	ctx := t.Context()
	const tenant = "222222222222"
	day := millicent.Budget{Tenant: tenant, Per: millicent.PerDay, Amount: 5 * millicent.Cent, Stop: true}
	for _, c := range []struct {
		status int
		answer string
		call   func(*Client) (any, error)
		want   seen
		result any
	}{
		{
			200, `{"budgets":[{"id":"tenant/day","tenant":"222222222222","per":"day","amount":"0.05","stop":true,"spent":"0.01"}],"storms":[{"function":"f"}]}`,
			func(c *Client) (any, error) { return c.Budgets(ctx, "") },
			seen{Method: "GET", URI: "/_millicent/budgets"},
			Budgets{
				Budgets: []millicent.BudgetStatus{{ID: "tenant/day", Budget: day, Spent: millicent.Cent}},
				Storms:  []millicent.Storm{{Function: "f"}},
			},
		},
		{
			200, `{"id":"tenant/day","left":"0.05"}`,
			func(c *Client) (any, error) { return c.SetBudget(ctx, day) },
			seen{Method: "PUT", URI: "/_millicent/budgets", Body: `{"tenant":"222222222222","owner":"","scope":{},"per":"day","amount":"0.05","stop":true,"changed":"0001-01-01T00:00:00Z"}`},
			&millicent.BudgetStatus{ID: "tenant/day", Left: 5 * millicent.Cent},
		},
		{
			204, ``,
			func(c *Client) (any, error) { return nil, c.DeleteBudget(ctx, tenant, "tag/a=b/day") },
			seen{Method: "DELETE", URI: "/_millicent/budgets?id=tag%2Fa%3Db%2Fday&tenant=222222222222"}, nil,
		},
		{
			204, ``,
			func(c *Client) (any, error) { return nil, c.ResumeFunction(ctx, "", "f") },
			seen{Method: "POST", URI: "/_millicent/functions/f/resume"}, nil,
		},
	} {
		client, requests := answering(t, c.status, nil, c.answer)
		result, err := c.call(client)
		if err != nil {
			t.Errorf("%s: %v", c.want.URI, err)
		}
		got := <-requests
		got.Header = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(c.result, result); diff != "" {
			t.Errorf("%s returned (-want +got):\n%s", c.want.URI, diff)
		}
	}
}
