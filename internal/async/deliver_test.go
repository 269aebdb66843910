package async

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

const hookARN = "arn:aws-millicent:webhook:::https://example.com/hook"

// to has a function's events go to destinations, without retries.
func (w *world) to(function, success, failure string) {
	zero := 0
	w.change(function, func(f *millicent.Function) {
		f.Events = map[string]*millicent.EventConfig{millicent.Latest: {Retries: &zero, OnSuccess: success, OnFailure: failure}}
	})
}

// A webhook that fails is tried again, later and later; each attempt is the
// same request.
func TestWebhook(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", strings.Replace(hookARN, "https", "http", 1), "")
		begin := time.Now()
		var posts []string
		w.hook = func(r *http.Request, body string) int {
			posts = append(posts, fmt.Sprint(time.Since(begin).Round(time.Second), r.Method, " ", r.Host, r.URL.Path, " ",
				r.Header.Get("X-Millicent-Request-Id"), " ", parse(t, body)["requestContext"].(map[string]any)["condition"]))
			return []int{500, 429, 302, 204}[len(posts)-1]
		}
		id := w.send("f", "1")
		time.Sleep(time.Minute)
		synctest.Wait()
		var want []string
		for _, at := range []string{"0s", "1s", "3s", "7s"} {
			want = append(want, at+"POST example.com/hook "+id+" Success")
		}
		if diff := cmp.Diff(want, posts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if left := w.queues.List("", ""); len(left) != 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

// What a webhook will never take is a dead letter at once, and delivered when
// it is replayed.
func TestRejectedRecord(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", "", hookARN)
		w.serve = failure500
		w.refuse = fmt.Errorf("%w: by policy", ErrRejected)
		id := w.send("f", "1")
		synctest.Wait()
		letters, err := w.DeadLetters(t.Context(), tenant, "", 0, 10, true)
		if err != nil || len(letters) != 1 || letters[0].ID != id || letters[0].Target != hookARN || letters[0].Condition != conditionUndelivered ||
			!strings.Contains(letters[0].Body, `"RetriesExhausted"`) {
			t.Fatalf("dead letters: %+v (%v)", letters, err)
		}
		if q := w.EventQueues(tenant); len(q) != 1 || q[0].DeadLetters != 1 || q[0].Deliveries != 0 {
			t.Errorf("queues: %+v", q)
		}
		// The same for a webhook that is not there for six hours. TLS fails on
		// what is no server, which may be over.
		w.refuse = nil
		w.hook = func(*http.Request, string) int { return 200 }
		if done, err := w.Act(t.Context(), tenant, millicent.DeadLetterAction{Function: "f", Replay: true, All: true}); err != nil || len(done) != 1 {
			t.Fatalf("replayed %+v (%v)", done, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if q := w.EventQueues(tenant); len(q) != 1 || q[0].Deliveries != 1 || q[0].DeadLetters != 0 {
			t.Errorf("while it is tried: %+v", q)
		}
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if q := w.EventQueues(tenant); len(q) != 1 || q[0].Deliveries != 0 || q[0].DeadLetters != 1 {
			t.Errorf("afterwards: %+v", q)
		}
	})
}

func TestSubject(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", "arn:aws-millicent:nats:::orders.done", "")
		id := w.send("f", "1")
		synctest.Wait()
		if len(w.published) != 1 || !strings.HasPrefix(w.published[0], "events."+tenant+".orders.done "+id+` {"version":"1.0"`) {
			t.Errorf("published %v", w.published)
		}
		if l := w.carried; l.Root != id || l.Hops != 1 || len(l.Visited) != 1 {
			t.Errorf("with it went %+v", l)
		}
	})
}

