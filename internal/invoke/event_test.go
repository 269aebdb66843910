package invoke

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

func TestEventsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EventWorkers: 3}, scheduler.Config{}, "a", "b")
		var mu sync.Mutex
		seen, now, most := make(map[string]int), make(map[string]int), 0
		w.launcher.serve = func(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			mu.Lock()
			seen[inv.Function+string(inv.Event)]++
			now[inv.Function]++
			most = max(most, now[inv.Function])
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			now[inv.Function]--
			return &millicent.Result{}, nil
		}
		begin := time.Now()
		for i := range 30 {
			for _, name := range []string{"a", "b"} {
				inv := call(name, strconv.Itoa(i))
				if err := w.Enqueue(t.Context(), inv); err != nil {
					t.Fatal(err)
				}
				if inv.ID == "" || inv.Root != inv.ID {
					t.Errorf("accepted without an identity: %+v", inv)
				}
			}
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for what, n := range seen {
			if n != 1 {
				t.Errorf("event %s ran %d times", what, n)
			}
		}
		if took := time.Since(begin); len(seen) != 60 || most != 3 || took != 10*time.Second {
			t.Errorf("%d events ran, at most %d at a time, in %v; want 60, 3, 10s", len(seen), most, took)
		}
		wantCode(t, w.Enqueue(t.Context(), call("a", "")), millicent.CodeServerUnavailable)
		if len(w.events.functions) != 0 || w.events.count != 0 || w.events.bytes != 0 || w.active != 0 {
			t.Errorf("the books are not empty: %+v", w.events)
		}
	})
}

func TestEventQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EventWorkers: 1, EventQueue: 10, EventBytes: 100}, scheduler.Config{}, "a", "b", "c")
		w.launcher.serve = func(context.Context, *millicent.Invocation) (*millicent.Result, error) {
			time.Sleep(time.Second)
			return &millicent.Result{}, nil
		}
		accepted := func(name, event string, tries int) (n int) {
			for range tries {
				if err := w.Enqueue(t.Context(), call(name, event)); err == nil {
					n++
				} else {
					wantCode(t, err, millicent.CodeThrottled)
				}
				synctest.Wait() // the worker takes the first
			}
			return n
		}
		if n := accepted("a", "", 20); n != 6 { // one runs, half the queue waits
			t.Errorf("%d events of one function were accepted, want 6", n)
		}
		if n := accepted("b", "0123456789012345678901234", 20); n != 3 { // one runs, 50 bytes wait
			t.Errorf("%d large events were accepted, want 3", n)
		}
		if n := accepted("c", "", 20); n != 4 { // one runs, ten wait altogether
			t.Errorf("%d events were accepted in the rest, want 4", n)
		}
	})
}

func TestThrottledEventIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{Concurrency: 1, MaxEnvironments: 1}, "slow", "event")
		done := make(chan time.Duration, 1)
		begin := time.Now()
		w.launcher.serve = func(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			if inv.Function == "slow" {
				time.Sleep(10 * time.Second)
			} else {
				done <- time.Since(begin)
			}
			return &millicent.Result{}, nil
		}
		slow := make(chan error)
		go func() {
			_, err := w.Invoke(t.Context(), call("slow", ""))
			slow <- err
		}()
		synctest.Wait()
		if err := w.Enqueue(t.Context(), call("event", "")); err != nil {
			t.Fatal(err)
		}
		if err := <-slow; err != nil {
			t.Error(err)
		}
		if after := <-done; after != 15*time.Second { // 1 + 2 + 4 + 8
			t.Errorf("ran after %v, want 15s", after)
		}
	})
}

func TestEventOfFunctionThatIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "off")
		zero := 0
		w.store.change("off", func(f *millicent.Function) { f.Reserved = &zero })
		if err := w.Enqueue(t.Context(), call("off", "")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := w.log.count("accepted event was not run"); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
	})
}

func TestCloseLogsWhatItCouldNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EventWorkers: 2}, scheduler.Config{}, "slow")
		w.launcher.serve = func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(4 * time.Second):
				return echo(ctx, inv)
			}
		}
		for range 10 {
			if err := w.Enqueue(t.Context(), call("slow", "")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := w.Close(ctx)
		if took := time.Since(begin); err == nil || took != 10*time.Second {
			t.Errorf("Close returned %v after %v", err, took)
		}
		// Four had ended, two were running, four waited.
		if n := w.log.count("accepted event was not run"); n != 6 {
			t.Errorf("%d events are in the log, want 6", n)
		}
	})
}
