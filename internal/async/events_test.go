package async

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestEventRunsOnce(t *testing.T) {
	inWorld(t, Config{}, []string{"a", "b"}, func(t *testing.T, w *world) {
		for i := range 20 {
			w.send("a", fmt.Sprint(i))
			w.send("b", fmt.Sprint(i))
		}
		runs := w.ran()
		slices.Sort(runs)
		if len(runs) != 40 || len(slices.Compact(runs)) != 40 {
			t.Errorf("ran %v", runs)
		}
		if s := w.queues.List("", ""); len(s) != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

// A function that fails is tried three times, after one minute and two, under
// one request id; what is left is a dead letter.
func TestRetries(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		begin := time.Now()
		var tries []string
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			tries = append(tries, fmt.Sprint(inv.ID, " ", time.Since(begin).Round(time.Second)))
			return failure500(inv)
		}
		id := w.send("f", `{"a":1}`)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if want := []string{id + " 0s", id + " 1m0s", id + " 3m0s"}; !slices.Equal(tries, want) {
			t.Errorf("tried %v, want %v", tries, want)
		}
		dead := w.letters("f")
		if len(dead) != 1 || dead[0].id != id || string(dead[0].body) != `{"a":1}` || dead[0].Failure.Condition != conditionExhausted ||
			dead[0].Failure.Attempts != 3 || dead[0].Failure.Message != "broken" {
			t.Errorf("dead letters: %+v", dead)
		}
		if s := w.waiting("f"); s.Messages() != 0 {
			t.Errorf("it is still there: %+v", s)
		}
		time.Sleep(deadRetention)
		if dead := w.letters("f"); len(dead) != 0 {
			t.Errorf("%d dead letters outlive their time", len(dead))
		}
	})
}

// The configuration is that of the qualifier, as it is when the event runs.
func TestRetriesByQualifier(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		zero := 0
		w.change("f", func(f *millicent.Function) {
			f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: millicent.Latest}}
			f.Events = map[string]*millicent.EventConfig{"live": {Retries: &zero}, millicent.Latest: {MaxAge: 2 * time.Minute}}
		})
		w.serve = failure500
		for _, q := range []string{"", "$LATEST", "live", "gone"} {
			inv := &millicent.Invocation{Tenant: tenant, Function: "f", Qualifier: q, Event: []byte(`"` + q + `"`)}
			if err := w.Enqueue(t.Context(), inv); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		count := map[string]int{}
		for _, r := range w.ran() {
			count[r]++
		}
		if diff := cmp.Diff(map[string]int{`f ""`: 2, `f "$LATEST"`: 2, `f "live"`: 1}, count); diff != "" {
			t.Errorf("runs (-want +got): %s", diff)
		}
		conditions := map[string]int{}
		for _, l := range w.letters("f") {
			conditions[l.Qualifier+" "+l.Failure.Condition]++
		}
		want := map[string]int{" EventAgeExceeded": 1, "$LATEST EventAgeExceeded": 1, "live RetriesExhausted": 1, "gone VersionNotFound": 1}
		if diff := cmp.Diff(want, conditions); diff != "" {
			t.Errorf("dead letters (-want +got): %s", diff)
		}
	})
}

// Throttles are waited out, with growing pauses, and are no attempts.
func TestThrottles(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		begin := time.Now()
		var tries []time.Duration
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			tries = append(tries, time.Since(begin).Round(time.Second))
			switch {
			case len(tries) < 5:
				return nil, millicent.Throttled(millicent.ReasonConcurrency)
			case len(tries) == 5:
				return nil, millicent.Errorf(millicent.CodeInternal, "the platform failed")
			case len(tries) == 6:
				return failure500(inv)
			}
			return &millicent.Result{}, nil
		}
		w.send("f", "1")
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 15, 31, 91}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
		if len(w.letters("f")) != 0 || w.waiting("f").Messages() != 0 {
			t.Error("it did not end in success")
		}
	})
}

