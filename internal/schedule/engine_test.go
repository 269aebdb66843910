package schedule

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

func busy(*millicent.Invocation) error { return millicent.Throttled(millicent.ReasonConcurrency) }

// Two engines stand for two nodes: each tick is put by both, and runs once.
func TestTicksRunOnce(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	w.create("often", "rate(10 minutes)", nil)
	w.create("once", "at(2026-11-23T08:20:00)", nil)
	w.create("daily", "cron(15 9 * * ? *)", func(d *millicent.Schedule) { d.Zone = "Europe/Berlin" })
	w.create("paused", "rate(1 minute)", func(d *millicent.Schedule) { d.Paused = true })
	w.want("often 2026-11-23T08:00:00Z")
	pass := func(d time.Duration) {
		w.pass(d)
		other.signal()
	}
	pass(10 * time.Minute)
	w.want("often 2026-11-23T08:10:00Z")
	pass(5 * time.Minute)
	w.want("daily 2026-11-23T08:15:00Z")
	pass(5 * time.Minute)
	w.want("often 2026-11-23T08:20:00Z", "once 2026-11-23T08:20:00Z")
	pass(9 * time.Minute)
	w.want()
}

// What waits when the server goes down runs when it is back, once, with the
// same ids; what has run does not run again, however long that takes.
func TestRestarts(t *testing.T) {
	w := newWorld(t)
	w.create("done", "at(2026-11-23T08:01:00)", nil)
	w.pass(time.Minute)
	inv := <-w.seen
	if inv.ID == "" || inv.Root != inv.ID || inv.Hops != 0 || inv.Tenant != testTenant || inv.Function != "f" {
		t.Errorf("invocation %+v", inv)
	}
	tried := make(chan string, 100)
	w.failing(func(inv *millicent.Invocation) error { tried <- inv.ID; return busy(inv) })
	d := w.create("waiting", "at(2026-11-23T08:02:00)", nil)
	w.pass(time.Minute)
	first := <-tried
	if st := w.engine.Status(d, 1); st.Waiting != 1 || !st.Last.Equal(testBegin.Add(2*time.Minute)) || len(st.Next) != 0 || st.CatchUp != CatchUpLatest {
		t.Errorf("status %+v", st)
	}
	w.failing(nil)
	w.down(30 * time.Minute)
	inv = <-w.seen
	if string(inv.Event) != `"waiting 2026-11-23T08:02:00Z"` || inv.ID != first {
		t.Errorf("invocation %+v, want %s again", inv, first)
	}
	w.down(30 * time.Minute)
	w.want()
}

func TestMissed(t *testing.T) {
	w := newWorld(t)
	tag := func(d *millicent.Schedule, how CatchUp) {
		if err := w.service.Tag(t.Context(), testTenant, d.Group, d.Name, map[string]string{CatchUpTag: string(how)}); err != nil {
			t.Fatal(err)
		}
	}
	skipping := w.create("skipping", "rate(20 minutes)", nil)
	latest := w.create("latest", "rate(20 minutes)", nil)
	all := w.create("all", "rate(20 minutes)", nil)
	w.want("skipping 2026-11-23T08:00:00Z", "latest 2026-11-23T08:00:00Z", "all 2026-11-23T08:00:00Z")
	tag(latest, CatchUpLatest)
	tag(all, CatchUpAll)
	w.create("late", "at(2026-11-23T08:30:00)", nil)
	old := w.create("old", "at(2026-11-23T08:05:00)", nil)
	w.create("over", "at(2026-11-23T08:05:00)", func(d *millicent.Schedule) { d.DeleteAfter = true })
	w.down(70 * time.Minute) // 09:10
	w.want("latest 2026-11-23T09:00:00Z", "all 2026-11-23T08:20:00Z", "all 2026-11-23T08:40:00Z", "all 2026-11-23T09:00:00Z", "late 2026-11-23T08:30:00Z")
	for d, want := range map[*millicent.Schedule]int{skipping: 3, latest: 2, all: 0} {
		if st := w.engine.Status(d, 1); st.Missed != want || len(st.Next) != 1 || !st.Next[0].Equal(testBegin.Add(80*time.Minute)) {
			t.Errorf("%s: %+v, want %d missed", d.Name, st, want)
		}
	}
	if st := w.engine.Status(old, 1); st.Missed != 1 || !st.Last.IsZero() {
		t.Errorf("what was too old: %+v", st)
	}
	// The count lasts.
	w.pass(10 * time.Minute)
	w.want("skipping 2026-11-23T09:20:00Z", "latest 2026-11-23T09:20:00Z", "all 2026-11-23T09:20:00Z")
	w.down(time.Minute)
	if st := w.engine.Status(skipping, 0); st.Missed != 3 || !st.Last.Equal(testBegin.Add(80*time.Minute)) {
		t.Errorf("after a restart: %+v", st)
	}
	if _, err := w.service.Schedule(testTenant, "default", "over"); err == nil {
		t.Error("a schedule that is over was not deleted")
	}
	if err := w.service.Tag(t.Context(), testTenant, "default", "all", map[string]string{CatchUpTag: "some"}); millicent.ErrorCode(err) != CodeValidation {
		t.Errorf("a wrong tag: %v", err)
	}
}

