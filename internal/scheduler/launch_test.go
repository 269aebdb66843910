package scheduler

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// known makes a version's leases known to take d, with one idle environment
// in the end.
func known(t *testing.T, s *Scheduler, v *millicent.Version, d time.Duration) {
	t.Helper()
	lease := acquire(t, s, v)
	time.Sleep(d)
	lease.Release(false)
}

func TestShortLeaseIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		known(t, s, v, 10*time.Millisecond)
		lease := acquire(t, s, v)
		waiting := acquireLater(t.Context(), s, v)
		synctest.Wait()
		if w := s.Waits(); w != (Waits{Lease: 1}) {
			t.Errorf("got %+v, want one that waits for a lease", w)
		}
		time.Sleep(10 * time.Millisecond)
		lease.Release(false)
		<-waiting.done
		waiting.lease.Release(false)
		if launches, _ := l.counts(); launches != 1 || waiting.lease.Cold {
			t.Errorf("%d launches", launches)
		}
	})
}

func TestLongLeaseIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		known(t, s, v, time.Second)
		lease := acquire(t, s, v)
		next := acquireLater(t.Context(), s, v)
		<-next.done
		if next.took != 100*time.Millisecond || next.lease.Cause != millicent.StartScaleOut {
			t.Errorf("took %v, cause %q, want a launch at once", next.took, next.lease.Cause)
		}
		next.lease.Release(false)
		lease.Release(false)
	})
}

// TestLightOnesAreNotWaitedFor has callers of a version whose first start took
// long and whose leases are brief: where others start in next to no time each
// caller gets one, up to a bound.
func TestLightOnesAreNotWaitedFor(t *testing.T) {
	for _, light := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := &fakeLauncher{launchTime: 100 * time.Millisecond, light: light}
			s := start(t, l, Config{})
			s.cores = 1
			v := fakeVersion("a", 128)
			for range 100 {
				known(t, s, v, 100*time.Microsecond)
			}
			leases := []*Lease{acquire(t, s, v)}
			var waiting []*later
			for range 2 * lightest {
				waiting = append(waiting, acquireLater(t.Context(), s, v))
			}
			time.Sleep(10 * time.Millisecond) // less than anybody waits for what is busy
			want := 1
			if light {
				want = lightest
			}
			if launches, _ := l.counts(); launches != want {
				t.Errorf("light: %t: %d launches, want %d", light, launches, want)
			}
			time.Sleep(lightWait)
			if launches, _ := l.counts(); light && launches <= want {
				t.Errorf("no launch more after a long wait")
			}
			for _, w := range waiting {
				select {
				case <-w.done:
					leases = append(leases, w.lease)
				default:
				}
			}
			for _, lease := range leases {
				lease.Release(false)
			}
			for _, w := range waiting {
				<-w.done
				w.lease.Release(false)
			}
		})
	}
}

// TestEstimateThatTurnsOutWrong has a lease that takes long where they used to
// be short: the wait for it is bounded by the time of a start.
func TestEstimateThatTurnsOutWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		known(t, s, v, 10*time.Millisecond)
		lease := acquire(t, s, v)
		var all []*later
		for range 3 {
			all = append(all, acquireLater(t.Context(), s, v))
			synctest.Wait() // they are in line in this order
		}
		for _, a := range all {
			<-a.done
			if a.took != 200*time.Millisecond {
				t.Errorf("took %v, want as long as two starts", a.took)
			}
			a.lease.Release(false)
		}
		lease.Release(false)
	})
}