// What an event source mapping gives up goes to its destination, or stays.
func TestAbandon(t *testing.T) {
	inWorld(t, Config{}, []string{"f", "next"}, func(t *testing.T, w *world) {
		inv := &millicent.Invocation{ID: "id", Tenant: tenant, Function: "f", Event: []byte(`{"Records":[]}`), Received: time.Now()}
		a := millicent.Abandoned{Target: millicent.ARN(region, tenant, "next", ""), Record: []byte(`{"a":1}`), Condition: "RetryAttemptsExhausted", Message: "m", Runs: 3}
		for _, target := range []string{a.Target, "", millicent.ARN(region, tenant, "gone", "")} {
			a.Target = target
			if err := w.Abandon(t.Context(), inv, a); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := w.ran(); len(got) != 1 || got[0] != `next {"a":1}` {
			t.Errorf("ran %q", got)
		}
		l := w.letters("f")
		if len(l) != 2 {
			t.Fatalf("%d dead letters", len(l))
		}
		for _, dead := range l {
			if f := dead.Failure; dead.id != "id" || string(dead.body) != `{"Records":[]}` || f.Condition != a.Condition || f.Message != "m" || f.Attempts != 3 {
				t.Errorf("a dead letter: %+v %+v", dead, f)
			}
		}
	})
}

// A destination that is gone keeps nothing from ending, and nothing is lost.
func TestDestinationThatIsGone(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		gone := millicent.ARN(region, tenant, "gone", "")
		w.to("f", gone, gone)
		w.send("f", "1")
		synctest.Wait()
		w.serve = failure500
		w.send("f", "2")
		synctest.Wait()
		l := w.letters("f")
		if len(l) != 2 || l[0].Target != gone || l[0].Failure.Condition != conditionSuccess || !strings.Contains(string(l[0].body), `"version":"1.0"`) ||
			l[1].Target != "" || string(l[1].body) != "2" || l[1].Failure.Code != millicent.CodeNotFound {
			t.Errorf("dead letters: %+v", l)
		}
	})
}

// A record is no larger than a destination takes.
func TestLargeRecord(t *testing.T) {
	large := []byte(`"` + strings.Repeat("x", MaxEvent-100) + `"`)
	ev := &event{id: "id", tenant: tenant, function: "f", body: []byte("1")}
	res := &millicent.Result{Payload: large, Version: "1"}
	b, err := newRecord(ev, attempt{result: res}, verdict{condition: conditionSuccess}, region, time.Now())
	if err != nil || len(b) > 1000 || strings.Contains(string(b), "responsePayload") {
		t.Errorf("%d bytes (%v)", len(b), err)
	}
	ev.body = large
	if b, err := newRecord(ev, attempt{}, verdict{}, region, time.Now()); err == nil {
		t.Errorf("a record of %d bytes", len(b))
	}
	inWorld(t, Config{}, []string{"f", "next"}, func(t *testing.T, w *world) {
		w.to("f", millicent.ARN(region, tenant, "next", ""), "")
		w.send("f", string(large))
		if runs := w.ran(); len(runs) != 1 || len(w.letters("f")) != 1 {
			t.Errorf("%d runs, %d dead letters", len(runs), len(w.letters("f")))
		}
	})
}

// Of too many dead letters the oldest go.
func TestDeadLettersAreBounded(t *testing.T) {
	inWorld(t, Config{DeadLetters: 10, PerFunction: 1}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", "", "")
		w.serve = failure500
		for i := range 15 {
			w.send("f", fmt.Sprint(i))
		}
		synctest.Wait()
		l := w.letters("f")
		if len(l) != 10 || string(l[0].body) != "5" || w.log.count("dead letter dropped") != 1 {
			t.Errorf("%d letters, the first %s", len(l), l[0].body)
		}
	})
	inWorld(t, Config{DeadBytes: 1000, PerFunction: 1}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", "", "")
		w.serve = failure500
		for range 15 {
			w.send("f", `"`+strings.Repeat("x", 300)+`"`)
		}
		synctest.Wait()
		if s := w.queues.Stats(queue.Name{Kind: KindDead, Tenant: tenant, Name: "f"}); s.Bytes > 1400 || s.Messages() < 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestActOnDeadLetters(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		w.to("f", "", "")
		w.serve = failure500
		for i := range 5 {
			w.send("f", fmt.Sprint(i))
		}
		synctest.Wait()
		w.ran()
		act := func(a millicent.DeadLetterAction) int {
			t.Helper()
			a.Function = "f"
			done, err := w.Act(t.Context(), tenant, a)
			if err != nil {
				t.Error(err)
			}
			return len(done)
		}
		if n := act(millicent.DeadLetterAction{All: true, DryRun: true}); n != 5 || len(w.letters("f")) != 5 {
			t.Errorf("a dry run: %d", n)
		}
		all, err := w.DeadLetters(t.Context(), tenant, "f", 0, 3, false)
		if err != nil || len(all) != 3 || all[0].Body != "" || all[0].Size != 1 {
			t.Fatalf("%+v (%v)", all, err)
		}
		more, err := w.DeadLetters(t.Context(), tenant, "f", all[2].Number, 3, false)
		if err != nil || len(more) != 2 {
			t.Errorf("the next: %+v (%v)", more, err)
		}
		if n := act(millicent.DeadLetterAction{Numbers: []uint64{all[0].Number}}); n != 1 || len(w.letters("f")) != 4 {
			t.Errorf("purged %d", n)
		}
		if _, err := w.Act(t.Context(), tenant, millicent.DeadLetterAction{Function: "f", Numbers: []uint64{all[0].Number}}); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("purged twice: %v", err)
		}
		// Others' are out of reach, and none of others is shown.
		if done, err := w.Act(t.Context(), "111111111111", millicent.DeadLetterAction{Function: "f", All: true}); err != nil || len(done) != 0 {
			t.Errorf("another tenant purged %v (%v)", done, err)
		}
		if l, err := w.DeadLetters(t.Context(), "111111111111", "", 0, 10, true); err != nil || len(l) != 0 || len(w.EventQueues("111111111111")) != 0 {
			t.Errorf("another tenant sees %v (%v)", l, err)
		}
		ids := map[string]bool{}
		for _, l := range w.letters("f") {
			ids[l.id] = true
		}
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if !ids[inv.ID] {
				t.Errorf("replayed with another request id: %s", inv.ID)
			}
			return &millicent.Result{}, nil
		}
		if n := act(millicent.DeadLetterAction{Replay: true, All: true}); n != 4 {
			t.Errorf("replayed %d", n)
		}
		if runs := w.ran(); len(runs) != 4 || len(w.letters("f")) != 0 {
			t.Errorf("ran %v", runs)
		}
	})
}

