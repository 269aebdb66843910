package eventsource

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const (
	testTenant = "000000000000"
	testRegion = "us-east-1"
)

// event is what a function of these tests sees.
type event struct {
	Records []struct {
		MessageID string      `json:"messageId"`
		Body      string      `json:"body"`
		NATS      natsContent `json:"nats"`
	}
}

func (e event) bodies() (l []string) {
	for _, r := range e.Records {
		l = append(l, r.Body+string(r.NATS.Data))
	}
	return l
}

// A fakeInvoker answers with what serve returns.
type fakeInvoker struct {
	mu    sync.Mutex
	broke error         // what Affords says
	asked chan struct{} // it was asked
	serve func(inv *millicent.Invocation, e event) (*millicent.Result, error)
	seen  chan event
}

func (f *fakeInvoker) Invoke(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	var e event
	if err := json.Unmarshal(inv.Event, &e); err != nil {
		return nil, err
	}
	f.mu.Lock()
	serve := f.serve
	f.mu.Unlock()
	res, err := serve(inv, e)
	f.seen <- e
	return res, err
}

// fakeEvents keeps what it is given.
type fakeEvents struct {
	enqueued  chan *millicent.Invocation
	abandoned chan millicent.Abandoned
}

func (f *fakeEvents) Enqueue(_ context.Context, inv *millicent.Invocation) error {
	f.enqueued <- inv
	return nil
}

func (f *fakeEvents) Abandon(_ context.Context, _ *millicent.Invocation, a millicent.Abandoned) error {
	f.abandoned <- a
	return nil
}

// A world is a Service on real queues and a real store.
type world struct {
	*Service
	t       *testing.T
	invoker *fakeInvoker
	events  *fakeEvents
	queues  *sqs.Service
	store   *store.Store
	conn    *nats.Conn // of the platform's own subjects
}

func newWorld(t *testing.T, serve func(*millicent.Invocation, event) (*millicent.Result, error)) *world {
	t.Helper()
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	srv, err := natsd.Start(filepath.Join(dir, "state"), log)
	must(t, err)
	closing(t, srv)
	conn, err := srv.Connect()
	must(t, err)
	js, err := jetstream.New(conn)
	must(t, err)
	st, err := store.Open(t.Context(), js, store.Config{Dir: filepath.Join(dir, "packages"), Region: testRegion, Log: log})
	must(t, err)
	closing(t, st)
	definitions, err := store.OpenCatalog[millicent.Queue](t.Context(), js, "queues", log)
	must(t, err)
	closing(t, definitions)
	mappings, err := store.OpenCatalog[millicent.Mapping](t.Context(), js, "mappings", log)
	must(t, err)
	closing(t, mappings)
	messages, err := queue.Open(t.Context(), js, queue.Config{Dir: filepath.Join(dir, "messages"), Log: log})
	must(t, err)
	closing(t, messages)
	w := &world{t: t, invoker: &fakeInvoker{serve: serve, seen: make(chan event, 1000)}, store: st, conn: conn,
		events: &fakeEvents{make(chan *millicent.Invocation, 1000), make(chan millicent.Abandoned, 1000)}}
	w.queues = sqs.New(sqs.Config{Region: testRegion, Catalog: definitions, Messages: messages})
	w.Service = New(Config{Region: testRegion, Catalog: mappings, Queues: w.queues, Store: st, Invoker: w.invoker, Events: w.events, Conn: conn,
		Dial: func(ctx context.Context, _ []string, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}, Log: log})
	w.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, w.Close(ctx))
	})
	_, err = st.Create(t.Context(), &millicent.Function{
		Tenant: testTenant, Name: "fn",
		Draft: &millicent.Version{Runtime: "python3.11", Handler: "a.b", Timeout: time.Second, MemoryMB: 128, TmpMB: 512, State: millicent.StateActive},
	})
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closing(t *testing.T, c io.Closer) { t.Cleanup(func() { must(t, c.Close()) }) }

func (w *world) queue(name string, attributes map[string]string) *millicent.Queue {
	w.t.Helper()
	q, err := w.queues.Create(w.t.Context(), testTenant, name, attributes, nil)
	must(w.t, err)
	return q
}