// TestWhoeverIsFirst has a launch that one request caused serve another, and a
// released environment serve the request that caused the launch.
func TestWhoeverIsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		known(t, s, v, time.Hour)
		l.launchTime = time.Second
		busy := acquire(t, s, v)
		first := acquireLater(t.Context(), s, v)
		synctest.Wait()
		time.Sleep(time.Second / 2)
		busy.Release(false)
		<-first.done
		if first.lease.Cold || first.lease.Cause != "" || first.took != time.Second/2 {
			t.Errorf("cold %t after %v, want the released environment", first.lease.Cold, first.took)
		}
		second := acquireLater(t.Context(), s, v)
		<-second.done
		if !second.lease.Cold || second.took != time.Second/2 {
			t.Errorf("cold %t after %v, want the launch that was under way", second.lease.Cold, second.took)
		}
		if launches, _ := l.counts(); launches != 2 {
			t.Errorf("%d launches, want 2", launches)
		}
		first.lease.Release(false)
		second.lease.Release(false)
	})
}

func TestLaunchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		s := start(t, l, Config{MaxLaunches: 3, QueueWait: -1})
		var all []*later
		for i := range 10 {
			all = append(all, acquireLater(t.Context(), s, fakeVersion("f"+strconv.Itoa(i), 128)))
			synctest.Wait()
		}
		if w := s.Waits(); w != (Waits{Launch: 3, Slot: 7}) {
			t.Errorf("got %+v", w)
		}
		for i, a := range all {
			<-a.done
			if want := time.Duration(i/3+1) * time.Second; a.err != nil || a.took != want {
				t.Fatalf("number %d: %v after %v, want %v", i, a.err, a.took, want)
			}
			a.lease.Release(false)
		}
		if l.maxAtOnce != 3 {
			t.Errorf("%d launches at a time", l.maxAtOnce)
		}
	})
}

// TestSlowLaunchesHoldUpNobody has functions whose Init takes long; others
// start meanwhile.
func TestSlowLaunchesHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Minute}
		s := start(t, l, Config{MaxLaunches: 2})
		slow := []*later{
			acquireLater(t.Context(), s, fakeVersion("slow1", 128)),
			acquireLater(t.Context(), s, fakeVersion("slow2", 128)),
		}
		synctest.Wait()
		l.launchTime = time.Second
		quick := acquireLater(t.Context(), s, fakeVersion("quick", 128))
		<-quick.done
		if quick.err != nil || quick.took != slotTime+time.Second {
			t.Fatalf("%v after %v", quick.err, quick.took)
		}
		quick.lease.Release(false)
		for _, a := range slow {
			<-a.done
			a.lease.Release(false)
		}
	})
}

func TestEveryoneLearnsOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no such interpreter")
		l := &fakeLauncher{launchTime: time.Second, fail: func(*millicent.Version) error { return broken }}
		s := start(t, l, Config{MaxLaunches: 4, QueueWait: time.Minute})
		v := fakeVersion("a", 128)
		var all []*later
		for range 12 {
			all = append(all, acquireLater(t.Context(), s, v))
		}
		for _, a := range all {
			<-a.done
			if !errors.Is(a.err, broken) || a.took > 6*time.Second {
				t.Errorf("got %v after %v", a.err, a.took)
			}
		}
		if launches, _ := l.counts(); launches > len(all) {
			t.Errorf("%d launches for %d callers", launches, len(all))
		}
	})
}

// TestFailureWithHope has a launch fail while another environment is in use:
// the request that waits is served by that one, or else learns of the failure.
func TestFailureWithHope(t *testing.T) {
	for name, breaks := range map[string]bool{"released": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failure := errors.New("no memory")
				l := &fakeLauncher{}
				s := start(t, l, Config{})
				v := fakeVersion("a", 128)
				known(t, s, v, time.Hour)
				busy := acquire(t, s, v)
				l.fail = func(*millicent.Version) error { return failure }
				waiting := acquireLater(t.Context(), s, v)
				time.Sleep(time.Second)
				if waiting.isDone() {
					t.Fatalf("got %v while there is hope", waiting.err)
				}
				busy.Release(breaks)
				<-waiting.done
				if breaks {
					if !errors.Is(waiting.err, failure) || waiting.took != time.Second {
						t.Errorf("got %v after %v, want the failure as soon as hope has gone", waiting.err, waiting.took)
					}
				} else if waiting.err != nil {
					t.Errorf("got %v, want the environment", waiting.err)
				} else {
					waiting.lease.Release(false)
				}
				if launches, _ := l.counts(); launches != 2 {
					t.Errorf("%d launches, want no second attempt", launches)
				}
			})
		})
	}
}

func TestFailureInsteadOfThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("no memory")
		l := &fakeLauncher{}
		s := start(t, l, Config{QueueWait: 5 * time.Second})
		v := fakeVersion("a", 128)
		known(t, s, v, time.Hour)
		busy := acquire(t, s, v)
		l.fail = func(*millicent.Version) error { return failure }
		waiting := acquireLater(t.Context(), s, v)
		<-waiting.done
		if !errors.Is(waiting.err, failure) || waiting.took != 5*time.Second {
			t.Errorf("got %v after %v", waiting.err, waiting.took)
		}
		busy.Release(false)
	})
}

func TestCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxEnvironments: 2, KeepAlive: time.Minute})
		v := fakeVersion("a", 128)
		call := func(v *millicent.Version, want millicent.StartCause, broken bool) {
			t.Helper()
			lease := acquire(t, s, v)
			if lease.Cause != want || lease.Cold != (want != "") {
				t.Errorf("%s: cause %q, cold %t, want %q", v.Revision, lease.Cause, lease.Cold, want)
			}
			lease.Release(broken)
			synctest.Wait()
		}
		call(v, millicent.StartFirst, false)
		call(v, "", true)
		call(v, millicent.StartAfterFailure, false)
		time.Sleep(time.Hour)
		call(v, millicent.StartAfterExpiry, false)
		call(fakeVersion("b", 128), millicent.StartFirst, false)
		call(fakeVersion("c", 128), millicent.StartFirst, false)
		call(v, millicent.StartAfterEviction, false)
		next := v.Clone()
		next.Revision = "r2"
		call(next, millicent.StartUpdated, false)
		s.Retire(v.Tenant, v.Function, nil)
		synctest.Wait()
		third := v.Clone()
		third.Revision = "r3"
		call(third, millicent.StartUpdated, false)

		one := acquire(t, s, third)
		two := acquire(t, s, third)
		if two.Cause != millicent.StartScaleOut {
			t.Errorf("got %q for the second of two", two.Cause)
		}
		one.Release(false)
		two.Release(false)
	})
}

// TestStartsCarryTheirReasons reads what a launcher is told.
func TestStartsCarryTheirReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxEnvironments: 2})
		call := func(v *millicent.Version, want millicent.StartRecord) {
			t.Helper()
			lease := acquire(t, s, v)
			if got := lease.Environment.(*fakeEnv).start; got != want {
				t.Errorf("%s of %s: got %+v, want %+v", v.Function, v.Tenant, got, want)
			}
			lease.Release(false)
			synctest.Wait()
			time.Sleep(2 * time.Second)
		}
		first := millicent.StartRecord{Cause: millicent.StartFirst}
		evicted := millicent.StartRecord{Cause: millicent.StartAfterEviction, Gone: 2 * time.Second, For: "c"}
		stranger := fakeVersion("d", 128)
		stranger.Tenant = "999999999999"

		call(fakeVersion("a", 128), first)
		call(fakeVersion("b", 128), first)
		call(fakeVersion("c", 128), first) // in the place of a
		call(fakeVersion("a", 128), evicted)
		call(stranger, first) // in the place of c
		call(fakeVersion("c", 128), millicent.StartRecord{Cause: millicent.StartAfterEviction, Gone: 2 * time.Second})

		one := acquire(t, s, fakeVersion("c", 128))
		two := acquire(t, s, fakeVersion("c", 128))
		if got, want := two.Environment.(*fakeEnv).start, (millicent.StartRecord{Cause: millicent.StartScaleOut, Others: 1}); got != want {
			t.Errorf("beside another: got %+v, want %+v", got, want)
		}
		one.Release(false)
		two.Release(false)
	})
}