// What a budget refuses waits without spending attempts, or ends at once, as
// the budget says.
func TestBudgetRefusals(t *testing.T) {
	inWorld(t, Config{}, []string{"waits", "ends"}, func(t *testing.T, w *world) {
		resumes := time.Now().Add(time.Hour)
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if time.Now().Before(resumes) {
				e := millicent.Throttled(millicent.ReasonBudget)
				e.Err = &millicent.BudgetRefusal{Budget: "tenant/hour", EndEvents: inv.Function == "ends"}
				return nil, e
			}
			return &millicent.Result{}, nil
		}
		w.send("waits", "1")
		w.send("ends", "1")
		time.Sleep(time.Minute)
		if dead := w.letters("ends"); len(dead) != 1 || dead[0].Failure.Condition != conditionBudget || dead[0].Failure.Attempts != 0 {
			t.Errorf("the event that ends became %+v", dead)
		}
		if w.waiting("waits").Messages() != 1 {
			t.Error("the event that waits does not")
		}
		time.Sleep(2 * time.Hour)
		if len(w.letters("waits")) != 0 || w.waiting("waits").Messages() != 0 {
			t.Error("the event that waited did not end in success")
		}
	})
}

// An event that waits since the platform cannot run it says so in the operator's
// log; one that is throttled, as it happens all day, does not.
func TestPlatformErrorsAreTold(t *testing.T) {
	inWorld(t, Config{}, []string{"broken", "busy"}, func(t *testing.T, w *world) {
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if inv.Function == "busy" {
				return nil, millicent.Throttled(millicent.ReasonReservedConcurrency)
			}
			return nil, errors.New("open package: input/output error")
		}
		w.send("broken", "1")
		w.send("busy", "1")
		time.Sleep(30 * time.Second)
		if told, throttled := w.log.count("input/output error"), w.log.count("function=busy"); told == 0 || throttled != 0 {
			t.Errorf("%d lines of the error, %d of the throttled function", told, throttled)
		}
	})
}

