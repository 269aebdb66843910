package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// eventLoad is asynchronous invocations of functions that succeed and fail,
// with all that may become of them.
type eventLoad struct {
	retries int

	mu     sync.Mutex
	acked  map[string]string   // by request id: function and event
	ends   map[string][]string // likewise: where it ended
	counts map[string]int      // likewise: its attempts
	n      int
}

// eventFunctions are the functions of an eventLoad, by what becomes of
// failures: a destination, our own dead letters, a dead-letter queue.
var eventFunctions = []string{"told", "untold", "lettered"}

func newEventLoad(s *server, patient bool) *eventLoad {
	l := &eventLoad{acked: map[string]string{}, ends: map[string][]string{}, counts: map[string]int{}}
	if patient {
		l.retries = 1
	}
	done, failed, letters := s.queue("done"), s.queue("failed"), s.queue("letters")
	s.createTelling(eventFunctions...)
	for _, f := range eventFunctions {
		onFailure := ""
		if f == "told" {
			onFailure = failed
		}
		s.configureEvents(f, done, onFailure)
		_, err := s.sdk().UpdateFunctionEventInvokeConfig(s.t.Context(), &lambda.UpdateFunctionEventInvokeConfigInput{
			FunctionName: &f, MaximumRetryAttempts: aws.Int32(int32(l.retries))})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := s.sdk().UpdateFunctionConfiguration(s.t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("lettered"), DeadLetterConfig: &types.DeadLetterConfig{TargetArn: &letters}})
	if err != nil {
		s.t.Fatal(err)
	}
	// Of this one, events are throttled and wait for their turn.
	_, err = s.sdk().PutFunctionConcurrency(s.t.Context(), &lambda.PutFunctionConcurrencyInput{
		FunctionName: aws.String("untold"), ReservedConcurrentExecutions: aws.Int32(2)})
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// post makes a call.
func (s *server) post(ctx context.Context, path string, body []byte, header map[string]string) (int, []byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url()+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, resp.Header, err
}

func (l *eventLoad) work(ctx context.Context, c *crashes) {
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for ctx.Err() == nil && l.send(ctx, c) {
			}
		})
	}
	callers.Wait()
}

// send sends an event; false when the server is gone. Some are larger than
// what the queues keep in their log.
func (l *eventLoad) send(ctx context.Context, c *crashes) bool {
	l.mu.Lock()
	n := l.n
	l.n++
	l.mu.Unlock()
	function := eventFunctions[n%len(eventFunctions)]
	event := map[string]any{"n": n}
	if n/len(eventFunctions)%3 == 2 {
		event["fail"] = true
	}
	short := fmt.Sprint(function, " ", event)
	if n%25 == 24 {
		event["padding"] = strings.Repeat("x", 300<<10)
	}
	body, err := json.Marshal(event)
	if err != nil {
		c.t.Error(err)
		return false
	}
	status, _, header, err := c.post(ctx, "/2015-03-31/functions/"+function+"/invocations", body, map[string]string{"X-Amz-Invocation-Type": "Event"})
	if err != nil || status == http.StatusServiceUnavailable {
		return false // it may have been accepted or not
	}
	id := header.Get("X-Amzn-Requestid")
	if status != http.StatusAccepted || id == "" {
		c.t.Errorf("%d to an event, with the request id %q", status, id)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = short
	return true
}

func (l *eventLoad) worth() int { return len(l.acked) / 20 }

func (l *eventLoad) check(c *crashes) string {
	for _, queue := range []string{"done", "failed"} {
		c.drain(queue, func(m crashMessage) {
			var r eventRecord
			if err := json.Unmarshal([]byte(m.Body), &r); err != nil {
				c.t.Fatal(err)
			}
			at := r.RequestContext
			if (at.Condition == "Success") != (queue == "done") {
				c.t.Errorf("in %s: %+v", queue, at)
			}
			l.ends[at.RequestID] = append(l.ends[at.RequestID], queue)
			l.counts[at.RequestID] = at.Count
		})
	}
	c.drain("letters", func(m crashMessage) {
		id := m.MessageAttributes["RequestID"].StringValue
		l.ends[id] = append(l.ends[id], "letters")
	})
	var letters []struct{ ID, Condition string }
	if err := json.Unmarshal([]byte(c.mustCLI("dlq", "list", "--json")), &letters); err != nil {
		c.t.Fatal(err)
	}
	for _, letter := range letters {
		l.ends[letter.ID] = append(l.ends[letter.ID], "dead letters")
	}
	lost := 0
	for id, what := range l.acked {
		switch ends := l.ends[id]; {
		case len(ends) == 0:
			lost++
			c.t.Errorf("lost: %s %s", id, what)
		case strings.Contains(what, "fail") == (ends[0] == "done"):
			c.t.Errorf("%s %s ended in %v", id, what, ends)
		}
	}
	where := map[string]int{}
	for id, ends := range l.ends {
		if len(ends) > 1 {
			c.t.Errorf("%s ended in %v", id, ends)
		}
		where[ends[0]]++
		c.explain(id, max(l.retries, l.counts[id]-1))
	}
	return fmt.Sprintf("events: %d acknowledged, %d lost, ended in %v", len(l.acked), lost, where)
}
