package eventsource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// A broker is a NATS server with a client of its own.
type broker struct {
	t    *testing.T
	url  string
	conn *nats.Conn
	js   jetstream.JetStream
}

func newBroker(t *testing.T, change func(*server.Options), options ...nats.Option) *broker {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}
	if change != nil {
		change(o)
	}
	srv, err := server.NewServer(o)
	must(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	conn, err := nats.Connect(srv.ClientURL(), options...)
	must(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	must(t, err)
	return &broker{t, strings.Replace(srv.ClientURL(), "tls://", "nats://", 1), conn, js}
}

func (b *broker) stream(config jetstream.StreamConfig) {
	b.t.Helper()
	_, err := b.js.CreateStream(b.t.Context(), config)
	must(b.t, err)
}

func (b *broker) publish(subject string, bodies ...string) {
	b.t.Helper()
	for _, body := range bodies {
		_, err := b.js.Publish(b.t.Context(), subject, []byte(body))
		must(b.t, err)
	}
}

// pending waits until a mapping's consumer has acknowledged all, and returns
// how many messages are still to be delivered.
func (b *broker) pending(stream string, m *millicent.Mapping) uint64 {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c, err := b.js.Consumer(b.t.Context(), stream, consumerName(m))
		must(b.t, err)
		info := c.CachedInfo()
		if info.NumAckPending == 0 {
			return info.NumPending
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("not acknowledged: %+v", info)
		}
	}
}

func settings() *millicent.StreamSettings {
	return &millicent.StreamSettings{Position: millicent.PositionOldest, Parallel: 1, Retries: -1, MaxAge: -1}
}

// source makes a mapping of a NATS source.
func (w *world) source(arn string, m millicent.Mapping) *millicent.Mapping {
	w.t.Helper()
	m.Tenant, m.Source, m.Function, m.Enabled = testTenant, arn, "fn", true
	if m.BatchSize == 0 {
		m.BatchSize = 100
	}
	made, err := w.Create(w.t.Context(), &m)
	must(w.t, err)
	return made
}

func (b *broker) arn(path string) string { return "arn:aws-millicent:nats:::" + b.url + "/" + path }

func TestStreamToFunction(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, nil)
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	b.publish("s.a", numbers(95)...)
	m := w.source(b.arn("stream/S"), millicent.Mapping{BatchSize: 10, Stream: settings()})
	if diff := cmp.Diff(numbers(95), w.run(95)); diff != "" {
		t.Error(diff)
	}
	// What is enabled again goes on where it was.
	_, err := w.Update(t.Context(), testTenant, m.ID, func(m *millicent.Mapping) error { m.Enabled = false; return nil })
	must(t, err)
	w.mu.Lock()
	before := w.runs[m.ID]
	w.mu.Unlock()
	<-before.ended
	b.publish("s.b", "while it is off")
	_, err = w.Update(t.Context(), testTenant, m.ID, func(m *millicent.Mapping) error { m.Enabled, m.BatchSize = true, 20; return nil })
	must(t, err)
	if got := w.run(1); got[0] != "while it is off" {
		t.Errorf("got %q", got)
	}
	if n := b.pending("S", m); n != 0 {
		t.Errorf("%d are still to come", n)
	}
	if got := w.Result(m); got != allWell {
		t.Errorf("it says %q", got)
	}
	// Its place in the stream goes with it.
	_, err = w.Delete(t.Context(), testTenant, m.ID)
	must(t, err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := b.js.Consumer(t.Context(), "S", consumerName(m)); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the consumer stays")
		}
	}
}