// A throttled function's backlog is neither tried all the time, nor in anyone's
// way, nor lost.
func TestThrottledBacklog(t *testing.T) {
	inWorld(t, Config{Concurrency: 16, PerFunction: 12}, []string{"busy", "other"}, func(t *testing.T, w *world) {
		busy, tries := true, 0
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if inv.Function == "busy" {
				if tries++; busy {
					return nil, millicent.Throttled(millicent.ReasonReservedConcurrency)
				}
			}
			return &millicent.Result{}, nil
		}
		for i := range 5000 {
			w.send("busy", fmt.Sprint(i))
		}
		for range 100 {
			begin := time.Now()
			w.send("other", "1")
			synctest.Wait()
			if s := w.waiting("other"); s.Messages() != 0 || time.Since(begin) > 100*time.Millisecond {
				t.Fatalf("another function's event waits: %+v", s)
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.mu.Lock()
		if tries > 12*4*12 {
			t.Errorf("%d tries in 10 s", tries)
		}
		busy = false
		w.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if s := w.waiting("busy"); s.Messages() != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

// No more events of a function run at a time than it has reserved, also when
// that changes.
func TestConcurrency(t *testing.T) {
	inWorld(t, Config{PerFunction: 10}, []string{"f"}, func(t *testing.T, w *world) {
		now, most := 0, 0
		w.serve = func(*millicent.Invocation) (*millicent.Result, error) {
			w.mu.Lock()
			now++
			most = max(most, now)
			w.mu.Unlock()
			time.Sleep(time.Second)
			w.mu.Lock()
			now--
			w.mu.Unlock()
			return &millicent.Result{}, nil
		}
		check := func(reserved *int, want int) {
			t.Helper()
			w.change("f", func(f *millicent.Function) { f.Reserved = reserved })
			time.Sleep(2500 * time.Millisecond)
			w.mu.Lock()
			most = now
			w.mu.Unlock()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if most != want {
				t.Errorf("%d run at a time, want %d", most, want)
			}
		}
		for i := range 300 {
			w.send("f", fmt.Sprint(i))
		}
		two, many := 2, 1000
		check(&two, 2)
		check(nil, 10)
		check(&two, 2)
		check(&many, 10)
		time.Sleep(time.Hour)
		if n := len(w.ran()); n != 300 {
			t.Errorf("%d of 300 ran", n)
		}
	})
}

func TestZeroConcurrency(t *testing.T) {
	inWorld(t, Config{}, []string{"f", "told"}, func(t *testing.T, w *world) {
		zero := 0
		w.change("f", func(f *millicent.Function) {
			f.Reserved = &zero
			f.Events = map[string]*millicent.EventConfig{millicent.Latest: {OnFailure: millicent.ARN(region, tenant, "told", "")}}
		})
		id := w.send("f", `{"a":"<b>"}`)
		runs := w.ran()
		if len(runs) != 1 || !strings.HasPrefix(runs[0], "told ") {
			t.Fatalf("ran %v", runs)
		}
		record := parse(t, strings.TrimPrefix(runs[0], "told "))
		want := map[string]any{
			"version": "1.0", "timestamp": "2000-01-01T00:00:00.000Z", "requestPayload": map[string]any{"a": "<b>"},
			"requestContext": map[string]any{
				"requestId": id, "functionArn": millicent.ARN(region, tenant, "f", "$LATEST"),
				"condition": "ZeroReservedConcurrency", "approximateInvokeCount": float64(0),
			},
		}
		if diff := cmp.Diff(want, record); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	})
}

// Events wait for an update, and then see the new version.
func TestEventsWaitForUpdates(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		w.change("f", func(f *millicent.Function) { f.Draft.LastUpdate = millicent.UpdateInProgress })
		w.send("f", "1")
		time.Sleep(10 * time.Second)
		if runs := w.ran(); len(runs) != 0 {
			t.Errorf("ran during the update: %v", runs)
		}
		w.change("f", func(f *millicent.Function) { f.Draft.LastUpdate = millicent.UpdateSuccessful })
		time.Sleep(changePause)
		if runs := w.ran(); len(runs) != 1 {
			t.Errorf("ran after the update: %v", runs)
		}
	})
}

// The events of a function that was deleted are dropped, also when there is
// another of its name.
func TestDeletedFunction(t *testing.T) {
	inWorld(t, Config{}, []string{"gone", "again"}, func(t *testing.T, w *world) {
		w.serve = failure500
		w.send("gone", "1")
		w.send("again", "1")
		w.ran()
		time.Sleep(time.Second)
		w.change("again", func(f *millicent.Function) { f.Created = time.Now() })
		w.mu.Lock()
		delete(w.functions, "gone")
		w.mu.Unlock()
		time.Sleep(time.Hour)
		if runs := w.ran(); len(runs) != 0 || w.waiting("gone").Messages() != 0 || w.waiting("again").Messages() != 0 {
			t.Errorf("ran %v", runs)
		}
		if n := w.log.count("event dropped"); n != 2 {
			t.Errorf("%d lines of the log", n)
		}
	})
}

// What runs when the server stops may end; the rest stays, unchanged.
func TestStop(t *testing.T) {
	inWorld(t, Config{PerFunction: 2}, []string{"f"}, func(t *testing.T, w *world) {
		cut := make(chan struct{})
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if string(inv.Event) == "0" {
				time.Sleep(5 * time.Second)
				return &millicent.Result{}, nil
			}
			<-cut
			return nil, millicent.Errorf(millicent.CodeServerUnavailable, "The server is stopping.")
		}
		for i := range 10 {
			w.send("f", fmt.Sprint(i))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := w.Close(ctx); err == nil {
			t.Error("it waited for what does not end")
		}
		if err := w.Enqueue(t.Context(), &millicent.Invocation{Tenant: tenant, Function: "f"}); millicent.ErrorCode(err) != millicent.CodeServerUnavailable {
			t.Errorf("accepted: %v", err)
		}
		close(cut)
		w.Wait()
		if s := w.waiting("f"); s.Messages() != 9 || s.InFlight != 0 || len(w.letters("f")) != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

// The 100 ms that an event waits for others at most, beside a flood.
func TestFloodDelaysNobody(t *testing.T) {
	inWorld(t, Config{Concurrency: 16, PerFunction: 50}, []string{"flood", "rare"}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var late time.Duration
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			if inv.Function == "flood" {
				time.Sleep(10 * time.Second)
			} else {
				mu.Lock()
				late = max(late, time.Since(inv.Received))
				mu.Unlock()
			}
			return &millicent.Result{}, nil
		}
		for i := range 3000 {
			w.send("flood", fmt.Sprint(i))
		}
		for range 50 {
			w.send("rare", "1")
			time.Sleep(70 * time.Millisecond)
		}
		synctest.Wait()
		if late > 100*time.Millisecond || w.waiting("rare").Messages() != 0 {
			t.Errorf("an event waited %v", late)
		}
		w.change("flood", func(f *millicent.Function) { f.Created = time.Now() }) // ends the flood
	})
}