func (w *world) mapping(q *millicent.Queue, m millicent.Mapping) *millicent.Mapping {
	w.t.Helper()
	m.Tenant, m.Source, m.Function, m.Enabled = testTenant, q.ARN(testRegion), "fn", true
	if m.BatchSize == 0 {
		m.BatchSize = 10
	}
	made, err := w.Create(w.t.Context(), &m)
	must(w.t, err)
	return made
}

func (w *world) send(q *millicent.Queue, group string, bodies ...string) {
	w.t.Helper()
	var all []sqs.Outgoing
	for _, b := range bodies {
		out := sqs.Outgoing{Body: b}
		if group != "" {
			out.Group, out.Dedup = group, b[:min(len(b), 100)]
		}
		all = append(all, out)
	}
	for part := range slices.Chunk(all, 10) {
		_, errs := w.queues.SendAll(w.t.Context(), q, part)
		for _, err := range errs {
			must(w.t, err)
		}
	}
}

// run returns the bodies of the next n records that the function gets.
func (w *world) run(n int) (bodies []string) {
	w.t.Helper()
	for len(bodies) < n {
		select {
		case e := <-w.invoker.seen:
			bodies = append(bodies, e.bodies()...)
		case <-time.After(time.Minute):
			w.t.Fatalf("the function got %q, and nothing more", bodies)
		}
	}
	return bodies
}

// empty waits until nothing of q is left.
func (w *world) empty(q *millicent.Queue) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for s := w.queues.Stats(q); s.Ready+s.InFlight+s.Delayed > 0; s = w.queues.Stats(q) {
		if time.Now().After(deadline) {
			w.t.Fatalf("left in the queue: %+v", s)
		}
		time.Sleep(time.Millisecond)
	}
}

func ok(*millicent.Invocation, event) (*millicent.Result, error) {
	return &millicent.Result{Payload: []byte("null")}, nil
}

func numbers(n int) (l []string) {
	for i := range n {
		l = append(l, fmt.Sprintf("%04d", i))
	}
	return l
}

func TestMessagesGoToTheFunction(t *testing.T) {
	w := newWorld(t, ok)
	q := w.queue("q", nil)
	m := w.mapping(q, millicent.Mapping{})
	w.send(q, "", numbers(100)...)
	got := w.run(100)
	slices.Sort(got)
	if diff := cmp.Diff(numbers(100), got); diff != "" {
		t.Error(diff)
	}
	w.empty(q)

	_, err := w.Update(t.Context(), testTenant, m.ID, func(m *millicent.Mapping) error { m.Enabled = false; return nil })
	must(t, err)
	w.send(q, "", "while it is off")
	_, err = w.Update(t.Context(), testTenant, m.ID, func(m *millicent.Mapping) error { m.Enabled = true; return nil })
	must(t, err)
	if got := w.run(1); got[0] != "while it is off" {
		t.Errorf("got %q", got)
	}
	must(t, w.Tag(t.Context(), testTenant, m.ID, func(map[string]string) (map[string]string, error) {
		return map[string]string{"k": "v"}, nil
	}))
	w.send(q, "", "once it has tags")
	if got := w.run(1); got[0] != "once it has tags" {
		t.Errorf("got %q", got)
	}
	_, err = w.Delete(t.Context(), testTenant, m.ID)
	must(t, err)
}

func TestBatchesFillUp(t *testing.T) {
	w := newWorld(t, ok)
	q := w.queue("q", nil)
	w.mapping(q, millicent.Mapping{BatchSize: 50, Window: 20 * time.Second, MaxConcurrency: 2})
	for _, n := range numbers(50) {
		w.send(q, "", n)
	}
	// One invocation: the window is far longer than the sending takes.
	select {
	case e := <-w.invoker.seen:
		if len(e.Records) != 50 {
			t.Errorf("a batch of %d", len(e.Records))
		}
	case <-time.After(time.Minute):
		t.Fatal("no batch")
	}
	w.empty(q)
}