func TestStreamRecords(t *testing.T) {
	events := make(chan []byte, 10)
	w, b := newWorld(t, func(inv *millicent.Invocation, _ event) (*millicent.Result, error) {
		events <- inv.Event
		return &millicent.Result{}, nil
	}), newBroker(t, nil)
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	sent := nats.NewMsg("s.a")
	sent.Header.Set("K", "v")
	sent.Data = []byte("\x00data")
	_, err := b.js.PublishMsg(t.Context(), sent)
	must(t, err)
	arn := b.arn("stream/S/s.*")
	w.source(arn, millicent.Mapping{Stream: settings()})
	var got map[string][]map[string]any
	must(t, json.Unmarshal(<-events, &got))
	content := got["Records"][0]["nats"].(map[string]any)
	if at := time.UnixMilli(int64(content["timestamp"].(float64))); time.Since(at) > time.Hour {
		t.Errorf("its time is %v", at)
	}
	delete(content, "timestamp")
	want := map[string]any{
		"eventSource": "millicent:nats", "eventSourceARN": arn, "awsRegion": testRegion, "eventID": "S:1",
		"nats": map[string]any{"subject": "s.a", "stream": "S", "sequenceNumber": "1", "headers": map[string]any{"K": []any{"v"}}, "data": "AGRhdGE="},
	}
	if diff := cmp.Diff(want, got["Records"][0]); diff != "" {
		t.Error(diff)
	}
}

// TestStreamPositions: where a mapping begins, which messages it takes, and
// that those of a work queue are gone then.
func TestStreamPositions(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, nil)
	for name, c := range map[string]struct {
		subject   string
		position  string
		filters   []string
		retention jetstream.RetentionPolicy
		want      []string
	}{
		"ALL":       {"/>", millicent.PositionOldest, nil, jetstream.LimitsPolicy, []string{"first", "second", `{"k":["w","x"]}`, `{"k":"x"}`, "latest"}},
		"SUBJECT":   {"/SUBJECT.a", millicent.PositionOldest, nil, jetstream.LimitsPolicy, []string{"first", "second", "latest"}},
		"TIME":      {"/*.a", millicent.PositionTime, nil, jetstream.LimitsPolicy, []string{"second", "latest"}},
		"LATEST":    {"", millicent.PositionLatest, nil, jetstream.LimitsPolicy, []string{"latest"}},
		"FILTERED":  {"", millicent.PositionOldest, []string{`{"data":{"k":["w"]}}`, `{"subject":[{"suffix":".a"}],"data":["latest"]}`}, jetstream.LimitsPolicy, []string{`{"k":["w","x"]}`, "latest"}},
		"WORKQUEUE": {"", millicent.PositionOldest, nil, jetstream.WorkQueuePolicy, []string{"first", "second", `{"k":["w","x"]}`, `{"k":"x"}`, "latest"}},
	} {
		b.stream(jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Retention: c.retention})
		b.publish(name+".a", "first")
		time.Sleep(2 * time.Millisecond) // the times of the two differ
		settings := settings()
		if settings.Position = c.position; c.position == millicent.PositionTime {
			settings.From = time.Now()
		}
		b.publish(name+".a", "second")
		b.publish(name+".b", `{"k":["w","x"]}`, `{"k":"x"}`)
		m := w.source(b.arn("stream/"+name+c.subject), millicent.Mapping{Stream: settings, Filters: c.filters})
		b.publish(name+".a", "latest")
		if diff := cmp.Diff(c.want, w.run(len(c.want))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if n := b.pending(name, m); n != 0 {
			t.Errorf("%s: %d are still to come", name, n)
		}
		left, err := b.js.Stream(t.Context(), name)
		must(t, err)
		if n := left.CachedInfo().State.Msgs; (n == 0) != (c.retention == jetstream.WorkQueuePolicy) {
			t.Errorf("%s: the stream has %d messages", name, n)
		}
	}
}

