package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// crashRounds is how often crash tests kill a server: MILLICENT_CRASH_ROUNDS,
// or as often as a test run has time for.
func crashRounds(t *testing.T, standard int) int {
	t.Helper()
	text := os.Getenv("MILLICENT_CRASH_ROUNDS")
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MILLICENT_CRASH_ROUNDS is %q", text)
	}
	return n
}

// eventLedger is what is known of events outside of the server, by request id.
type eventLedger struct {
	mu    sync.Mutex
	acked map[string]bool
	ends  map[string]int // in a queue, or as a dead letter
}

// caller sends events until the server is gone.
func (l *eventLedger) caller(ctx context.Context, s *server) {
	client := s.sdk()
	for n := 0; ctx.Err() == nil; n++ {
		function := []string{"told", "untold"}[n%2]
		event := []string{`{"n":1}`, `{"fail":true}`}[n/2%2]
		out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, InvocationType: types.InvocationTypeEvent, Payload: []byte(event)})
		if err != nil {
			return // it may have been accepted or not
		}
		id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
		if !ok {
			s.t.Error("an answer without a request id")
		}
		l.mu.Lock()
		l.acked[id+" "+function+" "+event] = true
		l.mu.Unlock()
	}
}

// sqsCall makes a call of the queues' API, without an SDK.
func (s *server) sqsCall(operation string, in, out any) {
	s.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url(), bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %s (%v)", operation, resp.Status, answer, err)
	}
}

// drain takes all records out of a queue.
func (l *eventLedger) drain(t *testing.T, s *server, queue string) {
	t.Helper()
	type entry struct {
		ID            string `json:"Id"`
		ReceiptHandle string
	}
	url := s.url() + "/000000000000/" + queue
	for {
		var got struct {
			Messages []struct{ MessageID, ReceiptHandle, Body string } // their names match in any case
		}
		s.sqsCall("ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10}, &got)
		if len(got.Messages) == 0 {
			return
		}
		var entries []entry
		for _, m := range got.Messages {
			var r eventRecord
			if err := json.Unmarshal([]byte(m.Body), &r); err != nil {
				t.Fatal(err)
			}
			if c := r.RequestContext; (c.Condition == "Success") != (queue == "done") || c.Count != 1 {
				t.Errorf("in %s: %+v", queue, c)
			}
			l.ends[r.RequestContext.RequestID]++
			entries = append(entries, entry{m.MessageID, m.ReceiptHandle})
		}
		var deleted struct{ Failed []any }
		s.sqsCall("DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": entries}, &deleted)
		if len(deleted.Failed) > 0 {
			t.Fatalf("not deleted: %v", deleted.Failed)
		}
	}
}

// awaitEventsDone waits until no event is left.
func (s *server) awaitEventsDone() {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var all []struct{ Ready, Delayed, Running int }
		if err := json.Unmarshal([]byte(s.mustCLI("queue", "--json")), &all); err != nil {
			s.t.Fatal(err)
		}
		left := 0
		for _, q := range all {
			left += q.Ready + q.Delayed + q.Running
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d events are left", left)
		}
	}
}

// runs returns how often a function has run for each request, by its log.
func (s *server) runs(function string) map[string]int {
	s.t.Helper()
	runs := map[string]int{}
	for line := range strings.Lines(s.mustCLI("logs", function, "--limit", "10000")) {
		if _, rest, ok := strings.Cut(line, "START RequestId: "); ok {
			id, _, _ := strings.Cut(rest, " ")
			runs[id]++
		}
	}
	return runs
}

// TestEventsThroughKillNine kills the server at random moments while it takes
// and runs events: each that it acknowledged ends exactly once, in success, in
// a destination, or as a dead letter. Runs that a kill cut off from their end
// are made again, and no others.
func TestEventsThroughKillNine(t *testing.T) {
	rounds := crashRounds(t, 10)
	s := up(t)
	done, failed := s.queue("done"), s.queue("failed")
	s.createPython("told", "untold")
	s.configureEvents("told", done, failed)
	s.configureEvents("untold", done, "")
	l := &eventLedger{acked: map[string]bool{}, ends: map[string]int{}}
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() { l.caller(ctx, s) })
		}
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond) // when does not matter
		s.kill()
		cancel()
		callers.Wait()
		s.start()
	}
	s.awaitEventsDone()
	l.drain(t, s, "done")
	l.drain(t, s, "failed")
	var letters []struct{ ID, Condition string }
	if err := json.Unmarshal([]byte(s.mustCLI("dlq", "list", "--json")), &letters); err != nil {
		t.Fatal(err)
	}
	for _, letter := range letters {
		l.ends[letter.ID]++
	}
	lost, doubled, again := 0, 0, 0
	for key := range l.acked {
		id, _, _ := strings.Cut(key, " ")
		if l.ends[id] == 0 {
			lost++
			t.Errorf("lost: %s", key)
		}
	}
	for id, n := range l.ends {
		if n > 1 {
			doubled++
			t.Errorf("%s has ended %d times", id, n)
		}
	}
	for _, function := range []string{"told", "untold"} {
		for _, n := range s.runs(function) {
			again += n - 1
		}
	}
	t.Logf("%d rounds: %d events acknowledged, %d ended, %d lost, %d ended twice; %d runs were made again", rounds, len(l.acked), len(l.ends), lost, doubled, again)
	if len(l.acked) < 20*rounds {
		t.Errorf("only %d events were acknowledged: the test tests nothing", len(l.acked))
	}
	if bound := 100 * rounds; again > bound { // what ran at the kills at most
		t.Errorf("%d runs were made again, at most %d ran when the server was killed", again, bound)
	}
}
