package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		s := start(t, l, Config{MaxEnvironments: 3})
		busy, idle := acquire(t, s, fakeVersion("a", 128)), acquire(t, s, fakeVersion("b", 128))
		idle.Release(false)
		starting := acquireLater(t.Context(), s, fakeVersion("c", 128))
		synctest.Wait()
		second := acquire(t, s, fakeVersion("b", 128))
		waiting := acquireLater(t.Context(), s, fakeVersion("d", 128))
		synctest.Wait()

		closed := make(chan error)
		go func() { closed <- s.Close(t.Context()) }()
		<-waiting.done
		if millicent.ErrorCode(waiting.err) != millicent.CodeServerUnavailable {
			t.Errorf("who waits for room got %v", waiting.err)
		}
		_, err := s.Acquire(t.Context(), fakeVersion("a", 128), nil)
		if millicent.ErrorCode(err) != millicent.CodeServerUnavailable {
			t.Errorf("a new lease got %v", err)
		}
		<-starting.done
		if starting.err != nil {
			t.Errorf("who waits for a launch got %v", starting.err)
		}
		for _, l := range []*Lease{busy, second, starting.lease} {
			time.Sleep(time.Second)
			select {
			case <-closed:
				t.Fatal("Close did not wait for a lease")
			default:
			}
			l.Release(false)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		checkEmpty(t, s, l)
	})
}

func TestCloseBreaksOffAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		s := start(t, l, Config{})
		busy := acquire(t, s, fakeVersion("a", 128))
		result := make(chan error)
		go func() {
			_, err := busy.Environment.Invoke(t.Context(), nil)
			result <- err
		}()
		l.launchTime = time.Hour
		starting := acquireLater(t.Context(), s, fakeVersion("b", 128))
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		closed := make(chan error)
		go func() { closed <- s.Close(ctx) }()
		if err := <-result; err == nil {
			t.Error("the running invocation was not ended")
		}
		<-starting.done
		if millicent.ErrorCode(starting.err) != millicent.CodeServerUnavailable {
			t.Errorf("who waits for a launch got %v", starting.err)
		}
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Close took %v", took)
		}
		busy.Release(false) // after its environment is gone
		checkEmpty(t, s, l)
	})
}

func TestLaunchThatEndsAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Minute, stubborn: true}
		s := start(t, l, Config{})
		late := acquireLater(t.Context(), s, fakeVersion("a", 128))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		<-late.done
		if millicent.ErrorCode(late.err) != millicent.CodeServerUnavailable {
			t.Errorf("got %v, want %s", late.err, millicent.CodeServerUnavailable)
		}
		checkEmpty(t, s, l)
	})
}

// TestCloseKeepsWhoHasALaunchComing has three wait where one launch is in
// progress: the first gets its environment, or learns that the launch failed.
func TestCloseKeepsWhoHasALaunchComing(t *testing.T) {
	for name, failure := range map[string]error{"launched": nil, "failed": errors.New("no luck")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLauncher{launchTime: time.Second, fail: func(*millicent.Version) error { return failure }}
				s := start(t, l, Config{MaxLaunches: 1})
				var all []*later
				for range 3 {
					all = append(all, acquireLater(t.Context(), s, fakeVersion("a", 128)))
					synctest.Wait()
				}
				closed := make(chan error)
				go func() { closed <- s.Close(t.Context()) }()
				for _, a := range all[1:] {
					<-a.done
					if millicent.ErrorCode(a.err) != millicent.CodeServerUnavailable || a.took != 0 {
						t.Errorf("who has none coming got %v after %v", a.err, a.took)
					}
				}
				<-all[0].done
				if !errors.Is(all[0].err, failure) || all[0].took != time.Second {
					t.Errorf("got %v after %v", all[0].err, all[0].took)
				}
				if failure == nil {
					all[0].lease.Release(false)
				}
				if err := <-closed; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
