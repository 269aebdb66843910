package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Prices of the default book, in 10⁻¹² of a dollar: of a request, and of a
// GB-second.
const (
	requestPrice = 200_000
	gbSecond     = 16_666_700
)

// spenders are callers that count what their invocations cost: by the reports,
// not by the server's books.
type spenders struct {
	s *server

	mu      sync.Mutex
	calls   int   // that were answered
	cost    int64 // of these
	refused map[string]int
}

var billed = regexp.MustCompile(`Billed Duration: (\d+) ms\tMemory Size: (\d+) MB`)

// call invokes the function once, and returns whether to go on.
func (p *spenders) call(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.s.url()+"/2015-03-31/functions/hello/invocations", strings.NewReader("{}"))
	if err != nil {
		p.s.t.Error(err)
		return false
	}
	req.Header.Set("X-Amz-Log-Type", "Tail")
	resp, err := p.s.client.Do(req)
	if err != nil {
		return false // the server was killed
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if resp.StatusCode == http.StatusTooManyRequests {
		for reason, goOn := range map[string]bool{"may be needed by the": true, "is left of the budget": false, "allows is spent": false, "Rate Exceeded": true} {
			if strings.Contains(string(body), reason) {
				p.refused[reason]++
				return goOn
			}
		}
	}
	tail, _ := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result"))
	m := billed.FindSubmatch(tail)
	if resp.StatusCode != http.StatusOK || m == nil {
		p.s.t.Errorf("got %d %s %s", resp.StatusCode, body, tail)
		return false
	}
	ms, _ := strconv.ParseInt(string(m[1]), 10, 64)
	mb, _ := strconv.ParseInt(string(m[2]), 10, 64)
	p.calls++
	p.cost += requestPrice + (gbSecond*ms*mb+512_000)/1_024_000
	return true
}

// run has 256 callers spend, until the budget or the server ends it; or until
// enough is true.
func (p *spenders) run(enough func() bool) {
	ctx, cancel := context.WithCancel(p.s.t.Context())
	defer cancel()
	var group sync.WaitGroup
	for range 256 {
		group.Go(func() {
			for p.call(ctx) {
				p.mu.Lock()
				stop := enough()
				p.mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	group.Wait()
}

// spentOf returns what the server says is spent of its one budget, and
// reserved, in 10⁻¹² of a dollar.
func spentOf(s *server) (spent, reserved int64) {
	s.t.Helper()
	var all struct {
		Budgets []struct{ Spent, Reserved string }
	}
	if err := json.Unmarshal([]byte(s.mustCLI("budget", "list", "--json")), &all); err != nil || len(all.Budgets) != 1 {
		s.t.Fatalf("%v: %+v", err, all)
	}
	units := func(text string) int64 {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return int64(math.Round(f * 1e12)) // exact: it has fewer than 15 digits
	}
	return units(all.Budgets[0].Spent), units(all.Budgets[0].Reserved)
}

// TestBudgetSurvivesKillNine: 256 callers spend a budget while the server is
// killed and started again. They never spend more than there is, the server
// knows of all that they spent, and a raise lets them go on.
func TestBudgetSurvivesKillNine(t *testing.T) {
	inOneMonth(t)
	s := up(t)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("hello"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), Timeout: aws.Int32(1),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": "def handler(e, c):\n    return 1\n"})},
	})
	// The most that an invocation can cost is 0.0000231: eleven seconds of 128
	// MB and the request. Some run at a time, and a few hundred altogether.
	const limit = 130_000_000
	if out := s.mustCLI("budget", "set", "hello", "0.00013/month", "--stop"); !strings.HasPrefix(out, "function/hello/month: 0.00013 USD, 0 spent, 0.00013 left: stops") {
		t.Errorf("set: %s", out)
	}
	p := &spenders{s: s, refused: map[string]int{}}
	for kills := range 2 {
		enough := func() bool { return p.calls >= 60*(kills+1) }
		var once sync.Once
		p.run(func() bool {
			if enough() {
				once.Do(s.kill)
			}
			return false
		})
		once.Do(s.kill)
		s.start()
		spent, reserved := spentOf(s)
		if spent < p.cost-int64(p.calls) || spent > limit || reserved != 0 {
			t.Errorf("after kill %d: %d is spent and %d reserved, the callers paid %d of %d", kills+1, spent, reserved, p.cost, limit)
		}
	}
	p.run(func() bool { return false })
	spent, reserved := spentOf(s)
	t.Logf("%d calls paid %d of %d; refused: %v", p.calls, p.cost, limit, p.refused)
	if p.cost > limit || spent > limit || spent < p.cost-int64(p.calls) || reserved != 0 {
		t.Errorf("%d is spent and %d reserved, the callers paid %d of %d", spent, reserved, p.cost, limit)
	}
	if p.refused["is left of the budget"] == 0 || p.refused["may be needed by the"] == 0 {
		t.Errorf("refused: %v", p.refused)
	}
	if _, errOut, err := s.cli("invoke", "hello"); err == nil || !strings.Contains(errOut, "is left of the budget function/hello/month of 0.00013 USD. It begins again at 20") {
		t.Errorf("invoke: %v %s", err, errOut)
	}
	s.mustCLI("budget", "set", "hello", "20 millicents/month", "--stop")
	s.mustCLI("invoke", "hello")
}
