package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/millicent-run/millicent/internal/api/scheduler"
	"github.com/millicent-run/millicent/internal/api/sqs"
)

// otherRequests are requests to the APIs beside the Lambda API, by what
// answers them.
func otherRequests() map[string]*http.Request {
	json := newRequest("POST", "/", `{"QueueName":"q"}`)
	json.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueUrl")
	query := newRequest("POST", "/", "Action=GetQueueUrl&QueueName=q")
	query.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return map[string]*http.Request{"sqs": json, "sqs query": query, "scheduler": newRequest("POST", "/schedules/s", `{}`)}
}

func newOtherFixture(verified bool) *fixture {
	f := newFixture(verified)
	f.cfg.SQS = sqs.New(sqs.Config{Region: testRegion})
	f.cfg.Scheduler = scheduler.New(scheduler.Config{Region: testRegion})
	return f
}

// TestOtherAPIsErrors: what the listener refuses is said in the words of the
// API that was asked, with the listener's status.
func TestOtherAPIsErrors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		verified bool
		change   func(f *fixture, r *http.Request)
		status   map[string]int
		says     map[string]string
	}{
		{
			"no signature", true, func(*fixture, *http.Request) {},
			map[string]int{"sqs": 403, "sqs query": 403, "scheduler": 403},
			map[string]string{
				"sqs":       `"__type":"com.amazonaws.sqs#MissingAuthenticationTokenException"`,
				"sqs query": "<Code>MissingAuthenticationTokenException</Code>", "scheduler": `{"Message":`,
			},
		},
		{
			"a page of another origin", false, func(_ *fixture, r *http.Request) { r.Host = "evil.example" },
			map[string]int{"sqs": 403, "sqs query": 403, "scheduler": 403},
			map[string]string{"sqs": "AccessDeniedException", "sqs query": "<Code>AccessDeniedException</Code>", "scheduler": "evil.example"},
		},
		{
			"no memory for its body", false, func(f *fixture, _ *http.Request) { f.bodies.limit = 1 },
			map[string]int{"sqs": 403, "sqs query": 403, "scheduler": 429},
			map[string]string{"sqs": "#RequestThrottled", "sqs query": "<Code>RequestThrottled</Code>", "scheduler": "Rate Exceeded."},
		},
		{
			"a body that breaks off", false, func(_ *fixture, r *http.Request) {
				r.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), brokenBody{}))
			},
			map[string]int{"sqs": 400, "sqs query": 400, "scheduler": 400},
			map[string]string{"sqs": "could not be read", "sqs query": "could not be read", "scheduler": "could not be read"},
		},
	} {
		for api, r := range otherRequests() {
			f := newOtherFixture(tt.verified)
			tt.change(f, r)
			resp, body := f.do(t, f, r)
			if resp.StatusCode != tt.status[api] || !strings.Contains(body, tt.says[api]) {
				t.Errorf("%s, %s: got %d %s, want %d …%s…", tt.name, api, resp.StatusCode, body, tt.status[api], tt.says[api])
			}
			if strings.Contains(f.log.String(), "level=ERROR") {
				t.Errorf("%s, %s: the caller's fault is in the log as ours: %s", tt.name, api, f.log)
			}
		}
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestOtherAPIsPanics are answered in the form of the API, too.
func TestOtherAPIsPanics(t *testing.T) {
	for api, r := range otherRequests() {
		f := newOtherFixture(false) // without the services: the first use of one panics
		if api == "scheduler" {
			r = newRequest("GET", "/schedules/s", "")
		}
		resp, body := f.do(t, f, r)
		want := map[string]string{"sqs": `"__type"`, "sqs query": "<ErrorResponse", "scheduler": `{"Message":`}[api]
		if resp.StatusCode != 500 || !strings.Contains(body, want) || strings.Contains(body, "nil pointer") {
			t.Errorf("%s: %d %s", api, resp.StatusCode, body)
		}
	}
}