// A function that is told of its own failures by another, and that by it, ends
// where the chain may not go on.
func TestLineageIsCarried(t *testing.T) {
	inWorld(t, Config{}, []string{"a", "b"}, func(t *testing.T, w *world) {
		w.to("a", millicent.ARN(region, tenant, "b", ""), "")
		w.to("b", millicent.ARN(region, tenant, "a", ""), "")
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if inv.Loops(tenant, inv.Function) {
				return nil, millicent.Errorf(millicent.CodeRecursive, "a loop")
			}
			return &millicent.Result{Payload: []byte("1")}, nil
		}
		w.send("a", "1")
		runs := w.ran()
		if n := len(runs); n != 2*millicent.MaxVisits+1 {
			t.Errorf("%d runs", n)
		}
		l := append(w.letters("a"), w.letters("b")...)
		if len(l) != 1 || l[0].Failure.Condition != conditionLoop {
			t.Errorf("dead letters: %+v", l)
		}
	})
}

// Two functions that always fail, and are told of each other's failures.
func TestFailuresOfEachOtherEnd(t *testing.T) {
	inWorld(t, Config{}, []string{"a", "b"}, func(t *testing.T, w *world) {
		w.to("a", "", millicent.ARN(region, tenant, "b", ""))
		w.to("b", "", millicent.ARN(region, tenant, "a", ""))
		refused := 0
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if inv.Loops(tenant, inv.Function) {
				refused++ // one after the other
				return nil, millicent.Errorf(millicent.CodeRecursive, "a loop")
			}
			return &millicent.Result{FunctionError: "Unhandled", Payload: []byte("{}")}, nil
		}
		w.send("a", "1")
		runs := w.ran()
		if letters := append(w.letters("a"), w.letters("b")...); refused != 1 || len(letters) != 1 {
			t.Errorf("%d runs, %d refused, dead letters: %+v", len(runs), refused, letters)
		}
	})
}

func FuzzDecode(f *testing.F) {
	ev := eventOf(&millicent.Invocation{ID: "id", Tenant: tenant, Function: "f", Event: []byte("{}"), Lineage: millicent.Lineage{Root: "id"}})
	m, err := ev.message(KindEvent)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Attributes)
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"failure":{}}`))
	f.Fuzz(func(t *testing.T, attrs []byte) {
		ev, err := decode(&queue.Message{ID: "id", Queue: queue.Name{Kind: KindEvent, Tenant: tenant, Name: "f"}, Attributes: attrs})
		if err != nil {
			return
		}
		m, err := ev.message(KindEvent)
		if err != nil {
			return // a time that JSON can't have
		}
		again, err := decode(&m)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := must(json.Marshal(ev.attributes)), must(json.Marshal(again.attributes)); !slices.Equal(a, b) {
			t.Errorf("%s became %s", a, b)
		}
	})
}

func must(b []byte, _ error) []byte { return b }