// TestStreamFailures: a bad record is found by halving, tried as often as is
// asked for, and given up; all others are done, in order.
func TestStreamFailures(t *testing.T) {
	var mu sync.Mutex
	var done []string
	bad := 0
	w, b := newWorld(t, func(_ *millicent.Invocation, e event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(e.bodies(), "0013") {
			if len(e.Records) == 1 {
				bad++
			}
			return &millicent.Result{FunctionError: "Unhandled", Version: "$LATEST", Payload: []byte("{}")}, nil
		}
		done = append(done, e.bodies()...)
		return &millicent.Result{}, nil
	}), newBroker(t, nil)
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	b.publish("s", numbers(30)...)
	s := settings()
	s.Bisect, s.Retries, s.Failed = true, 2, "arn:aws:sqs:us-east-1:000000000000:failed"
	m := w.source(b.arn("stream/S"), millicent.Mapping{BatchSize: 30, Window: time.Second, Stream: s})
	given := <-w.events.abandoned
	var record map[string]any
	must(t, json.Unmarshal(given.Record, &record))
	about, batch := record["requestContext"].(map[string]any), record["NATSBatchInfo"].(map[string]any)
	if given.Target != s.Failed || given.Condition != "RetryAttemptsExhausted" || about["condition"] != given.Condition ||
		batch["startSequenceNumber"] != "14" || batch["endSequenceNumber"] != "14" || batch["batchSize"] != 1.0 ||
		!strings.Contains(record["payload"].(string), `"sequenceNumber":"14"`) {
		t.Errorf("given up: %+v %s", given, given.Record)
	}
	b.pending("S", m)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(done)
		mu.Unlock()
		if n == 29 || time.Now().After(deadline) {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(slices.Delete(numbers(30), 13, 14), done); diff != "" {
		t.Error(diff)
	}
	if bad != 3 {
		t.Errorf("the bad one ran %d times by itself", bad)
	}
}

// TestStreamPartialFailures: what a function says it has done is not given to
// it again, and subjects have lanes of their own.
func TestStreamPartialFailures(t *testing.T) {
	var mu sync.Mutex
	tries := map[string]int{}
	w, b := newWorld(t, func(_ *millicent.Invocation, e event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range e.Records {
			body := string(r.NATS.Data)
			if tries[body]++; strings.HasSuffix(body, "5") && tries[body] < 3 {
				return &millicent.Result{Payload: fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, r.NATS.Sequence)}, nil
			}
		}
		return &millicent.Result{}, nil
	}), newBroker(t, nil)
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	for i, n := range numbers(20) {
		b.publish(fmt.Sprintf("s.%d", i%7), n)
	}
	s := settings()
	s.Parallel = 4
	m := w.source(b.arn("stream/S"), millicent.Mapping{PartialFailures: true, Stream: s})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(tries)
		mu.Unlock()
		if n == 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d ran", n)
		}
	}
	if n := b.pending("S", m); n != 0 {
		t.Errorf("%d are still to come", n)
	}
	mu.Lock()
	defer mu.Unlock()
	for body, n := range tries {
		if want := 1; strings.HasSuffix(body, "5") && n != 3 || !strings.HasSuffix(body, "5") && n != want {
			t.Errorf("%s ran %d times", body, n)
		}
	}
}

// TestOldRecordsAreGivenUp, without being run.
func TestOldRecordsAreGivenUp(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, nil)
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	b.publish("s", "old")
	later := time.Now().Add(2 * time.Minute)
	w.cfg.Now = func() time.Time { return later }
	s := settings()
	s.MaxAge = 60
	w.source(b.arn("stream/S"), millicent.Mapping{Stream: s})
	if got := <-w.events.abandoned; got.Condition != "RecordAgeExceeded" || got.Target != "" || got.Runs != 0 {
		t.Errorf("given up: %+v", got)
	}
	if len(w.invoker.seen) != 0 {
		t.Error("it ran")
	}
}

// TestLargeRecordsAreGivenUp: what no event has room for holds nothing up.
func TestLargeRecordsAreGivenUp(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, func(o *server.Options) { o.MaxPayload = 8 << 20 })
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	b.publish("s", strings.Repeat("x", 5<<20), "small")
	w.source(b.arn("stream/S"), millicent.Mapping{Stream: settings()})
	if got := <-w.events.abandoned; got.Condition != "RecordTooLarge" || len(got.Record) > 1000 {
		t.Errorf("given up: %s, %d bytes", got.Condition, len(got.Record))
	}
	if got := w.run(1); got[0] != "small" {
		t.Errorf("got %.20q", got)
	}
}