func TestFailedMessagesComeBack(t *testing.T) {
	var mu sync.Mutex
	tries := map[string]int{}
	w := newWorld(t, func(_ *millicent.Invocation, e event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		answer := map[string]any{"batchItemFailures": []any{}}
		for _, r := range e.Records {
			tries[r.Body]++
			if r.Body == "bad" || r.Body == "second" && tries[r.Body] == 1 {
				answer["batchItemFailures"] = append(answer["batchItemFailures"].([]any), map[string]string{"itemIdentifier": r.MessageID})
			}
		}
		payload, err := json.Marshal(answer)
		return &millicent.Result{Payload: payload}, err
	})
	dead := w.queue("dead", nil)
	q := w.queue("q", map[string]string{"VisibilityTimeout": "1",
		"RedrivePolicy": `{"deadLetterTargetArn":"` + dead.ARN(testRegion) + `","maxReceiveCount":3}`})
	w.mapping(q, millicent.Mapping{PartialFailures: true})
	w.send(q, "", "first", "second", "bad")
	w.run(3 + 2 + 1)
	w.empty(q)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]int{"first": 1, "second": 2, "bad": 3}, tries); diff != "" {
		t.Error(diff)
	}
	if n := w.queues.Stats(dead).Ready; n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

func TestGroupsStayInOrder(t *testing.T) {
	var mu sync.Mutex
	running := map[byte]bool{}
	w := newWorld(t, func(_ *millicent.Invocation, e event) (*millicent.Result, error) {
		mu.Lock()
		for _, r := range e.Records {
			if running[r.Body[0]] {
				t.Errorf("%s runs beside another of its group", r.Body)
			}
		}
		for _, r := range e.Records {
			running[r.Body[0]] = true
		}
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range e.Records {
			running[r.Body[0]] = false
		}
		return &millicent.Result{}, nil
	})
	q := w.queue("q.fifo", map[string]string{"FifoQueue": "true"})
	w.mapping(q, millicent.Mapping{BatchSize: 3})
	var want []string
	for i := range 20 {
		for _, g := range []string{"a", "b"} {
			body := fmt.Sprintf("%s%02d", g, i)
			w.send(q, g, body)
			if g == "a" {
				want = append(want, body)
			}
		}
	}
	got := slices.DeleteFunc(w.run(40), func(s string) bool { return s[0] != 'a' })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.empty(q)
}

// TestGroupsStayInOrderOverSplits: messages that are too large for one event
// are given in several, and none before an earlier one was done.
func TestGroupsStayInOrderOverSplits(t *testing.T) {
	var mu sync.Mutex
	var order []byte
	failed := false
	w := newWorld(t, func(_ *millicent.Invocation, e event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if !failed {
			failed = true
			return &millicent.Result{FunctionError: "Unhandled"}, nil
		}
		for _, r := range e.Records {
			order = append(order, r.Body[0])
		}
		return &millicent.Result{}, nil
	})
	q := w.queue("q.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "5"})
	for i := range 8 {
		w.send(q, "g", string(rune('0'+i))+strings.Repeat("x", 1_000_000))
	}
	w.mapping(q, millicent.Mapping{})
	w.empty(q)
	mu.Lock()
	defer mu.Unlock()
	if string(order) != "01234567" {
		t.Errorf("the order is %s", order)
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t, ok)
	q := w.queue("q", nil)
	w.mapping(q, millicent.Mapping{Filters: []string{`{"body":{"kind":["wanted"]}}`, `{"body":["plain"]}`}})
	w.send(q, "", `{"kind":"wanted","n":1}`, `{"kind":"other"}`, "plain", "text", `{"kind":"wanted","n":2}`)
	got := w.run(3)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"plain", `{"kind":"wanted","n":1}`, `{"kind":"wanted","n":2}`}, got); diff != "" {
		t.Error(diff)
	}
	w.empty(q) // what no filter wants is deleted
}

