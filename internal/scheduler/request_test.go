package scheduler

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

func TestFullMachineThrottlesAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxEnvironments: 1, QueueWait: 3 * time.Second})
		lease := acquire(t, s, fakeVersion("a", 128))
		waiting := acquireLater(t.Context(), s, fakeVersion("b", 128))
		<-waiting.done
		wantThrottle(t, waiting.err, millicent.ReasonConcurrency)
		if waiting.took != 3*time.Second {
			t.Errorf("waited %v, want 3s", waiting.took)
		}
		lease.Release(false)
	})
}

func TestReleaseMakesRoomAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxEnvironments: 1})
		lease := acquire(t, s, fakeVersion("a", 128))
		waiting := acquireLater(t.Context(), s, fakeVersion("b", 128))
		time.Sleep(time.Millisecond)
		lease.Release(false)
		<-waiting.done
		if waiting.err != nil || waiting.took != time.Millisecond {
			t.Fatalf("%v after %v", waiting.err, waiting.took)
		}
		waiting.lease.Release(false)
	})
}

func TestNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxEnvironments: 1, QueueWait: -1})
		lease := acquire(t, s, fakeVersion("a", 128))
		_, err := s.Acquire(t.Context(), fakeVersion("b", 128), nil)
		wantThrottle(t, err, millicent.ReasonConcurrency)
		lease.Release(false)
	})
}

func TestSlowLaunchIsNotThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{launchTime: time.Minute}, Config{QueueWait: time.Second})
		acquire(t, s, fakeVersion("a", 128)).Release(false)
	})
}

func TestRoomGoesOutInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{closeTime: time.Millisecond}, Config{MaxEnvironments: 1, QueueWait: time.Hour})
		lease := acquire(t, s, fakeVersion("x", 128))
		order := make(chan int, 10)
		var wg sync.WaitGroup
		for i := range 10 {
			// Two functions by turns: reuse must not overtake.
			v := fakeVersion("f"+strconv.Itoa(i%2), 128)
			a := acquireLater(t.Context(), s, v)
			synctest.Wait()
			wg.Go(func() {
				<-a.done
				order <- i
				time.Sleep(time.Second)
				a.lease.Release(false)
			})
		}
		lease.Release(false)
		wg.Wait()
		var got []int
		for range 10 {
			got = append(got, <-order)
		}
		if !slices.IsSorted(got) {
			t.Errorf("served in the order %v", got)
		}
	})
}

func TestLineIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxEnvironments: 1})
		v := fakeVersion("a", 128)
		lease := acquire(t, s, v)
		var all []*later
		for range 5 {
			all = append(all, acquireLater(t.Context(), s, v))
			synctest.Wait()
		}
		for i, a := range all {
			lease.Release(false)
			<-a.done
			synctest.Wait()
			if i+1 < len(all) && all[i+1].isDone() {
				t.Fatalf("number %d overtook", i+1)
			}
			lease = a.lease
		}
		lease.Release(false)
	})
}

func TestReuseOvertakesWhoNeedsMoreThanThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxMemoryMB: 1000, QueueWait: 5 * time.Second})
		small := fakeVersion("small", 100)
		one, hog := acquire(t, s, small), acquire(t, s, fakeVersion("hog", 900))
		big := acquireLater(t.Context(), s, fakeVersion("big", 950))
		synctest.Wait()
		next := acquireLater(t.Context(), s, small)
		synctest.Wait()
		one.Release(false) // would not make room for big
		<-next.done
		if next.err != nil || next.lease.Cold {
			t.Fatalf("got %v, want the idle environment", next.err)
		}
		next.lease.Release(false)
		acquire(t, s, small).Release(false) // a newcomer does not wait either
		if big.isDone() {
			t.Fatal("served without room")
		}
		hog.Release(false)
		<-big.done
		if big.err != nil {
			t.Fatal(big.err)
		}
		if big.took >= 5*time.Second || l.maxMemory > 1000 {
			t.Errorf("took %v and %d MB", big.took, l.maxMemory)
		}
		big.lease.Release(false)
	})
}

func TestWhoLeavesTheQueueHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxMemoryMB: 1000})
		lease := acquire(t, s, fakeVersion("a", 500))
		ctx, cancel := context.WithCancelCause(t.Context())
		big := acquireLater(ctx, s, fakeVersion("big", 900))
		synctest.Wait()
		small := acquireLater(t.Context(), s, fakeVersion("small", 100))
		synctest.Wait()
		if small.isDone() {
			t.Fatal("overtook who was first")
		}
		why := errors.New("hung up")
		cancel(why)
		<-big.done
		<-small.done
		if !errors.Is(big.err, why) || small.err != nil {
			t.Errorf("got %v and %v", big.err, small.err)
		}
		small.lease.Release(false)
		lease.Release(false)
	})
}

func TestEvictionIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{closeTime: time.Second}
		s := start(t, l, Config{MaxEnvironments: 10})
		for i := range 10 {
			acquire(t, s, fakeVersion("old"+strconv.Itoa(i), 128)).Release(false)
		}
		var all []*later
		for i := range 3 {
			all = append(all, acquireLater(t.Context(), s, fakeVersion("new"+strconv.Itoa(i), 128)))
			synctest.Wait()
		}
		if load := s.Snapshot(); load.Closing != 3 || load.Idle != 7 || load.Waiting != 3 {
			t.Errorf("got %+v, want one eviction for each", load)
		}
		for _, a := range all {
			<-a.done
			if a.took != time.Second {
				t.Errorf("took %v, want the evictions side by side", a.took)
			}
			a.lease.Release(false)
		}
	})
}

func TestWhoGivesUpHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxMemoryMB: 1000, QueueWait: 3 * time.Second})
		lease := acquire(t, s, fakeVersion("a", 500))
		big := acquireLater(t.Context(), s, fakeVersion("big", 900))
		time.Sleep(time.Second)
		small := acquireLater(t.Context(), s, fakeVersion("small", 100))
		<-big.done
		<-small.done
		wantThrottle(t, big.err, millicent.ReasonConcurrency)
		if small.err != nil || small.took != 2*time.Second {
			t.Fatalf("got %v after %v, want room after 2s", small.err, small.took)
		}
		small.lease.Release(false)
		lease.Release(false)
	})
}

// TestLeavesAsItIsServed has the two events at once, which no schedule does
// reliably.
func TestLeavesAsItIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{MaxEnvironments: 1, Concurrency: 2})
		v := fakeVersion("a", 128)
		lease := acquire(t, s, v)
		_, q, err := s.admit(v, nil, 2)
		if err != nil {
			t.Fatal(err)
		}
		lease.Release(false) // serves q
		why := errors.New("hung up")
		if err := s.leave(q, why); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
		if load := s.Snapshot(); load.Idle != 1 || load.Busy != 0 {
			t.Errorf("the lease was not given back: %+v", load)
		}
	})
}

// TestLeasesTellOfTheWait has requests wait for each of the reasons.
func TestLeasesTellOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 2})
		v := fakeVersion("a", 128)
		want := func(l *Lease, want millicent.Wait) {
			t.Helper()
			if l.Wait != want {
				t.Errorf("got %+v, want %+v", l.Wait, want)
			}
		}
		ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }

		one := acquire(t, s, v)
		want(one, millicent.Wait{For: millicent.WaitStart, Time: ms(100)})
		time.Sleep(ms(10))
		one.Release(false)
		one = acquire(t, s, v)
		want(one, millicent.Wait{})

		// Leases take 10 ms: the busy one will do.
		busy := acquireLater(t.Context(), s, v)
		synctest.Wait()
		time.Sleep(ms(30))
		one.Release(false)
		<-busy.done
		want(busy.lease, millicent.Wait{For: millicent.WaitBusy, Time: ms(30)})

		// It does not: another is launched after the time of a start.
		late := acquireLater(t.Context(), s, v)
		<-late.done
		want(late.lease, millicent.Wait{For: millicent.WaitBusy, Time: ms(200), Before: ms(100)})

		// The machine is full.
		other := acquireLater(t.Context(), s, fakeVersion("b", 128))
		synctest.Wait()
		time.Sleep(ms(50))
		late.lease.Release(false)
		<-other.done
		want(other.lease, millicent.Wait{For: millicent.WaitRoom, Time: ms(150), Before: ms(50)})
		busy.lease.Release(false)
		other.lease.Release(false)
	})
}
