package native

import (
	"context"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// fakeEvents has one dead letter, with the number 7, of each tenant's function
// of its name.
type fakeEvents struct{}

func (fakeEvents) EventQueues(tenant string) []millicent.EventQueue {
	return []millicent.EventQueue{{Function: "of-" + tenant, Ready: 1}}
}

func (fakeEvents) DeadLetters(_ context.Context, tenant, function string, after uint64, limit int, bodies bool) ([]millicent.DeadLetter, error) {
	if after >= 7 || limit < 1 || function != "" && function != "of-"+tenant {
		return []millicent.DeadLetter{}, nil
	}
	l := millicent.DeadLetter{Function: "of-" + tenant, Number: 7}
	if bodies {
		l.Body = "the event"
	}
	return []millicent.DeadLetter{l}, nil
}

func (f fakeEvents) Act(ctx context.Context, tenant string, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error) {
	return f.DeadLetters(ctx, tenant, a.Function+a.Queue, 0, 1, false)
}

func TestDeadLetters(t *testing.T) {
	p := &platform{}
	const path = "/_millicent/functions/of-" + one + "/deadletters"
	for _, c := range []struct {
		tenant, method, path, body string
		want                       string // in the answer; empty: the call is refused
	}{
		{one, "GET", "/_millicent/queues", "", `{"function":"of-` + one + `","ready":1,`},
		{two, "GET", "/_millicent/queues", "", `"of-` + two},
		{one, "GET", "/_millicent/deadletters", "", `"number":7`},
		{one, "GET", "/_millicent/deadletters?after=7&limit=5", "", `{"deadLetters":[]}`},
		{one, "GET", "/_millicent/deadletters?limit=0", "", ""},
		{one, "GET", "/_millicent/deadletters?limit=1001", "", ""},
		{one, "GET", "/_millicent/deadletters?after=-1", "", ""},
		{one, "GET", path + "/7", "", `"body":"the event"`},
		{one, "GET", path + "/6", "", ""},
		{one, "GET", path + "/x", "", ""},
		{two, "GET", path + "/7", "", ""},
		{one, "POST", path, `{"all":true}`, `"number":7`},
		{two, "POST", path, `{"all":true}`, `{"deadLetters":[]}`},
		{one, "POST", path, `{"numbers":[7],"replay":true,"dryRun":true}`, `"number":7`},
		{one, "GET", "/_millicent/deadletters?queue=", "", `"number":7`},
		{one, "GET", "/_millicent/deadletters?queue=another", "", `{"deadLetters":[]}`},
		{one, "GET", "/_millicent/queues/of-" + one + "/deadletters/7", "", `"body":"the event"`},
		{two, "GET", "/_millicent/queues/of-" + one + "/deadletters/7", "", ""},
		{one, "POST", "/_millicent/queues/of-" + one + "/deadletters", `{"all":true}`, `"number":7`},
		{one, "POST", path, `{}`, ""},
		{one, "POST", path, `{"all":true,"numbers":[7]}`, ""},
		{one, "POST", path, `{"function":"another","all":true}`, ""},
	} {
		status, body, err := p.do(millicent.Identity{Tenant: c.tenant}, c.method, c.path, c.body)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s %s %s: answered %s", c.method, c.path, c.body, body)
		case c.want != "" && (err != nil || status != 200 || !strings.Contains(body, c.want)):
			t.Errorf("%s %s %s: got %d %s (%v)", c.method, c.path, c.body, status, body, err)
		}
	}
}
