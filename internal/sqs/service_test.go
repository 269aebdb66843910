package sqs

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/store"
)

const (
	testTenant = "000000000000"
	testRegion = "us-east-1"
)

// A world is a Service with its messages in memory and fake time.
type world struct {
	*Service
	t *testing.T
}

// inWorld makes queues with attributes, and runs f with a service that has
// them and keeps its messages in memory, in fake time.
func inWorld(t *testing.T, queues []map[string]string, f func(t *testing.T, w *world)) {
	t.Helper()
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	srv, err := natsd.Start(filepath.Join(dir, "state"), log)
	must(t, err)
	t.Cleanup(func() { must(t, srv.Close()) })
	conn, err := srv.Connect()
	must(t, err)
	js, err := jetstream.New(conn)
	must(t, err)
	catalog, err := store.OpenCatalog[millicent.Queue](t.Context(), js, "queues", log)
	must(t, err)
	t.Cleanup(func() { must(t, catalog.Close()) })
	definitions := New(Config{Region: testRegion, Catalog: catalog})
	for _, attributes := range queues {
		name := attributes["name"]
		delete(attributes, "name")
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		_, err := definitions.Create(t.Context(), testTenant, name, attributes, nil)
		must(t, err)
	}
	synctest.Test(t, func(t *testing.T) {
		messages, err := queue.OpenMemory(t.Context(), queue.Config{Dir: filepath.Join(dir, "messages"), Log: log})
		must(t, err)
		defer func() { must(t, messages.Close()) }()
		f(t, &world{New(Config{Region: testRegion, Catalog: catalog, Messages: messages}), t})
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) queue(name string) *millicent.Queue {
	w.t.Helper()
	q, err := w.Queue(testTenant, name)
	must(w.t, err)
	return q
}

// send sends messages of a group (empty: none) whose deduplication ids are
// their bodies, where the queue wants such.
func (w *world) send(name, group string, bodies ...string) (sent []Sent) {
	w.t.Helper()
	q := w.queue(name)
	for _, body := range bodies {
		out := Outgoing{Body: body}
		if group != "" {
			out.Group = group
			if !q.ContentDedup {
				out.Dedup = body
			}
		}
		s, err := w.Send(w.t.Context(), q, out)
		must(w.t, err)
		sent = append(sent, s)
	}
	return sent
}

// receive receives without waiting.
func (w *world) receive(name string, most int) (messages []Message) {
	w.t.Helper()
	messages, err := w.Receive(w.t.Context(), w.queue(name), Receive{Max: most, Wait: new(time.Duration(0))})
	must(w.t, err)
	return messages
}

// want compares the bodies of what there is to receive now.
func (w *world) want(name string, bodies ...string) []Message {
	w.t.Helper()
	messages := w.receive(name, 10)
	var got []string
	for _, m := range messages {
		got = append(got, m.Body)
	}
	if diff := cmp.Diff(bodies, got); diff != "" {
		w.t.Errorf("%s: %s", name, diff)
	}
	return messages
}

func (w *world) done(name string, messages ...Message) {
	w.t.Helper()
	for _, m := range messages {
		for _, err := range w.Done(w.t.Context(), w.queue(name), []string{m.Handle}) {
			must(w.t, err)
		}
	}
}

func TestVisibility(t *testing.T) {
	inWorld(t, []map[string]string{{"name": "q", "VisibilityTimeout": "30"}}, func(t *testing.T, w *world) {
		w.send("q", "", "a", "b")
		first := w.want("q", "a", "b")
		time.Sleep(29 * time.Second)
		w.want("q")
		must(t, w.Hide(w.queue("q"), first[1].Handle, time.Minute))
		time.Sleep(2 * time.Second)
		again := w.want("q", "a")
		if m := again[0]; m.Receives != 2 || m.ID != first[0].ID || !m.FirstReceived.Equal(first[0].FirstReceived) {
			t.Errorf("received again: %+v", m)
		}
		w.done("q", first[0]) // of an earlier receive: no error, and it stays
		must(t, w.Hide(w.queue("q"), again[0].Handle, 0))
		w.done("q", w.want("q", "a")...)
		time.Sleep(time.Hour)
		w.done("q", w.want("q", "b")...)
		time.Sleep(time.Hour)
		w.want("q")
		if err := w.Hide(w.queue("q"), again[0].Handle, time.Second); err == nil {
			t.Error("a message that is gone was hidden")
		}
	})
}

func TestDelaysAndRetention(t *testing.T) {
	inWorld(t, []map[string]string{{"name": "q", "DelaySeconds": "10", "MessageRetentionPeriod": "60"}}, func(t *testing.T, w *world) {
		w.send("q", "", "delayed")
		_, err := w.Send(t.Context(), w.queue("q"), Outgoing{Body: "at once", Delay: new(time.Duration(0))})
		must(t, err)
		w.done("q", w.want("q", "at once")...)
		time.Sleep(9 * time.Second)
		w.want("q")
		time.Sleep(time.Second + time.Millisecond)
		w.want("q", "delayed")
		time.Sleep(51 * time.Second)
		w.want("q")
		if s := w.Stats(w.queue("q")); s.Messages() != 0 {
			t.Errorf("expired messages are kept: %+v", s)
		}
	})
}

func TestLongPoll(t *testing.T) {
	inWorld(t, []map[string]string{{"name": "q", "ReceiveMessageWaitTimeSeconds": "20"}}, func(t *testing.T, w *world) {
		begin := time.Now()
		if got, err := w.Receive(t.Context(), w.queue("q"), Receive{Max: 1}); err != nil || len(got) != 0 || time.Since(begin) != 20*time.Second {
			t.Errorf("received %v after %v (%v)", got, time.Since(begin), err)
		}
		begin = time.Now()
		sent := make(chan error, 1)
		q := w.queue("q")
		go func() {
			time.Sleep(5 * time.Second)
			_, err := w.Send(t.Context(), q, Outgoing{Body: "a"})
			sent <- err
		}()
		if got, err := w.Receive(t.Context(), q, Receive{Max: 1}); err != nil || len(got) != 1 || time.Since(begin) != 5*time.Second {
			t.Errorf("received %v after %v (%v)", got, time.Since(begin), err)
		}
		must(t, <-sent)
	})
}

// TestGroupsKeepTheirOrder: nothing of a group is received while an earlier
// message of it is in flight, and what comes back comes first.
func TestGroupsKeepTheirOrder(t *testing.T) {
	inWorld(t, []map[string]string{{"name": "q.fifo", "VisibilityTimeout": "30"}}, func(t *testing.T, w *world) {
		w.send("q.fifo", "a", "a1", "a2", "a3")
		w.send("q.fifo", "b", "b1")
		one := w.receive("q.fifo", 1)
		if len(one) != 1 || one[0].Body != "a1" || len(one[0].Sequence) != 20 || one[0].Group != "a" {
			t.Fatalf("received %+v", one)
		}
		w.done("q.fifo", w.want("q.fifo", "b1")...)
		time.Sleep(31 * time.Second) // a1 comes back
		all := w.want("q.fifo", "a1", "a2", "a3")
		for i := 1; i < len(all); i++ {
			if all[i].Sequence <= all[i-1].Sequence {
				t.Errorf("the sequence %s follows %s", all[i].Sequence, all[i-1].Sequence)
			}
		}
		if errs := w.Done(t.Context(), w.queue("q.fifo"), []string{one[0].Handle}); errs[0] == nil {
			t.Error("a handle that is no longer valid deleted a message of a group")
		}
		w.done("q.fifo", all[0])
		must(t, w.Hide(w.queue("q.fifo"), all[1].Handle, 0))
		w.want("q.fifo") // a3 is in flight still
		must(t, w.Hide(w.queue("q.fifo"), all[2].Handle, 0))
		w.done("q.fifo", w.want("q.fifo", "a2", "a3")...)
	})
}

// TestDeduplication: for five minutes an id stands for its first message, also
// when that is gone.
func TestDeduplication(t *testing.T) {
	inWorld(t, []map[string]string{
		{"name": "queue.fifo"}, {"name": "content.fifo", "ContentBasedDeduplication": "true"},
		{"name": "group.fifo", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"},
	}, func(t *testing.T, w *world) {
		for _, name := range []string{"queue.fifo", "content.fifo", "group.fifo"} {
			first := w.send(name, "g", "x")[0]
			w.done(name, w.want(name, "x")...)
			time.Sleep(5*time.Minute - time.Second)
			if again := w.send(name, "g", "x")[0]; again != first {
				t.Errorf("%s: the duplicate is %+v, the first %+v", name, again, first)
			}
			w.want(name)
			other := w.send(name, "other", "x")[0]
			if (other.ID == first.ID) == (name == "group.fifo") {
				t.Errorf("%s: in another group it is %+v, the first %+v", name, other, first)
			}
			w.done(name, w.receive(name, 10)...)
			time.Sleep(2 * time.Second)
			if again := w.send(name, "g", "x")[0]; again.ID == first.ID {
				t.Errorf("%s: a duplicate after the window", name)
			}
			w.done(name, w.want(name, "x")...)
		}
	})
}

func TestRedrive(t *testing.T) {
	policy := func(name string) string {
		return `{"deadLetterTargetArn":"` + millicent.QueueARN(testRegion, testTenant, name) + `","maxReceiveCount":"2"}`
	}
	inWorld(t, []map[string]string{
		{"name": "dead"}, {"name": "q", "VisibilityTimeout": "10", "RedrivePolicy": policy("dead")},
		{"name": "dead.fifo"}, {"name": "q.fifo", "VisibilityTimeout": "10", "RedrivePolicy": policy("dead.fifo")},
	}, func(t *testing.T, w *world) {
		sent := w.send("q", "", "bad")
		w.send("q.fifo", "g", "f1", "f2")
		for range 2 {
			w.want("q", "bad")
			w.receive("q.fifo", 1)
			time.Sleep(11 * time.Second)
		}
		w.want("q")
		dead := w.want("dead", "bad")
		if m := dead[0]; m.ID != sent[0].ID || m.Source != "q" || m.SystemAttributes(testRegion, testTenant)["DeadLetterQueueSourceArn"] != millicent.QueueARN(testRegion, testTenant, "q") {
			t.Errorf("the dead letter is %+v", m)
		}
		w.done("q.fifo", w.want("q.fifo", "f2")...) // its group goes on
		if m := w.want("dead.fifo", "f1")[0]; m.Group != "g" {
			t.Errorf("the dead letter is %+v", m)
		}
	})
}

// TestDeadLetters are shown without being received, moved back, and removed.
func TestDeadLetters(t *testing.T) {
	policy := `{"deadLetterTargetArn":"` + millicent.QueueARN(testRegion, testTenant, "dead.fifo") + `","maxReceiveCount":1}`
	inWorld(t, []map[string]string{{"name": "dead.fifo"}, {"name": "q.fifo", "VisibilityTimeout": "10", "RedrivePolicy": policy}}, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.send("q.fifo", "g", "one", "two", "three")
		w.want("q.fifo", "one", "two", "three")
		time.Sleep(11 * time.Second)
		w.want("q.fifo") // all are dead now
		w.send("dead.fifo", "g", "sent-there")
		list := func(name string) (l []millicent.DeadLetter, bodies []string) {
			t.Helper()
			l, err := w.DeadLetters(ctx, testTenant, name, 0, 10, true)
			must(t, err)
			for _, d := range l {
				bodies = append(bodies, d.Body)
			}
			return l, bodies
		}
		all, bodies := list("")
		if diff := cmp.Diff([]string{"one", "two", "three", "sent-there"}, bodies); diff != "" {
			t.Fatal(diff)
		}
		if d := all[0]; d.Queue != "dead.fifo" || d.Source != "q.fifo" || d.Size != 3 || d.ID == "" || all[3].Source != "" {
			t.Errorf("listed %+v", all)
		}
		act := func(a millicent.DeadLetterAction, want int) {
			t.Helper()
			a.Queue = "dead.fifo"
			if got, err := w.Act(ctx, testTenant, a); err != nil || len(got) != want {
				t.Errorf("%+v: %+v (%v)", a, got, err)
			}
		}
		act(millicent.DeadLetterAction{Replay: true, All: true, DryRun: true}, 3)
		act(millicent.DeadLetterAction{Replay: true, Numbers: []uint64{all[1].Number}}, 1)
		act(millicent.DeadLetterAction{Replay: true, All: true}, 2) // what comes from nowhere stays
		if m := w.want("q.fifo", "two", "one", "three")[0]; m.Receives != 1 || m.Source != "" || m.ID != all[1].ID {
			t.Errorf("moved back: %+v", m)
		}
		if _, bodies := list("dead.fifo"); len(bodies) != 1 {
			t.Errorf("left are %q", bodies)
		}
		act(millicent.DeadLetterAction{All: true}, 1)
		if _, bodies := list("dead.fifo"); len(bodies) != 0 {
			t.Errorf("left are %q", bodies)
		}
		for name, a := range map[string]millicent.DeadLetterAction{
			"no queue":   {Queue: "absent", All: true},
			"no message": {Queue: "dead.fifo", Numbers: []uint64{all[0].Number}},
			"no source":  {Queue: "q.fifo", Replay: true, Numbers: []uint64{first(t, w, "q.fifo")}},
		} {
			if _, err := w.Act(ctx, testTenant, a); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := w.DeadLetters(ctx, "111111111111", "dead.fifo", 0, 1, false); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("of another tenant: %v", err)
		}
	})
}

// first returns the number of a queue's first message.
func first(t *testing.T, w *world, name string) uint64 {
	t.Helper()
	l, err := w.DeadLetters(t.Context(), testTenant, name, 0, 1, false)
	if err != nil || len(l) != 1 {
		t.Fatal(l, err)
	}
	return l[0].Number
}
