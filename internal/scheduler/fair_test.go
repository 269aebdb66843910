package scheduler

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// TestACrowdDoesNotHoldUpASingleCaller has 200 callers of one function wait
// for launches, and then one of another come.
func TestACrowdDoesNotHoldUpASingleCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{MaxLaunches: 2, MaxMemoryMB: 1 << 20})
		var crowd []*later
		for range 200 {
			crowd = append(crowd, acquireLater(t.Context(), s, fakeVersion("crowd", 128)))
		}
		time.Sleep(150 * time.Millisecond)
		single := acquireLater(t.Context(), s, fakeVersion("single", 128))
		<-single.done
		if single.took > 150*time.Millisecond {
			t.Errorf("waited %v, want the next launch that is begun", single.took)
		}
		single.lease.Release(false)
		for _, a := range crowd {
			<-a.done
			time.AfterFunc(time.Second, func() { a.lease.Release(false) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
	})
}

// TestScaleOutLeavesTheWarmAlone has a machine that is full of what was in use
// just now: a version that has environments takes none of their room.
func TestScaleOutLeavesTheWarmAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 2})
		a, b, c := fakeVersion("a", 128), fakeVersion("b", 128), fakeVersion("c", 128)
		known(t, s, b, time.Hour)
		known(t, s, a, time.Millisecond)
		busy := acquire(t, s, b)
		more := acquireLater(t.Context(), s, b)
		time.Sleep(settleTime - 2*time.Millisecond)
		if more.isDone() {
			t.Fatal("took the room of an environment in use")
		}
		if w := s.Waits(); w != (Waits{Room: 1}) {
			t.Errorf("got %+v, want one that waits for room", w)
		}
		<-more.done
		if more.err != nil || more.took > settleTime+2*time.Millisecond {
			t.Fatalf("%v after %v, want the room of what is idle by now", more.err, more.took)
		}
		more.lease.Release(false)
		first := acquireLater(t.Context(), s, c)
		<-first.done
		if first.took > 2*time.Millisecond {
			t.Errorf("took %v: a first environment gets any idle one's room", first.took)
		}
		first.lease.Release(false)
		busy.Release(false)
	})
}

// TestCrowdsYieldOnAFullMachine has the callers of one or two functions keep
// all environments busy: another function gets its share.
func TestCrowdsYieldOnAFullMachine(t *testing.T) {
	for _, crowds := range []int{1, 2} {
		t.Run(strconv.Itoa(crowds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLauncher{launchTime: 10 * time.Millisecond}
				s := start(t, l, Config{MaxEnvironments: 4})
				var wg sync.WaitGroup
				stop := time.Now().Add(10 * time.Second)
				for i := range 40 {
					wg.Go(func() { crowd(t, s, fakeVersion("crowd"+strconv.Itoa(i%crowds), 128), stop) })
				}
				time.Sleep(time.Second)
				other := fakeVersion("other", 128)
				one := acquireLater(t.Context(), s, other)
				synctest.Wait()
				two := acquireLater(t.Context(), s, other)
				for _, a := range []*later{one, two} {
					<-a.done
					if a.err != nil || a.took > 2*yieldTime {
						t.Errorf("%v after %v", a.err, a.took)
					} else {
						a.lease.Release(false)
					}
				}
				wg.Wait()
				if l.maxLive > 4 {
					t.Errorf("reached %d environments", l.maxLive)
				}
			})
		})
	}
}

// crowd calls v again and again.
func crowd(t *testing.T, s *Scheduler, v *millicent.Version, stop time.Time) {
	for time.Now().Before(stop) {
		lease, err := s.Acquire(t.Context(), v, nil)
		if err != nil {
			t.Errorf("the crowd: %v", err)
			return
		}
		time.Sleep(100 * time.Millisecond)
		lease.Release(false)
	}
}