// TestThrottledBatchesAreTriedAgain without the messages being received anew.
func TestThrottledBatchesAreTriedAgain(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	w := newWorld(t, func(*millicent.Invocation, event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls < 3 {
			return nil, millicent.Throttled(millicent.ReasonConcurrency)
		}
		return &millicent.Result{}, nil
	})
	dead := w.queue("dead", nil)
	q := w.queue("q", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead.ARN(testRegion) + `","maxReceiveCount":1}`})
	w.mapping(q, millicent.Mapping{})
	w.send(q, "", "patient")
	w.run(3)
	w.empty(q)
	if n := w.queues.Stats(dead).Ready; n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestLineageGoesThroughQueues(t *testing.T) {
	lineage := make(chan millicent.Lineage, 1)
	w := newWorld(t, func(inv *millicent.Invocation, _ event) (*millicent.Result, error) {
		lineage <- inv.Lineage
		return &millicent.Result{}, nil
	})
	q := w.queue("q", nil)
	w.mapping(q, millicent.Mapping{})
	out := sqs.Outgoing{Body: "b"}
	out.Lineage = millicent.Lineage{Root: "root"}.Next(testTenant, "fn", "id")
	_, err := w.queues.Send(t.Context(), q, out)
	must(t, err)
	if got := <-lineage; got.Root != "root" || got.Hops != 1 || len(got.Visited) != 1 {
		t.Errorf("got %+v", got)
	}
}

func receivedOf(messages ...sqs.Message) (all []received) {
	for _, m := range messages {
		all = append(all, received{Message: m})
	}
	return all
}

func TestAnswersOfPartialFailure(t *testing.T) {
	messages := receivedOf(sqs.Message{ID: "a", Handle: "ha"}, sqs.Message{ID: "b", Handle: "hb"})
	both := []string{"ha", "hb"}
	for payload, want := range map[string][]string{
		"": both, "null": both, `""`: both, "{}": both, `{"batchItemFailures":[]}`: both, `{"batchItemFailures":null}`: both,
		`{"batchItemFailures":[{"itemIdentifier":"a"}]}`:                        {"hb"},
		`{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}`: nil,
		`{"batchItemFailures":[{"itemIdentifier":""}]}`:                         nil,
		`{"batchItemFailures":[{"itemIdentifier":null}]}`:                       nil,
		`{"batchItemFailures":[{"nonsense":"a"}]}`:                              nil,
		`{"batchItemFailures":[{"itemIdentifier":"c"}]}`:                        nil,
		`{"batchItemFailures":"a"}`:                                             nil,
		`"text"`:                                                                nil, `[1]`: nil, `{`: nil,
	} {
		if diff := cmp.Diff(want, done(messages, failures(messageIDs(messages), []byte(payload)))); diff != "" {
			t.Errorf("%s: %s", payload, diff)
		}
	}
	ordered := receivedOf(sqs.Message{ID: "1", Handle: "h1", Sequence: "1"}, sqs.Message{ID: "2", Handle: "h2", Sequence: "2"}, sqs.Message{ID: "3", Handle: "h3", Sequence: "3"})
	if diff := cmp.Diff([]string{"h1"}, done(ordered, map[string]bool{"2": true})); diff != "" {
		t.Error("of a group, " + diff)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"batchItemFailures":[{"itemIdentifier":"a"}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		messages := receivedOf(sqs.Message{ID: "a", Handle: "ha"}, sqs.Message{ID: "b", Handle: "hb"})
		if n := len(done(messages, failures(messageIDs(messages), payload))); n > 2 {
			t.Errorf("%d of two are done", n)
		}
	})
}

func TestPace(t *testing.T) {
	p := newPace(8)
	for range firstPace {
		if !p.begin() {
			t.Fatal("it does not begin")
		}
	}
	if p.begin() {
		t.Error("it begins with too many")
	}
	p.end(outcomeDone)
	for _, want := range []bool{true, true, false} {
		if p.begin() != want {
			t.Errorf("after a success: %+v", p)
		}
	}
	p.end(outcomeThrottled)
	p.end(outcomeFailed)
	if p.limit != 3 || p.begin() {
		t.Errorf("after a throttle: %+v", p)
	}
	for range 20 {
		p.end(outcomeDone)
		p.running++
	}
	if p.limit != 8 {
		t.Errorf("beyond its bound: %+v", p)
	}
}
