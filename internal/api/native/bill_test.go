package native

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
)

// fakeUsage has a million requests of each tenant that it is asked for, under
// the default book, and remembers the last question.
type fakeUsage struct{ asked *ledger.Query }

func (u fakeUsage) Series(_ context.Context, q ledger.Query) ([]ledger.Row, error) {
	*u.asked = q
	row := ledger.Row{Sums: ledger.Sums{Records: 1_500_000, Quantities: billing.Quantities{billing.Requests: 1_500_000}}}
	row.Charged = billing.Default().Total(row.Quantities).Total
	if q.Each != nil {
		row.Time = q.Each.Floor(q.From)
	}
	for _, d := range q.By {
		name := map[ledger.Dimension]string{ledger.ByBook: "default@1", ledger.ByFunction: "fn", ledger.ByMemory: "512", ledger.ByTenant: "of-" + q.Tenant}[d]
		row.Names = append(row.Names, name)
	}
	return []ledger.Row{row}, nil
}

func TestBills(t *testing.T) {
	p := newPlatform()
	const path, other = "/_millicent/invoices/2026-10", "?tenant=" + two
	ownBook := "format: 1\nname: own\nversion: 1\ncurrency: USD\nprices: {request: 0.001}\n"
	for _, c := range []struct {
		id                 millicent.Identity
		method, path, body string
		want               string // in the answer, or in the error
	}{
		{user, "GET", path, "", `"id":"` + one + `-2026-10","tenant":"` + one + `","currency":"USD","from":"2026-10-01T00:00:00Z","to":"2026-11-01T00:00:00Z"`},
		{user, "GET", path, "", `"charged":"0.3","credited":"0.2","total":"0.1"}`},
		{user, "GET", path, "", `"functions":[{"name":"fn","requests":1500000,"errors":0,"amount":"0.3"}]`},
		{user, "GET", path + "?format=csv", "", "credit,default@1,request,1000000,requests,,,-0.2\n"},
		{user, "GET", path + "?format=html", "", "<!DOCTYPE html>"},
		{user, "GET", path + "?format=pdf", "", "choose json, csv or html"},
		{user, "GET", path + "?book=hardware", "", `"repriced":{"id"`},
		{user, "GET", path + "?book=hardware", "", `"difference":"-0.1"}`},
		{user, "GET", path + "?book=nobody's", "", "Price book not found"},
		{user, "POST", path, ownBook, `"difference":"1499.9"}`},
		{user, "POST", path, "format: 1\nx: 2", "line 2"},
		{user, "POST", path, strings.Repeat("#", maxBody+1), "at most 64 KB"},
		{user, "GET", "/_millicent/invoices/2026-13", "", "want one such as 2026-11"},
		{user, "GET", path + other, "", "AccessDeniedException"},
		{user, "POST", path + other, ownBook, "AccessDeniedException"},
		{operator, "GET", path + other, "", `"tenant":"` + two + `"`},
		{operator, "GET", path + "?tenant=all", "", "one tenant's"},
		{user, "POST", "/_millicent/ledger/skip?group=1", "", "AccessDeniedException"},
		{user, "GET", "/_millicent/usage?by=" + strings.Repeat("tag:a,", maxBy+1), "", "choose 8 at most"},
		{user, "GET", "/_millicent/export/focus/2026-10", "", ",Usage,"},
		{user, "GET", "/_millicent/export/focus/2026-10", "", ",Credit,"},
		{user, "GET", "/_millicent/export/focus/2026-10" + other, "", "AccessDeniedException"},
		{user, "GET", "/_millicent/usage?by=function,tenant&each=hour", "", `"names":["fn","of-` + one + `"],"invocations":1500000,`},
		{user, "GET", "/_millicent/usage" + other, "", "AccessDeniedException"},
		{user, "GET", "/_millicent/usage?tenant=all", "", "AccessDeniedException"},
		{operator, "GET", "/_millicent/usage?tenant=all&by=tenant", "", `"names":["of-"]`},
		{user, "GET", "/_millicent/usage?each=week", "", "choose minute, hour, day or month"},
		{user, "GET", "/_millicent/usage?by=colour", "", "choose tenant, function"},
		{user, "GET", "/_millicent/usage?from=yesterday", "", "want a time"},
		{user, "GET", "/_millicent/rightsize?function=fn", "", `"reports":[{"function":"fn",`},
		{user, "GET", "/_millicent/rightsize", "", `"memoryMB":512,`},
		{user, "GET", "/_millicent/rightsize" + other, "", "AccessDeniedException"},
		{user, "GET", "/_millicent/prices", "", `"id":"default@1","currency":"USD","inForce":true,"prices":{"egress_gb":"0.09",`},
	} {
		_, answer, err := p.do(c.id, c.method, c.path, c.body)
		if err != nil {
			answer = err.Error()
		}
		if !strings.Contains(answer, c.want) {
			t.Errorf("%s %s by %+v: got %s, want %s", c.method, c.path, c.id, answer, c.want)
		}
	}
	if _, _, err := p.do(user, "GET", "/_millicent/usage?function=f&alias=a&key=k&tag=t=v&from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00Z", ""); err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	if q := p.usage; q.Tenant != one || q.Function != "f" || q.Alias != "a" || q.Key != "k" || q.Tag != "t" || q.TagValue != "v" ||
		!q.From.Equal(from) || !q.To.Equal(from.AddDate(0, 0, 1)) || q.Each != nil || q.By != nil {
		t.Errorf("asked %+v", q)
	}
}