// TestStreamProblems are said, and over when they are.
func TestStreamProblems(t *testing.T) {
	w, b := newWorld(t, ok), newBroker(t, nil)
	m := w.source(b.arn("stream/S"), millicent.Mapping{Stream: settings()})
	want := "PROBLEM: stream not found: " + m.Source
	for deadline := time.Now().Add(time.Minute); w.Result(m) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it says %q", w.Result(m))
		}
	}
	b.stream(jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	b.publish("s", "at last")
	w.run(1)
	var mu sync.Mutex
	refused := false
	w.invoker.mu.Lock()
	w.invoker.serve = func(*millicent.Invocation, event) (*millicent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if !refused {
			refused = true
			return nil, millicent.Throttled(millicent.ReasonConcurrency)
		}
		return &millicent.Result{}, nil
	}
	w.invoker.mu.Unlock()
	b.publish("s", "throttled")
	if got := w.run(2); got[0] != "throttled" || got[1] != "throttled" {
		t.Errorf("got %q", got)
	}
}

// TestTrials: what follows an attempt.
func TestTrials(t *testing.T) {
	of := func(sequences ...uint64) (l []natsRecord) {
		for _, n := range sequences {
			l = append(l, natsRecord{sequence: n})
		}
		return l
	}
	plain, limited, halving := millicent.StreamSettings{Retries: -1}, millicent.StreamSettings{Retries: 1}, millicent.StreamSettings{Retries: 1, Bisect: true}
	for name, c := range map[string]struct {
		trial    trial
		outcome  outcome
		done     int
		settings millicent.StreamSettings
		again    []trial
		giveUp   bool
	}{
		"success":                       {trial{records: of(1, 2)}, outcomeDone, 2, plain, nil, false},
		"throttle is no retry":          {trial{records: of(1), retries: 1}, outcomeThrottled, 0, limited, []trial{{of(1), 1, 0, 1}}, false},
		"without end":                   {trial{records: of(1, 2), retries: 9000, vain: 3}, outcomeFailed, 0, plain, []trial{{of(1, 2), 9001, 0, 4}}, false},
		"a retry":                       {trial{records: of(1, 2)}, outcomeFailed, 0, limited, []trial{{of(1, 2), 1, 0, 1}}, false},
		"the last one":                  {trial{records: of(1, 2), retries: 1}, outcomeFailed, 0, limited, nil, true},
		"in part":                       {trial{records: of(1, 2)}, outcomeFailed, 1, limited, []trial{{of(2), 1, 0, 1}}, false},
		"in part, the last one":         {trial{records: of(1, 2), retries: 1}, outcomeFailed, 1, limited, nil, true},
		"halves are no retry":           {trial{records: of(1, 2, 3), retries: 1}, outcomeFailed, 0, halving, []trial{{of(1), 1, 0, 0}, {of(2, 3), 1, 0, 0}}, false},
		"split where the function says": {trial{records: of(1, 2, 3), retries: 1}, outcomeFailed, 2, halving, []trial{{of(3), 1, 0, 0}}, false},
		"nothing to halve":              {trial{records: of(1), retries: 1}, outcomeFailed, 0, halving, nil, true},
	} {
		again, giveUp := c.trial.after(c.outcome, c.done, &c.settings)
		if giveUp != c.giveUp || !cmp.Equal(c.again, again, cmp.AllowUnexported(trial{}, natsRecord{})) {
			t.Errorf("%s: got %+v %v", name, again, giveUp)
		}
	}
	for vain, want := range []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond} {
		if got := (trial{vain: vain}).pause(); got != want {
			t.Errorf("%d in vain: %v", vain, got)
		}
	}
	if got := (trial{vain: 10_000}).pause(); got != maxPause {
		t.Errorf("at last %v", got)
	}
}
