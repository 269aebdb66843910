package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Servers that crash at random moments while they do everything at once.

// A crashLoad is one kind of work for a server that crashes. It keeps what the
// server acknowledged.
type crashLoad interface {
	// work gives work until ctx ends or the server is gone.
	work(ctx context.Context, c *crashes)

	// worth is for how many crashes what was acknowledged suffices: with less
	// the test would test nothing. It is called between rounds.
	worth() int

	// check compares what was acknowledged with what came of it, when all is
	// done, and tells in a line.
	check(c *crashes) string
}

// crashes is a server with all kinds of work, and when it crashed.
type crashes struct {
	*server
	loads []crashLoad
	least int // crashes that there are to be, at least
	times []time.Time
	told  []crashRun
	ran   map[string][]float64 // when each event and message ran, by Unix time

	again, unexplained int // runs after the first, and those of them without a crash or a retry before
}

// A crashRun is what a function tells of a run.
type crashRun struct {
	ID    string // of the event or message
	Body  string // of the message, or the event's name
	Time  float64
	About string // the function, or the queue
}

// crashRounds is how often crash tests end a server: an environment variable,
// or as often as a test run has time for.
func crashRounds(t *testing.T, variable string, standard int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q", variable, text)
	}
	return n
}

// tellsPython sends a message for each event or record that it runs, before it
// goes on: what ran is known whatever happens to the server. It fails when it
// is told to.
const tellsPython = `
import json, os, time, urllib.request
def handler(event, context):
    now, records = time.time(), event.get("Records")
    def entry(n, id, body, about):
        return {"Id": str(n), "MessageBody": json.dumps({"id": id, "body": body, "time": now, "about": about})}
    if records:
        entries = [entry(n, r["messageId"], r["body"], r["eventSourceARN"]) for n, r in enumerate(records)]
    else:
        entries = [entry(0, context.aws_request_id, event.get("name", ""), context.function_name)]
    urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"],
        json.dumps({"QueueUrl": "/000000000000/ran", "Entries": entries}).encode(),
        {"X-Amz-Target": "AmazonSQS.SendMessageBatch", "Content-Type": "application/x-amz-json-1.0"})).read()
    if event.get("fail"):
        raise ValueError("as asked for")
    if records:
        return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in records if r["body"].startswith("bad")]}
    return {"done": True}
`

// createTelling makes functions of tellsPython.
func (s *server) createTelling(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.create(&lambda.CreateFunctionInput{
			FunctionName: &name, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(256),
			Timeout: aws.Int32(20), Code: &types.FunctionCode{ZipFile: zipOf(s.t, map[string]string{"app.py": tellsPython})},
		})
	}
}

// prepareCrashes makes all kinds of work for a server that is to crash so many
// times. With patience, events that fail are retried, which takes them a minute.
func prepareCrashes(s *server, rounds int, patient bool) *crashes {
	s.queue("ran")
	return &crashes{server: s, least: rounds, ran: map[string][]float64{}, loads: []crashLoad{
		newEventLoad(s, patient), newMessageLoad(s), newScheduleLoad(s), newChangeLoad(),
	}}
}

// another reports whether there is to be another round: also, for a while, where
// a slow machine did less than makes a test.
func (c *crashes) another() bool {
	return len(c.times) < c.least || len(c.times) < 5*c.least && c.worth() < c.least
}

// worth is that of the load with the least.
func (c *crashes) worth() int {
	least := c.loads[0].worth()
	for _, l := range c.loads[1:] {
		least = min(least, l.worth())
	}
	return least
}

// round gives all kinds of work for a while and then calls crash, which ends
// the server.
func (c *crashes) round(crash func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var all sync.WaitGroup
	for _, l := range c.loads {
		all.Go(func() { l.work(ctx, c) })
	}
	time.Sleep(time.Duration(200+rand.IntN(1000)) * time.Millisecond) // when does not matter
	crash()
	c.times = append(c.times, time.Now())
	cancel()
	all.Wait()
}

// check waits until all work is done and compares what came of it with what
// was acknowledged.
func (c *crashes) check() {
	c.t.Helper()
	if n := c.worth(); n < c.least {
		c.t.Errorf("what was acknowledged suffices for %d crashes: the test tests nothing", n)
	}
	c.awaitDone()
	c.drain("ran", func(m crashMessage) {
		var r crashRun
		if err := json.Unmarshal([]byte(m.Body), &r); err != nil {
			c.t.Fatal(err)
		}
		c.told = append(c.told, r)
		c.ran[r.ID] = append(c.ran[r.ID], r.Time)
	})
	for _, times := range c.ran {
		slices.Sort(times)
	}
	for _, l := range c.loads {
		c.t.Log(l.check(c))
	}
	c.t.Logf("%d crashes: %d runs of %d events and messages; %d were made again, %d of them without a crash or a retry",
		len(c.times), len(c.ran)+c.again, len(c.ran), c.again, c.unexplained)
	if c.unexplained > 0 {
		c.t.Errorf("%d runs were made again for no reason", c.unexplained)
	}
}

