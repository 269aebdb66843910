package invoke

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/scheduler"
)

func TestInvoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "hello")
		var got *millicent.Invocation
		w.launcher.serve = func(_ context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			got = inv
			return &millicent.Result{Payload: []byte(`"hi"`)}, nil
		}
		res, err := w.Invoke(t.Context(), call("hello", `{}`))
		if err != nil {
			t.Fatal(err)
		}
		if string(res.Payload) != `"hi"` || res.Version != millicent.Latest {
			t.Errorf("got %s of version %s", res.Payload, res.Version)
		}
		want := &millicent.Invocation{
			ID: "id-1", Tenant: tenant, Function: "hello", ARN: "arn:aws:lambda:us-east-1:" + tenant + ":function:hello",
			Event: []byte(`{}`), Lineage: millicent.Lineage{Root: "id-1"}, Received: time.Now(),
			Wait: millicent.Wait{For: millicent.WaitStart},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the environment got (-want +got):\n%s", diff)
		}
	})
}

func TestLineage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "hello")
		ctx := millicent.WithCaller(t.Context(), millicent.Caller{Tenant: tenant, Function: "first", Lineage: millicent.Lineage{Root: "root-id", Hops: 3}})
		inv := call("hello", "")
		if _, err := w.Invoke(ctx, inv); err != nil {
			t.Fatal(err)
		}
		if inv.Root != "root-id" || inv.Hops != 4 {
			t.Errorf("got root %s and %d hops, want root-id and 4", inv.Root, inv.Hops)
		}
		inv = call("hello", "")
		inv.ID, inv.Root, inv.Hops = "mine", "given", 9
		if _, err := w.Invoke(ctx, inv); err != nil {
			t.Fatal(err)
		}
		if inv.ID != "mine" || inv.Root != "given" || inv.Hops != 9 {
			t.Errorf("what was given became %+v", inv)
		}
	})
}

// TestLoopsEnd: a function that calls itself, through whichever door, runs
// as often as it may; its last call is refused and seen by the observer.
func TestLoopsEnd(t *testing.T) {
	for name, again := range map[string]func(w *world, ctx context.Context, inv *millicent.Invocation) error{
		"invoked": func(w *world, ctx context.Context, inv *millicent.Invocation) error {
			_, err := w.Invoke(ctx, inv)
			return err
		},
		"accepted": func(w *world, ctx context.Context, inv *millicent.Invocation) error {
			if err := w.Accept(ctx, inv); err != nil {
				return err
			}
			_, err := w.Invoke(context.Background(), inv)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{}, scheduler.Config{MaxEnvironments: 100}, "loop", "other")
				runs := 0
				var last error
				w.launcher.serve = func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
					runs++
					ctx = millicent.WithCaller(ctx, millicent.Caller{Tenant: tenant, Function: inv.Function, Lineage: inv.Lineage})
					if err := again(w, ctx, call(inv.Function, "{}")); err != nil {
						last = err
					}
					return &millicent.Result{Payload: []byte("1")}, nil
				}
				if _, err := w.Invoke(t.Context(), call("loop", "{}")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if runs != millicent.MaxVisits || millicent.ErrorCode(last) != millicent.CodeRecursive {
					t.Errorf("%d runs and at last %v", runs, last)
				}
				if w.observer.refused(millicent.CodeRecursive) != 1 {
					t.Error("the end of the loop was not observed")
				}
				w.store.change("loop", func(f *millicent.Function) { f.Recursive = true })
				deep := call("loop", "{}")
				deep.Lineage = millicent.Lineage{Root: "root", Hops: millicent.MaxHops}
				if err := w.Check(t.Context(), deep); err != nil {
					t.Errorf("a function that may: %v", err)
				}
			})
		})
	}
}

func TestAliasDraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draw := 0.0
		w := newWorld(t, Config{Draw: func() float64 { return draw }}, scheduler.Config{}, "hello")
		w.store.change("hello", func(f *millicent.Function) {
			f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "1", Weights: map[string]float64{"2": 0.25}}}
		})
		for _, tt := range []struct {
			draw float64
			want string
		}{{0.1, "2"}, {0.25, "1"}, {0.99, "1"}} {
			draw = tt.draw
			inv := call("hello", "")
			inv.Qualifier = "live"
			res, err := w.Invoke(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			if res.Version != tt.want {
				t.Errorf("draw %v: version %s ran, want %s", tt.draw, res.Version, tt.want)
			}
			if want := "arn:aws:lambda:us-east-1:" + tenant + ":function:hello:live"; inv.ARN != want {
				t.Errorf("got ARN %s, want %s", inv.ARN, want)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "failed", "off", "busy", "pending")
		zero := 0
		w.store.change("failed", func(f *millicent.Function) { f.Draft.State = millicent.StateFailed })
		w.store.change("pending", func(f *millicent.Function) { f.Draft.State = millicent.StatePending })
		w.store.change("off", func(f *millicent.Function) { f.Reserved = &zero })

		_, err := w.Invoke(t.Context(), call("nobody", ""))
		wantCode(t, err, millicent.CodeNotFound)
		wantCode(t, w.Check(t.Context(), call("nobody", "")), millicent.CodeNotFound)
		wantCode(t, w.Accept(t.Context(), call("nobody", "")), millicent.CodeNotFound)

		_, err = w.Invoke(t.Context(), call("failed", ""))
		wantCode(t, err, millicent.CodeConflict)
		wantMessage(t, err, "The operation cannot be performed at this time. The function is currently in the following state: Failed")

		begin := time.Now()
		_, err = w.Invoke(t.Context(), call("pending", ""))
		wantMessage(t, err, "The operation cannot be performed at this time. The function is currently in the following state: Pending")
		if waited := time.Since(begin); waited != 2*time.Second {
			t.Errorf("waited %v for a pending function, want 2s", waited)
		}

		_, err = w.Invoke(t.Context(), call("off", ""))
		wantCode(t, err, millicent.CodeThrottled)
		if diff := cmp.Diff([]string{"off " + millicent.CodeThrottled}, w.observer.seen); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		if err := w.Check(t.Context(), call("busy", "")); err != nil {
			t.Errorf("Check of a good one: %v", err)
		}
		if launched, _ := w.launcher.counts(); launched != 0 {
			t.Errorf("%d environments were launched", launched)
		}
	})
}

func TestWaitsForActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "new")
		w.store.change("new", func(f *millicent.Function) { f.Draft.State = millicent.StatePending })
		time.AfterFunc(time.Second, func() {
			w.store.change("new", func(f *millicent.Function) { f.Draft.State = millicent.StateActive })
		})
		if _, err := w.Invoke(t.Context(), call("new", "")); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadEnvironments(t *testing.T) {
	for deaths := range 6 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, Config{}, scheduler.Config{}, "hello")
			invoked := 0
			w.launcher.serve = func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
				invoked++
				if invoked <= deaths {
					return nil, errDead
				}
				return echo(ctx, inv)
			}
			res, err := w.Invoke(t.Context(), call("hello", `1`))
			if deaths <= 3 {
				if err != nil || string(res.Payload) != `1` {
					t.Errorf("%d deaths: got %v, %v", deaths, res, err)
				}
			} else {
				wantCode(t, err, millicent.CodeInternal)
			}
			synctest.Wait()
			launched, live := w.launcher.counts()
			if want := min(deaths, 3) + 1; launched != want || live != launched-min(deaths, 4) {
				t.Errorf("%d deaths: %d environments launched, %d live", deaths, launched, live)
			}
		})
	}
}

func TestErrorIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "hello")
		broken, invoked := errors.New("pipe broke"), 0
		w.launcher.serve = func(context.Context, *millicent.Invocation) (*millicent.Result, error) {
			invoked++
			return nil, broken
		}
		_, err := w.Invoke(t.Context(), call("hello", ""))
		synctest.Wait()
		if _, live := w.launcher.counts(); !errors.Is(err, broken) || invoked != 1 || live != 0 {
			t.Errorf("got %v after %d attempts, %d environments live", err, invoked, live)
		}
	})
}

func TestPanicReleasesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{Concurrency: 1}, "hello")
		w.launcher.serve = func(context.Context, *millicent.Invocation) (*millicent.Result, error) { panic("oh") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = w.Invoke(t.Context(), call("hello", "")) // panics
		}()
		w.launcher.serve = echo
		if _, err := w.Invoke(t.Context(), call("hello", "")); err != nil {
			t.Error(err)
		}
	})
}

func TestGoesOnWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, scheduler.Config{}, "slow")
		w.launcher.serve = func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Minute):
				return echo(ctx, inv)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := w.Invoke(ctx, call("slow", "")); err != nil {
			t.Errorf("ended with its caller: %v", err)
		}
	})
}

func TestCloseWaitsAndThenCutsOff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		code  string
	}{{"in time", 5 * time.Second, ""}, {"too long", time.Hour, millicent.CodeServerUnavailable}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{}, scheduler.Config{}, "slow")
				var begun atomic.Int32
				w.launcher.serve = func(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
					begun.Add(1)
					select {
					case <-ctx.Done():
						return nil, ctx.Err()
					case <-time.After(tt.takes):
						return echo(ctx, inv)
					}
				}
				result := make(chan error)
				go func() {
					_, err := w.Invoke(t.Context(), call("slow", ""))
					result <- err
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				closed := make(chan error, 1)
				go func() { closed <- w.Close(ctx) }()
				synctest.Wait()
				_, err := w.Invoke(t.Context(), call("slow", ""))
				wantCode(t, err, millicent.CodeServerUnavailable)
				wantCode(t, <-result, tt.code)
				if err := <-closed; (err != nil) != (tt.code != "") {
					t.Errorf("Close returned %v", err)
				}
				if begun.Load() != 1 {
					t.Errorf("%d invocations were run", begun.Load())
				}
			})
		})
	}
}

func BenchmarkInvokeWarm(b *testing.B) {
	w := newWorld(b, Config{}, scheduler.Config{}, "hello")
	w.cfg.Observer = unobserved{}
	v := w.store.functions["hello"].Draft
	w.cfg.Store = constStore{w.store.functions["hello"], v}
	ctx := context.Background()
	event := []byte(`{}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Invoke(ctx, &millicent.Invocation{Tenant: tenant, Function: "hello", Event: event}); err != nil {
			b.Fatal(err)
		}
	}
}

// constStore answers the same always, as fast as memory can.
type constStore struct {
	f *millicent.Function
	v *millicent.Version
}

func (s constStore) Resolve(_, _, _ string, _ float64) (*millicent.Version, error) { return s.v, nil }
func (s constStore) Function(_, _ string) (*millicent.Function, error)             { return s.f, nil }
