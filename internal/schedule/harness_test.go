package schedule

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

const (
	testTenant  = "000000000000"
	functionARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
	queueARN    = "arn:aws:sqs:us-east-1:000000000000:q"
)

var testBegin = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// A world is an engine upon a real state engine, with a clock of its own.
type world struct {
	testing.TB
	dir    string
	bounds queue.Bounds // from the next open

	mu   sync.Mutex
	time time.Time
	fail func(*millicent.Invocation) error // nil: nothing fails
	seen chan *millicent.Invocation

	closers  []func() error
	service  *Service
	messages *queue.Queues
	queues   *sqs.Service
	engine   *Engine
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), time: testBegin, seen: make(chan *millicent.Invocation, 1000)}
	t.Cleanup(w.close)
	w.open()
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

// pass lets time pass; the engine looks at its clock then.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.time = w.time.Add(d)
	w.mu.Unlock()
	if w.engine != nil {
		w.engine.signal()
	}
}

// failing has invocations refused from now on; nil ends that.
func (w *world) failing(f func(*millicent.Invocation) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

// Follow implements Invoker.
func (w *world) Follow(ctx context.Context, inv *millicent.Invocation, from queue.Settled) error {
	w.mu.Lock()
	fail := w.fail
	w.mu.Unlock()
	if fail != nil {
		if err := fail(inv); err != nil {
			return err
		}
	}
	err := errors.Join(w.messages.Settle(ctx, from.Queue, from.Handle)...)
	w.seen <- inv
	return err
}

func (w *world) open() {
	w.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	srv, err := natsd.Start(filepath.Join(w.dir, "state"), log)
	must(err)
	w.closing(srv)
	conn, err := srv.Connect()
	must(err)
	js, err := jetstream.New(conn)
	must(err)
	w.messages, err = queue.Open(w.Context(), js, queue.Config{Dir: filepath.Join(w.dir, "messages"), Bounds: w.bounds, Now: w.now, Log: log})
	must(err)
	w.closing(w.messages)
	definitions := openTest[millicent.Queue](w, js, "queues")
	w.queues = sqs.New(sqs.Config{Region: "us-east-1", Catalog: definitions, Messages: w.messages, Now: w.now})
	w.service = New(Config{
		Region: "us-east-1", Messages: w.messages, Now: w.now, Schedules: openTest[millicent.Schedule](w, js, "schedules"),
		Groups: openTest[millicent.ScheduleGroup](w, js, "schedule-groups"), States: openTest[State](w, js, "schedule-states"),
	})
	w.engine = w.start()
}

// start starts an engine, as another node would.
func (w *world) start() *Engine {
	w.Helper()
	e, err := Start(w.Context(), EngineConfig{
		Region: "us-east-1", Service: w.service, Messages: w.messages, Queues: w.queues, Invoker: w, Now: w.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.Fatal(err)
	}
	w.closers = append(w.closers, func() error { e.Close(); return nil })
	return e
}

func openTest[T any](w *world, js jetstream.JetStream, bucket string) *store.Catalog[T] {
	w.Helper()
	c, err := store.OpenCatalog[T](w.Context(), js, bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	w.closing(c)
	return c
}

func (w *world) closing(c io.Closer) { w.closers = append(w.closers, c.Close) }

func (w *world) close() {
	for len(w.closers) > 0 {
		last := len(w.closers) - 1
		if err := w.closers[last](); err != nil {
			w.Error(err)
		}
		w.closers = w.closers[:last]
	}
}

// down stops everything, lets time pass, and starts again.
func (w *world) down(d time.Duration) {
	w.Helper()
	w.close()
	w.engine = nil
	w.pass(d)
	w.open()
}

// create makes a schedule of the function.
func (w *world) create(name, expression string, change func(*millicent.Schedule)) *millicent.Schedule {
	w.Helper()
	d := &millicent.Schedule{
		Tenant: testTenant, Group: millicent.DefaultScheduleGroup, Name: name, Expression: expression, Zone: "UTC",
		Target: millicent.ScheduleTarget{ARN: functionARN, Input: `"` + name + ` <aws.scheduler.scheduled-time>"`, MaxAge: time.Hour, MaxRetries: 185},
	}
	if change != nil {
		change(d)
	}
	made, err := w.service.Create(w.Context(), d)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return made
}

// next returns the event of the next invocation.
func (w *world) next() string {
	w.Helper()
	select {
	case inv := <-w.seen:
		return string(inv.Event)
	case <-time.After(time.Minute):
		w.Fatal("nothing was invoked")
		return ""
	}
}

// want wants invocations with these events next, in any order, and no others
// before one that is made to come after them.
func (w *world) want(events ...string) {
	w.Helper()
	missing := map[string]int{}
	for _, e := range events {
		missing[`"`+e+`"`]++
	}
	for range events {
		if got := w.next(); missing[got] == 0 {
			w.Fatalf("got %s, want of %v", got, missing)
		} else if missing[got]--; missing[got] == 0 {
			delete(missing, got)
		}
	}
	mark := w.create("mark", "rate(1 day)", func(d *millicent.Schedule) { d.Target.Input = `"mark"` })
	if got := w.next(); got != `"mark"` {
		w.Fatalf("got %s besides %v", got, events)
	}
	if err := w.service.Delete(w.Context(), testTenant, mark.Group, mark.Name); err != nil {
		w.Fatal(err)
	}
}

// letter returns the next message of the queue q.
func (w *world) letter() sqs.Message {
	w.Helper()
	q, err := w.queues.Queue(testTenant, "q")
	if err != nil {
		w.Fatal(err)
	}
	wait := 20 * time.Second
	got, err := w.queues.Receive(w.Context(), q, sqs.Receive{Max: 1, Wait: &wait})
	if err != nil || len(got) != 1 {
		w.Fatalf("%d messages (%v)", len(got), err)
	}
	for _, err := range w.queues.Done(w.Context(), q, []string{got[0].Handle}) {
		if err != nil {
			w.Fatal(err)
		}
	}
	return got[0]
}