// explain counts the runs of an event or a message after its first: retries,
// and those before which the server crashed. There may be no others.
func (c *crashes) explain(id string, retries int) {
	times := c.ran[id]
	for i := 1; i < len(times); i++ {
		if c.crashed(times[i-1], times[i]) {
			c.again++
			continue
		}
		if retries--; retries < 0 {
			c.unexplained++
			c.t.Errorf("%s ran at %f and again at %f", id, times[i-1], times[i])
		}
	}
}

// crashed reports whether the server crashed between two times.
func (c *crashes) crashed(from, to float64) bool {
	return slices.ContainsFunc(c.times, func(t time.Time) bool {
		at := float64(t.UnixMicro()) / 1e6
		return from <= at && at <= to
	})
}

// awaitDone waits until no event, tick or message to a function is left.
func (c *crashes) awaitDone() {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		ticks := c.ticksLeft() // these become events
		messages := c.depth("in") + c.depth("in.fifo")
		events := c.events()
		if ticks+messages+events == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d ticks, %d messages and %d events are left", ticks, messages, events)
		}
	}
}

// events is how many events wait or run.
func (s *server) events() (left int) {
	s.t.Helper()
	var all []struct{ Ready, Delayed, Running int }
	if err := json.Unmarshal([]byte(s.mustCLI("queue", "--json")), &all); err != nil {
		s.t.Fatal(err)
	}
	for _, q := range all {
		left += q.Ready + q.Delayed + q.Running
	}
	return left
}

// depth is how many messages a queue has.
func (s *server) depth(queue string) (all int) {
	s.t.Helper()
	var got struct{ Attributes map[string]string }
	s.mustSQS("GetQueueAttributes", map[string]any{"QueueUrl": "/000000000000/" + queue, "AttributeNames": []string{"All"}}, &got)
	for name, value := range got.Attributes {
		if n, err := strconv.Atoi(value); err == nil && strings.HasPrefix(name, "ApproximateNumberOf") {
			all += n
		}
	}
	return all
}

// sqsError is an answer of the queues' API that is none.
type sqsError struct{ status, body string }

func (e *sqsError) Error() string { return e.status + " " + e.body }

// trySQS makes a call of the queues' API, without an SDK.
func (s *server) trySQS(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, answer, _, err := s.post(ctx, "/", body, map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS." + operation})
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s: %w", operation, &sqsError{strconv.Itoa(status), string(answer)})
	}
	return json.Unmarshal(answer, out)
}

// mustSQS is trySQS for calls that have to succeed.
func (s *server) mustSQS(operation string, in, out any) {
	s.t.Helper()
	if err := s.trySQS(s.t.Context(), operation, in, out); err != nil {
		s.t.Fatal(err)
	}
}

// crashMessage is a message as it is received.
type crashMessage struct {
	MessageID, ReceiptHandle, Body string // the names match in any case
	MessageAttributes              map[string]struct{ StringValue string }
}

// drain takes all messages out of a queue.
func (s *server) drain(queue string, each func(crashMessage)) {
	s.t.Helper()
	type entry struct {
		ID            string `json:"Id"`
		ReceiptHandle string
	}
	url := "/000000000000/" + queue
	for s.depth(queue) > 0 {
		var got struct{ Messages []crashMessage }
		s.mustSQS("ReceiveMessage", map[string]any{
			"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"}, "WaitTimeSeconds": 1}, &got)
		var entries []entry
		for _, m := range got.Messages {
			each(m)
			entries = append(entries, entry{m.MessageID, m.ReceiptHandle})
		}
		if len(entries) == 0 {
			continue
		}
		var deleted struct{ Failed []any }
		s.mustSQS("DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": entries}, &deleted)
		if len(deleted.Failed) > 0 {
			s.t.Fatalf("not deleted: %v", deleted.Failed)
		}
	}
}

// TestKillNine kills the server at random moments while it does everything at
// once. Whatever it acknowledged is there afterwards and has had its end, and
// no process, cgroup or loop device of the killed one is left.
func TestKillNine(t *testing.T) {
	rounds := crashRounds(t, "MILLICENT_CRASH_ROUNDS", 6)
	s := up(t)
	fresh := s.footprint() // what a server holds that has run nothing
	c := prepareCrashes(s, rounds, rounds >= 30)
	for c.another() {
		var before []process
		c.round(func() {
			before = s.descendants()
			s.kill()
		})
		s.start()
		if left := orphans(t, before, 10*time.Second); len(left) > 0 {
			t.Fatalf("round %d: orphans after restart: %v", len(c.times), describe(left))
		}
	}
	c.check()
	s.kill()
	s.start()
	if f := s.footprint(); f.Processes > 0 || f.Cgroups > fresh.Cgroups || f.Loops > fresh.Loops {
		t.Errorf("%+v beside %+v after restart, before any invocation; a fresh server has %+v", f, s.stock(), fresh)
	}
	s.stop()
	if _, n := s.cgroups(); n+s.loops() > 0 {
		t.Errorf("%d cgroups and %d loop devices left behind", n, s.loops())
	}
}

// orphans returns those of a killed server's processes that are still there
// after a while.
func orphans(t *testing.T, before []process, within time.Duration) []process {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		left := alive(t, before)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(50 * time.Millisecond)
	}
}
