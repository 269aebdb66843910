package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestSetOutcome(t *testing.T) {
	const pending, active, failed = millicent.StatePending, millicent.StateActive, millicent.StateFailed
	const progress = millicent.UpdateInProgress
	invalid := fmt.Errorf("unpack: %w", &millicent.Error{Code: codeInvalidZip, Message: "Bad zip.", Err: errors.New("secret cause")})
	for _, tt := range []struct {
		name          string
		state, update string
		outcome       error
		want          millicent.Version
	}{
		{"created", pending, "", nil, millicent.Version{State: active, LastUpdate: "Successful"}},
		{"updated", active, progress, nil, millicent.Version{State: active, LastUpdate: "Successful"}},
		{"created badly", pending, "", invalid, millicent.Version{State: failed, StateReason: "Bad zip.", StateReasonCode: codeInvalidZip,
			LastUpdate: "Failed", LastUpdateReason: "Bad zip.", LastUpdateReasonCode: codeInvalidZip}},
		{"updated badly", active, progress, invalid, millicent.Version{State: active,
			LastUpdate: "Failed", LastUpdateReason: "Bad zip.", LastUpdateReasonCode: codeInvalidZip}},
		{"repaired", failed, progress, nil, millicent.Version{State: active, LastUpdate: "Successful"}},
		{"not initialised", pending, "", &millicent.Error{Code: "FunctionError.InitTimeout", Message: "Late."}, millicent.Version{State: failed,
			StateReason: "Late.", StateReasonCode: "FunctionError.InitTimeout",
			LastUpdate: "Failed", LastUpdateReason: "Late.", LastUpdateReasonCode: "FunctionError.InitTimeout"}},
		{"disk full", pending, "", errors.New("no space"), millicent.Version{State: failed,
			StateReason: "The code package could not be unpacked.", StateReasonCode: "InternalError",
			LastUpdate: "Failed", LastUpdateReason: "The code package could not be unpacked.", LastUpdateReasonCode: "InternalError"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := millicent.Version{Revision: "before", State: tt.state, LastUpdate: tt.update}
			if tt.state == pending {
				got.StateReason, got.StateReasonCode = "The function is being created.", "Creating"
			}
			if tt.update == progress {
				got.LastUpdateReason, got.LastUpdateReasonCode = "The function is being created.", "Creating"
			}
			setOutcome(&got, result{err: tt.outcome})
			if got.Revision == "before" {
				t.Error("the revision is the one before")
			}
			got.Revision = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if unsettled(&got) {
				t.Error("still waits for its activation")
			}
		})
	}
}

func TestPersist(t *testing.T) {
	final := millicent.Errorf(codeInvalidZip, "Bad zip.")
	passing := errors.New("disk full")
	for _, tt := range []struct {
		name  string
		fails []error
		want  error
		took  time.Duration
	}{
		{"at once", nil, nil, 0},
		{"final", []error{final, nil}, final, 0},
		{"third time", []error{passing, passing}, nil, 6 * time.Second},
		{"final later", []error{passing, final}, final, time.Second},
		{"never", []error{passing, passing, passing, passing}, passing, 21 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, calls := time.Now(), 0
				err := persist(t.Context(), func() error {
					calls++
					if calls <= len(tt.fails) {
						return tt.fails[calls-1]
					}
					return nil
				})
				if err != tt.want { //nolint:errorlint // as it is
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

func TestPersistEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := persist(ctx, func() error { return errors.New("disk full") }); err == nil {
			t.Error("no error")
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestActivationIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var running, most, runs atomic.Int32
		a := newActivation(ctx, false, func(context.Context, unsettledID) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			runs.Add(1)
		})
		start := time.Now()
		for i := range 10 {
			a.enqueue(unsettledID{functionID{testTenant, fmt.Sprint(i)}, millicent.Latest})
		}
		for i := activators; i < 10; i++ { // known already, and waiting
			a.enqueue(unsettledID{functionID{testTenant, fmt.Sprint(i)}, millicent.Latest})
		}
		for runs.Load() < 10 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start).Round(time.Second); took != 3*time.Second {
			t.Errorf("10 activations of 1 s took %v, want 3 s: four at a time", took)
		}
		if most.Load() != activators {
			t.Errorf("%d ran at once, want %d", most.Load(), activators)
		}
		time.Sleep(5 * time.Second)
		if runs.Load() != 10 {
			t.Errorf("%d runs, want 10", runs.Load())
		}
		cancel()
		a.wait()
	})
}

