package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

func TestReuseLastInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		one, two := acquire(t, s, v), acquire(t, s, v)
		if !one.Cold || !two.Cold {
			t.Error("the first leases are not cold")
		}
		one.Release(false)
		two.Release(false)
		got := acquire(t, s, v)
		if serial(got) != serial(two) || got.Cold {
			t.Errorf("got environment %d, cold %t, want the last released, %d, warm", serial(got), got.Cold, serial(two))
		}
		next := acquire(t, s, v)
		if serial(next) != serial(one) {
			t.Errorf("got environment %d next, want %d", serial(next), serial(one))
		}
		got.Release(false)
		got.Release(true) // has no effect any more
		next.Release(false)
		if load := s.Snapshot(); load.Idle != 2 || load.MemoryMB != 256 {
			t.Errorf("got %+v, want two idle", load)
		}
	})
}

func TestVersionsShareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		acquire(t, s, v).Release(false)
		changed := v.Clone()
		changed.Revision = "r2"
		other := v.Clone()
		other.Tenant = "111111111111"
		for _, v := range []*millicent.Version{changed, other, fakeVersion("b", 128)} {
			lease := acquire(t, s, v)
			if !lease.Cold {
				t.Errorf("%s/%s %s got another's environment", v.Tenant, v.Function, v.Revision)
			}
			lease.Release(false)
		}
	})
}

func TestBrokenIsNotReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		acquire(t, s, v).Release(true)
		synctest.Wait()
		if _, live := l.counts(); live != 0 {
			t.Errorf("%d environments live after a broken one was released", live)
		}
		lease := acquire(t, s, v)
		if !lease.Cold {
			t.Error("got a warm environment")
		}
		lease.Release(false)
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{KeepAlive: time.Minute})
		a, b := fakeVersion("a", 128), fakeVersion("b", 128)
		acquire(t, s, a).Release(false)
		time.Sleep(40 * time.Second)
		acquire(t, s, b).Release(false)
		wantLive := func(want int) {
			t.Helper()
			synctest.Wait()
			if _, live := l.counts(); live != want {
				t.Errorf("%d environments live, want %d", live, want)
			}
		}
		time.Sleep(20*time.Second - time.Millisecond)
		wantLive(2)
		time.Sleep(time.Millisecond)
		wantLive(1)
		acquire(t, s, b).Release(false) // use keeps it
		time.Sleep(time.Minute - time.Millisecond)
		wantLive(1)
		time.Sleep(time.Millisecond)
		wantLive(0)
	})
}

func TestReservedConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{Concurrency: 10, Reserved: func(string) int { return 8 }})
		a, one := fakeVersion("a", 128), 1
		lease, err := s.Acquire(t.Context(), a, &one)
		if err != nil {
			t.Fatal(err)
		}
		published := a.Clone()
		published.Number = "1" // counts with the draft
		_, err = s.Acquire(t.Context(), published, &one)
		wantThrottle(t, err, millicent.ReasonReservedConcurrency)

		zero := 0
		_, err = s.Acquire(t.Context(), fakeVersion("off", 128), &zero)
		wantThrottle(t, err, millicent.ReasonReservedConcurrency)

		b1, b2 := acquire(t, s, fakeVersion("b", 128)), acquire(t, s, fakeVersion("c", 128))
		_, err = s.Acquire(t.Context(), fakeVersion("d", 128), nil)
		wantThrottle(t, err, millicent.ReasonConcurrency)

		lease.Release(false)
		b1.Release(true)
		b2.Release(false)
		acquire(t, s, fakeVersion("d", 128)).Release(false)
		lease, err = s.Acquire(t.Context(), a, &one)
		if err != nil {
			t.Fatal(err)
		}
		lease.Release(false)
	})
}

func TestEvictsLongestIdleOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{closeTime: 300 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 3, MaxMemoryMB: 1000})
		for _, name := range []string{"a", "b", "c"} {
			acquire(t, s, fakeVersion(name, 300)).Release(false)
			time.Sleep(time.Second)
		}
		begin := time.Now()
		lease := acquire(t, s, fakeVersion("d", 500)) // needs the room of two
		if took := time.Since(begin); took != 300*time.Millisecond {
			t.Errorf("took %v, want the time of the closing", took)
		}
		lease.Release(false)
		kept := acquire(t, s, fakeVersion("c", 300))
		if kept.Cold {
			t.Error("the most recently used environment was evicted")
		}
		kept.Release(false)
		if l.maxMemory > 1000 || l.maxLive > 3 {
			t.Errorf("reached %d environments with %d MB", l.maxLive, l.maxMemory)
		}
	})
}

func TestMoreMemoryThanTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxMemoryMB: 512})
		_, err := s.Acquire(t.Context(), fakeVersion("a", 513), nil)
		if millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("got %v, want %s", err, millicent.CodeInvalid)
		}
	})
}

func TestLaunchFailureFreesTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no such interpreter")
		l := &fakeLauncher{launchTime: time.Second, fail: func(v *millicent.Version) error {
			if v.Function == "bad" {
				return broken
			}
			return nil
		}}
		s := start(t, l, Config{MaxEnvironments: 1})
		bad := acquireLater(t.Context(), s, fakeVersion("bad", 128))
		synctest.Wait()
		good := acquireLater(t.Context(), s, fakeVersion("good", 128))
		<-bad.done
		if !errors.Is(bad.err, broken) {
			t.Errorf("got error %v, want that of the launcher", bad.err)
		}
		<-good.done
		if good.err != nil {
			t.Fatal(good.err)
		}
		good.lease.Release(false)
	})
}

func TestNoLauncher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Launcher: func(string) (millicent.Launcher, error) {
			return nil, millicent.Errorf(millicent.CodeInvalid, "no such runtime")
		}})
		_, err := s.Acquire(t.Context(), fakeVersion("a", 128), nil)
		if millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("got %v", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		checkEmpty(t, s, &fakeLauncher{})
	})
}

func TestLaunchOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		s := start(t, l, Config{Concurrency: 1})
		v := fakeVersion("a", 128)
		ctx, cancel := context.WithCancel(t.Context())
		gone := acquireLater(ctx, s, v)
		synctest.Wait()
		cancel()
		<-gone.done
		if !errors.Is(gone.err, context.Canceled) {
			t.Errorf("got %v, want that the context was canceled", gone.err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		lease := acquire(t, s, v) // has its slot back, and the environment
		if launches, _ := l.counts(); lease.Cold || launches != 1 {
			t.Errorf("cold %t after %d launches, want the one that was under way", lease.Cold, launches)
		}
		lease.Release(false)
	})
}

func TestRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		s := start(t, l, Config{})
		old, now := fakeVersion("a", 128), fakeVersion("a", 128)
		now.Revision = "r2"
		idleOld, busyOld := acquire(t, s, old), acquire(t, s, old)
		idleOld.Release(false)
		acquire(t, s, now).Release(false)
		acquire(t, s, fakeVersion("b", 128)).Release(false)
		starting := fakeVersion("a", 128)
		starting.Number = "7"
		launched := acquireLater(t.Context(), s, starting)
		synctest.Wait()

		s.Retire(old.Tenant, "a", func(v *millicent.Version) bool { return v.Revision == "r2" })
		synctest.Wait()
		if load := s.Snapshot(); load.Idle != 2 || load.Busy != 1 || load.Launching != 1 {
			t.Errorf("after Retire: %+v", load)
		}
		busyOld.Release(false)
		<-launched.done
		launched.lease.Release(false)
		synctest.Wait()
		if load := s.Snapshot(); load.Idle != 2 || load.MemoryMB != 256 {
			t.Errorf("after the releases: %+v", load)
		}
		s.Retire(old.Tenant, "a", nil)
		synctest.Wait()
		if load := s.Snapshot(); load.Idle != 1 {
			t.Errorf("after Retire of all: %+v", load)
		}
	})
}
