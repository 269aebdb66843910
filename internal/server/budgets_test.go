package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent"
)

// setBudget sets a budget, through the admin socket when admin is.
func setBudget(t *testing.T, s *instance, admin bool, b string) millicent.BudgetStatus {
	t.Helper()
	client, url := http.DefaultClient, "http://"+s.addr
	if admin {
		client, url = s.admin(), "http://admin"
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, url+"/_millicent/budgets", strings.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var status millicent.BudgetStatus
	if err := json.Unmarshal(body, &status); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	return status
}

// TestURLsTellNothingOfBudgets: who calls a function URL learns that there is
// nothing now, and not why; who calls the API learns all.
func TestURLsTellNothingOfBudgets(t *testing.T) {
	s := start(t, Config{Data: t.TempDir()})
	c := s.client()
	deploy(t, c, "hello", echo)
	u, err := c.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("hello"), AuthType: types.FunctionUrlAuthTypeNone})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(*u.FunctionUrl, "http://"), "/")
	b := setBudget(t, s, true, `{"scope":{"function":"hello"},"per":"total","amount":"0.000000001","stop":true}`)
	if b.ID != "operator/function/hello/total" || b.Owner != millicent.OwnedByOperator {
		t.Errorf("set %+v", b)
	}
	status, body := get(t, "http://"+s.addr+"/", host)
	if status != http.StatusTooManyRequests || !strings.Contains(body, `"Rate Exceeded."`) || strings.Contains(body, "udget") {
		t.Errorf("by URL: %d %s", status, body)
	}
	_, err = c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("hello")}, func(o *lambda.Options) { o.RetryMaxAttempts = 1 })
	if err == nil || !strings.Contains(err.Error(), "TooManyRequestsException: An invocation with this timeout and memory may cost 0.0") ||
		!strings.Contains(err.Error(), "is left of the budget operator/function/hello/total of 0.000000001 USD. It has no period") {
		t.Errorf("by the API: %v", err)
	}
}

// TestBudgetWebhooks: a webhook is called only where functions may connect to.
func TestBudgetWebhooks(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the server called an address of its own machine")
	}))
	defer inside.Close()
	s := start(t, Config{Data: t.TempDir()})
	c := s.client()
	deploy(t, c, "hello", echo)
	setBudget(t, s, false, `{"per":"day","amount":"0.0000001","warn":[1],"webhook":"`+inside.URL+`"}`)
	call(t, c, "hello", "{}")
	waitFor(t, func() bool { return strings.Contains(s.log.String(), "warning not told") })
	if !strings.Contains(s.log.String(), "refused by the egress policy") {
		t.Errorf("the reason is missing")
	}
}