func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	if _, err := w.queues.Create(t.Context(), testTenant, "q", nil, nil); err != nil {
		t.Fatal(err)
	}
	w.failing(busy)
	d := w.create("busy", "at(2026-11-23T08:00:00)", func(d *millicent.Schedule) {
		d.Target.MaxRetries, d.Target.DeadLetterARN = 0, queueARN
	})
	m := w.letter()
	got := map[string]string{}
	for name, a := range m.Attributes {
		got[name] = a.Text
	}
	want := map[string]string{
		"SCHEDULE_ARN": "arn:aws:scheduler:us-east-1:000000000000:schedule/default/busy", "TARGET_ARN": functionARN,
		"SCHEDULED_TIME": "2026-11-23T08:00:00Z", "EXECUTION_ID": tick{Schedule: d.ID, Time: testBegin}.execution(),
		"ERROR_CODE": millicent.CodeThrottled, "ERROR_MESSAGE": "Rate Exceeded.", "RETRY_ATTEMPTS": "0",
		"EXHAUSTED_RETRY_CONDITION": exhaustedRetries, "IS_PAYLOAD_TRUNCATED": "false",
	}
	if diff := cmp.Diff(want, got); diff != "" || m.Body != `"busy 2026-11-23T08:00:00Z"` {
		t.Errorf("%s (-want +got):\n%s", m.Body, diff)
	}
	w.failing(nil)
	w.want()
	if f := w.engine.Status(d, 0).Failed; f == nil || f.Code != millicent.CodeThrottled || !f.Tick.Equal(testBegin) {
		t.Errorf("failure %+v", f)
	}
	// A dead-letter queue that is gone holds up nothing.
	w.failing(func(inv *millicent.Invocation) error { return millicent.Errorf(millicent.CodeNotFound, "gone") })
	d = w.create("lost", "at(2026-11-23T08:00:00)", func(d *millicent.Schedule) { d.Target.DeadLetterARN = queueARN + "-gone"; d.DeleteAfter = true })
	for w.engine.Status(d, 0).Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
}

// A retry gets the next number, and the same ids.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	tried := make(chan *millicent.Invocation, 10)
	w.failing(func(inv *millicent.Invocation) error { tried <- inv; return busy(inv) })
	d := w.create("s", "at(2026-11-23T08:00:00)", func(d *millicent.Schedule) {
		d.Target.Input = `"<aws.scheduler.attempt-number> <aws.scheduler.execution-id>"`
	})
	first := <-tried
	for w.messages.Stats(queueOf(d)).Delayed == 0 { // until it is released
		time.Sleep(time.Millisecond)
	}
	w.failing(nil)
	w.pass(time.Second)
	second := <-w.seen
	id := tick{Schedule: d.ID, Time: testBegin}.execution()
	if string(first.Event) != `"1 `+id+`"` || string(second.Event) != `"2 `+id+`"` || first.ID != second.ID {
		t.Errorf("attempts %+v with %s and %+v with %s", first, first.Event, second, second.Event)
	}
}