// An id that comes while it runs is run once more, however often it came.
func TestActivationRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var starts []time.Duration
		begin := time.Now()
		a := newActivation(ctx, false, func(context.Context, unsettledID) {
			mu.Lock()
			starts = append(starts, time.Since(begin))
			mu.Unlock()
			time.Sleep(time.Second)
		})
		id := unsettledID{functionID{testTenant, "hello"}, millicent.Latest}
		a.enqueue(id)
		time.Sleep(500 * time.Millisecond)
		a.enqueue(id)
		a.enqueue(id)
		time.Sleep(5 * time.Second)
		a.enqueue(id)
		time.Sleep(5 * time.Second)
		cancel()
		a.wait()
		want := []time.Duration{0, time.Second, 5500 * time.Millisecond}
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Errorf("runs started at (-want +got):\n%s", diff)
		}
	})
}

// A tenant whose activations take long keeps no other one waiting.
func TestActivationInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		ended := map[string]time.Duration{}
		begin := time.Now()
		a := newActivation(ctx, true, func(_ context.Context, id unsettledID) {
			if id.tenant == "slow" {
				time.Sleep(time.Minute)
			}
			time.Sleep(time.Second)
			mu.Lock()
			ended[id.tenant+" "+id.name] = time.Since(begin)
			mu.Unlock()
		})
		for _, name := range []string{"slow 1", "slow 2", "slow 3", "quick 1", "quick 2", "other 1"} {
			tenant, function, _ := strings.Cut(name, " ")
			a.enqueue(unsettledID{functionID{tenant, function}, millicent.Latest})
		}
		time.Sleep(time.Hour)
		cancel()
		a.wait()
		want := map[string]time.Duration{
			"slow 1": 61 * time.Second, "slow 2": 122 * time.Second, "slow 3": 183 * time.Second,
			"quick 1": time.Second, "quick 2": 2 * time.Second, "other 1": time.Second,
		}
		if diff := cmp.Diff(want, ended); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What is to be compiled is Pending until it is, also when the store is closed
// meanwhile, and Failed when it cannot be.
func TestCompiledBeforeActive(t *testing.T) {
	js, dir := newJetStream(t), t.TempDir()
	begun := make(chan string, 10)
	hold := func(ctx context.Context, v *millicent.Version) (bool, error) {
		begun <- v.Function
		<-ctx.Done()
		return false, ctx.Err()
	}
	compiles := func(_ context.Context, v *millicent.Version) bool { return v.Function != "plain" }
	first, err := Open(testContext(t), js, Config{Dir: dir, Compiles: compiles, Initialise: hold})
	if err != nil {
		t.Fatal(err)
	}
	p := putZip(t, first, zipOf(t, file{name: "app.py", content: "x = 1"}))
	for _, name := range []string{"plain", "good", "bad"} {
		mustCreate(t, first, newFunction(name, p))
	}
	awaitSettled(t, first, "plain", millicent.Latest)
	<-begun
	for _, name := range []string{"good", "bad"} {
		if f, err := first.Function(testTenant, name); err != nil || f.Draft.State != millicent.StatePending {
			t.Errorf("%s: got %v, %v", name, f, err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := mustOpen(t, js, Config{Dir: dir, Compiles: compiles, Initialise: func(_ context.Context, v *millicent.Version) (bool, error) {
		if v.Function == "bad" {
			return false, millicent.Errorf("FunctionError.InvalidEntryPoint", "It is none.")
		}
		return false, nil
	}})
	for name, want := range map[string]string{"plain": "Active  ", "good": "Active  ", "bad": "Failed FunctionError.InvalidEntryPoint It is none."} {
		v := awaitSettled(t, second, name, millicent.Latest)
		if got := v.State + " " + v.StateReasonCode + " " + v.StateReason; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
