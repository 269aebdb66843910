package async

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// A run is what the ledger knows a run of an event by.
type run struct {
	id      string
	attempt int
}

// A dead letter that is replayed, and replayed again, runs in attempts that it
// did not have before: the ledger leaves out a run that it knows.
func TestReplaysAreOtherAttempts(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		ran := map[run]int{}
		w.serve = func(inv *millicent.Invocation) (*millicent.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			ran[run{inv.ID, inv.Attempt}]++
			return &millicent.Result{FunctionError: "Unhandled"}, nil
		}
		w.send("f", "1")
		time.Sleep(time.Hour)
		const replays = 3
		for range replays {
			done, err := w.Act(t.Context(), tenant, millicent.DeadLetterAction{Function: "f", Replay: true, All: true})
			if err != nil || len(done) != 1 {
				t.Fatalf("replayed %+v (%v)", done, err)
			}
			time.Sleep(time.Hour)
		}
		mu.Lock()
		defer mu.Unlock()
		for r, n := range ran {
			if n != 1 {
				t.Errorf("%+v ran %d times", r, n)
			}
		}
		if want := (replays + 1) * (millicent.DefaultEventRetries + 1); len(ran) != want {
			t.Errorf("%d attempts, want %d", len(ran), want)
		}
		if l := w.letters("f"); len(l) != 1 || l[0].Failure.Attempts != millicent.DefaultEventRetries+1 {
			t.Errorf("dead letters: %+v", l)
		}
	})
}

// While the server runs nothing, because it can record nothing, events wait: they
// are not tried all the time, and spend no attempts.
func TestEventsWaitForTheServer(t *testing.T) {
	inWorld(t, Config{}, []string{"f"}, func(t *testing.T, w *world) {
		var tried atomic.Int64
		ready := time.Now().Add(time.Minute)
		w.serve = func(*millicent.Invocation) (*millicent.Result, error) {
			if tried.Add(1); time.Now().Before(ready) {
				return nil, millicent.Errorf(millicent.CodeServerUnavailable, "Usage cannot be recorded.")
			}
			return &millicent.Result{}, nil
		}
		for i := range 5 {
			w.send("f", fmt.Sprint(i))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := w.waiting("f").Messages(); n != 0 || len(w.letters("f")) != 0 {
			t.Errorf("%d events wait, %d are dead letters", n, len(w.letters("f")))
		}
		if n := tried.Load(); n > 5*62 {
			t.Errorf("tried %d times in a minute", n)
		}
	})
}
