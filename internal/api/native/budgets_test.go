package native

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// fakeBudgets answers with whom and what it is asked for.
type fakeBudgets struct{}

func (fakeBudgets) Set(_ context.Context, who millicent.Identity, b millicent.Budget) (*millicent.BudgetStatus, error) {
	if who.Operator {
		b.Owner = millicent.OwnedByOperator
	}
	return &millicent.BudgetStatus{ID: b.ID(), Budget: b}, nil
}

func (fakeBudgets) Delete(_ context.Context, who millicent.Identity, tenant, id string) error {
	return millicent.Errorf("Deleted", "%v %s %s", who.Operator, tenant, id)
}

func (fakeBudgets) Resume(who millicent.Identity, tenant, function string) error {
	return millicent.Errorf("Resumed", "%v %s %s", who.Operator, tenant, function)
}

func (fakeBudgets) Statuses(tenant string) []millicent.BudgetStatus {
	return []millicent.BudgetStatus{{ID: "of-" + tenant}}
}

func (fakeBudgets) Storms(tenant string) []millicent.Storm {
	return []millicent.Storm{{Function: "of-" + tenant}}
}

func TestBudgets(t *testing.T) {
	p := newPlatform()
	p.functions[one+"fn"].Aliases = map[string]*millicent.Alias{"live": {Name: "live"}}
	for _, c := range []struct {
		id                 millicent.Identity
		method, path, body string
		want               string // in the answer, or in the error
	}{
		{user, "GET", "/_millicent/budgets", "", `{"budgets":[{"id":"of-` + one + `",`},
		{user, "GET", "/_millicent/budgets", "", `"storms":[{"tenant":"","function":"of-` + one + `",`},
		{user, "GET", "/_millicent/budgets?tenant=" + two, "", "AccessDeniedException"},
		{operator, "GET", "/_millicent/budgets?tenant=" + two, "", `"of-` + two},
		{operator, "GET", "/_millicent/budgets?tenant=x", "", "twelve digits"},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","stop":true}`, `{"id":"tenant/day","tenant":"` + one + `","owner":"","scope":{},"per":"day","amount":"0.05","stop":true,`},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","scope":{"function":"fn"}}`, `"function/fn/day"`},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","scope":{"function":"fn","alias":"live"}}`, `"alias/fn:live/day"`},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","scope":{"function":"fn","alias":"old"}}`, "has no alias old"},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","scope":{"function":"gone"}}`, "Function not found: gone"},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":"0.05","notify":"gone"}`, "Function not found: gone"},
		{user, "PUT", "/_millicent/budgets", `{"per":"day","amount":0.05}`, "InvalidRequestContentException"},
		{user, "PUT", "/_millicent/budgets", `{"stopp":true}`, "InvalidRequestContentException"},
		{user, "PUT", "/_millicent/budgets", `{"tenant":"` + two + `"}`, "AccessDeniedException"},
		{operator, "PUT", "/_millicent/budgets", `{"tenant":"` + two + `","per":"day"}`, `"operator/tenant/day"`},
		{user, "DELETE", "/_millicent/budgets?id=tag%2Fa%3Db%2Fday", "", "Deleted: false " + one + " tag/a=b/day"},
		{user, "DELETE", "/_millicent/budgets?id=x&tenant=" + two, "", "AccessDeniedException"},
		{operator, "DELETE", "/_millicent/budgets?id=x&tenant=" + two, "", "Deleted: true " + two + " x"},
		{user, "POST", "/_millicent/functions/fn/resume", "", "Resumed: false " + one + " fn"},
		{user, "POST", "/_millicent/functions/fn/resume?tenant=" + two, "", "AccessDeniedException"},
		{operator, "POST", "/_millicent/functions/fn/resume?tenant=" + two, "", "Resumed: true " + two + " fn"},
	} {
		_, body, err := p.do(c.id, c.method, c.path, c.body)
		if got := body + fmt.Sprint(err); !strings.Contains(got, c.want) {
			t.Errorf("%s %s %s: got %s, want %s", c.method, c.path, c.body, got, c.want)
		}
	}
}