func TestPauseAndDelete(t *testing.T) {
	w := newWorld(t)
	window := func(d *millicent.Schedule) { d.Window = time.Hour }
	paused, deleted := w.create("paused", "at(2026-11-23T08:00:00)", window), w.create("deleted", "at(2026-11-23T08:00:00)", window)
	w.want()
	if w.engine.Status(paused, 0).Waiting != 1 || w.engine.Status(deleted, 0).Waiting != 1 {
		t.Error("nothing waits in its window")
	}
	change := *paused
	change.Paused = true
	if _, err := w.service.Update(t.Context(), &change); err != nil {
		t.Fatal(err)
	}
	if err := w.service.Delete(t.Context(), testTenant, "default", "deleted"); err != nil {
		t.Fatal(err)
	}
	again := w.create("deleted", "at(2026-11-23T09:01:00)", nil)
	if again.ID == deleted.ID {
		t.Error("two schedules have one id")
	}
	w.down(time.Hour + time.Minute)
	w.want("deleted 2026-11-23T09:01:00Z")
	if n := w.engine.Status(paused, 0).Waiting; n != 0 {
		t.Errorf("%d ticks wait of a paused schedule", n)
	}
}

// A schedule whose queue is full keeps no other from its tick.
func TestFullQueue(t *testing.T) {
	w := newWorld(t)
	w.bounds = queue.Bounds{QueueMessages: 2}
	w.down(0)
	full := w.create("full", "at(2026-11-23T08:10:00)", nil)
	for range 2 {
		_, err := w.messages.Put(t.Context(), queue.Message{Queue: queueOf(full), Body: []byte("x"), NotBefore: testBegin.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.create("fine", "at(2026-11-23T08:10:00)", nil)
	w.pass(10 * time.Minute)
	w.want("fine 2026-11-23T08:10:00Z")
	if err := w.messages.Purge(t.Context(), queueOf(full)); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	w.want("full 2026-11-23T08:10:00Z")
}

// A rate that ends is deleted after its last tick, and not before.
func TestDeletedAfterCompletion(t *testing.T) {
	w := newWorld(t)
	w.create("s", "rate(10 minutes)", func(d *millicent.Schedule) { d.DeleteAfter, d.End = true, testBegin.Add(15*time.Minute) })
	w.want("s 2026-11-23T08:00:00Z")
	if _, err := w.service.Schedule(testTenant, "default", "s"); err != nil {
		t.Error(err)
	}
	w.pass(10 * time.Minute)
	w.want("s 2026-11-23T08:10:00Z")
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := w.service.Schedule(testTenant, "default", "s"); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a completed schedule is not deleted")
		}
	}
}

func TestUniversalTargets(t *testing.T) {
	w := newWorld(t)
	if _, err := w.queues.Create(t.Context(), testTenant, "q", nil, nil); err != nil {
		t.Fatal(err)
	}
	target := func(arn, input string) func(*millicent.Schedule) {
		return func(d *millicent.Schedule) { d.Target.ARN, d.Target.Input = arn, input }
	}
	for i, c := range []struct{ input, function, qualifier, event string }{
		{`{"FunctionName":"g","Payload":"{\"a\":\"<aws.scheduler.scheduled-time>\"}"}`, "g", "", `{"a":"2026-11-23T08:00:00Z"}`},
		{`{"FunctionName":"g:1","Payload":{"a":1}}`, "g", "1", `{"a":1}`},
		{`{"FunctionName":"` + functionARN + `","Qualifier":"live"}`, "f", "live", ""},
	} {
		w.create(fmt.Sprint("invoke", i), "rate(1 day)", target(universalInvoke, c.input))
		if inv := <-w.seen; inv.Function != c.function || inv.Qualifier != c.qualifier || string(inv.Event) != c.event {
			t.Errorf("%s: %+v with %s", c.input, inv, inv.Event)
		}
	}
	w.create("send", "rate(1 day)", target(universalSend, `{"QueueUrl":"http://localhost/000000000000/q","MessageBody":"m"}`))
	if m := w.letter(); m.Body != "m" {
		t.Errorf("message %s", m.Body)
	}
	w.create("plain", "rate(1 day)", target(queueARN, "<aws.scheduler.attempt-number>"))
	if m := w.letter(); m.Body != "1" {
		t.Errorf("message %s", m.Body)
	}
	for i, input := range []string{`{"FunctionName":"arn:aws:lambda:us-east-1:000000000001:function:f"}`, `{"FunctionName":"g","Payload":"{"}`} {
		d := w.create(fmt.Sprint("bad", i), "rate(1 day)", target(universalInvoke, input))
		w.want()
		if st := w.engine.Status(d, 0); st.Failed == nil || st.Failed.Code != CodeValidation {
			t.Errorf("%s: %+v", input, st.Failed)
		}
	}
}

func TestGroups(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	group := func(token string) error {
		_, err := w.service.CreateGroup(ctx, &millicent.ScheduleGroup{Tenant: testTenant, Name: "g", ClientToken: token})
		return err
	}
	code := func(what string, err error, want string) {
		t.Helper()
		if got := millicent.ErrorCode(err); got != want {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	code("create", group("a"), "")
	code("again", group("a"), "")
	code("another", group("b"), CodeConflict)
	in := func(d *millicent.Schedule) { d.Group, d.ClientToken = "g", "t" }
	first := w.create("s", "rate(1 day)", in)
	w.want("s 2026-11-23T08:00:00Z")
	if again := w.create("s", "rate(1 day)", in); again.ID != first.ID {
		t.Error("a repeated call made another schedule")
	}
	change := *first
	change.ClientToken = "u"
	_, err := w.service.Create(ctx, &change)
	code("taken", err, CodeConflict)
	code("default", w.service.DeleteGroup(ctx, testTenant, "default"), CodeValidation)
	code("missing", w.service.DeleteGroup(ctx, testTenant, "h"), millicent.CodeNotFound)
	// A crash on the way: the next start ends it.
	if _, err := w.service.cfg.Groups.Update(ctx, testTenant, "g", func(g *millicent.ScheduleGroup) error { g.Deleting = true; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = w.service.Create(ctx, &millicent.Schedule{Tenant: testTenant, Group: "g", Name: "x", Expression: "rate(1 day)", Zone: "UTC", Target: first.Target})
	code("into one that is being deleted", err, CodeConflict)
	w.down(time.Minute)
	_, err = w.service.Schedule(testTenant, "g", "s")
	code("the schedule", err, millicent.CodeNotFound)
	_, err = w.service.Group(testTenant, "g")
	code("the group", err, millicent.CodeNotFound)
	if n := len(w.service.cfg.States.All()); n != 0 {
		t.Errorf("%d states are left", n)
	}
}

// What an update changes decides what a rate counts from.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	d := w.create("s", "rate(10 minutes)", func(d *millicent.Schedule) { d.Paused = true })
	update := func(change func(*millicent.Schedule)) {
		t.Helper()
		to := *d
		change(&to)
		var err error
		if d, err = w.service.Update(t.Context(), &to); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(25 * time.Minute)
	update(func(d *millicent.Schedule) { d.Paused = false }) // on the same steps, with nothing made up for
	w.want()
	w.pass(5 * time.Minute)
	w.want("s 2026-11-23T08:30:00Z")
	w.pass(3 * time.Minute)
	update(func(d *millicent.Schedule) { d.Expression = "rate(20 minutes)" }) // a new beginning
	w.want("s 2026-11-23T08:33:00Z")
	if st := w.engine.Status(d, 2); st.Missed != 0 || len(st.Next) != 2 || !st.Next[0].Equal(testBegin.Add(53*time.Minute)) {
		t.Errorf("status %+v", st)
	}
	for _, bad := range []func(*millicent.Schedule){
		func(d *millicent.Schedule) { d.Start = testBegin },
		func(d *millicent.Schedule) { d.End = testBegin },
		func(d *millicent.Schedule) { d.Start, d.End = testBegin.Add(3*time.Hour), testBegin.Add(2*time.Hour) },
		func(d *millicent.Schedule) { d.Expression = "rate(1)" },
	} {
		to := *d
		bad(&to)
		if _, err := w.service.Update(t.Context(), &to); millicent.ErrorCode(err) != CodeValidation {
			t.Errorf("%+v: %v", to, err)
		}
	}
}

// Many schedules that are due at once.
func BenchmarkTicks(b *testing.B) {
	const schedules = 1000
	w := newWorld(b)
	for i := range schedules {
		w.create(fmt.Sprint("s", i), "rate(1 minute)", nil)
		<-w.seen
	}
	b.ResetTimer()
	for range b.N {
		w.pass(time.Minute)
		for range schedules {
			<-w.seen
		}
	}
	b.ReportMetric(float64(b.N*schedules)/b.Elapsed().Seconds(), "ticks/s")
}
