package scheduler

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// machineOf returns the memory of a machine of which available can be set, in
// thousandths.
func machineOf(available *atomic.Int64) func() Memory {
	return func() Memory { return Memory{1000, available.Load()} }
}

func TestIdleEnvironmentsAreFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{freezeTime: time.Millisecond}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		wantFrozen := func(want, freezes int) {
			t.Helper()
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if got := s.Snapshot().Frozen; got != want || l.freezes != freezes {
				t.Errorf("%d frozen after %d freezes, want %d after %d", got, l.freezes, want, freezes)
			}
		}
		for range 50 { // in use all the time but for moments
			lease := acquire(t, s, v)
			time.Sleep(7 * time.Millisecond)
			lease.Release(false)
			time.Sleep(freezeAfter - time.Millisecond)
		}
		wantFrozen(0, 0)
		time.Sleep(3 * time.Millisecond)
		wantFrozen(1, 1)
		time.Sleep(time.Minute) // it stays so
		wantFrozen(1, 1)
		lease := acquire(t, s, v)
		wantFrozen(0, 1)
		lease.Release(false)
		time.Sleep(freezeAfter + 2*time.Millisecond)
		wantFrozen(1, 2)
		if got := s.Snapshot(); got.Idle != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// TestFreezingTakesTurns has many become idle at once: a tenth of the time is
// for freezing them.
func TestFreezingTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{freezeTime: 10 * time.Millisecond}
		s := start(t, l, Config{MaxMemoryMB: 1 << 20})
		var leases []*Lease
		for i := range 100 {
			leases = append(leases, acquire(t, s, fakeVersion("f"+strconv.Itoa(i), 128)))
		}
		for _, lease := range leases {
			lease.Release(false)
		}
		time.Sleep(freezeAfter + 5*time.Second)
		synctest.Wait()
		if got := s.Snapshot().Frozen; got < 45 || got > 51 {
			t.Errorf("%d frozen after 5 s at a tenth of the time, want 50", got)
		}
		// One that becomes idle now waits for its turn, the longest idle first.
		time.Sleep(6 * time.Second)
		if got := s.Snapshot().Frozen; got != 100 {
			t.Errorf("%d frozen in the end", got)
		}
	})
}

// TestAtWorkIsFrozenLater has an environment that is not at rest, one that
// fails, and one that cannot be frozen.
func TestAtWorkIsFrozenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := map[string]int{}
		l := &fakeLauncher{}
		l.freeze = func(e *fakeEnv) (bool, error) {
			name := e.version.Function
			l.mu.Lock()
			defer l.mu.Unlock()
			tries[name]++
			switch name {
			case "at work":
				return tries[name] > 3, nil
			case "failing":
				return false, errors.New("no")
			case "unable":
				return false, errors.ErrUnsupported
			}
			return true, nil
		}
		s := start(t, l, Config{})
		for _, name := range []string{"at work", "failing", "unable", "usual"} {
			acquire(t, s, fakeVersion(name, 128)).Release(false)
		}
		time.Sleep(freezeAfter + time.Millisecond)
		synctest.Wait()
		if got := s.Snapshot().Frozen; got != 1 {
			t.Errorf("%d frozen at first", got)
		}
		time.Sleep(10*freezeAgain + time.Millisecond)
		synctest.Wait()
		if got := s.Snapshot().Frozen; got != 2 {
			t.Errorf("%d frozen in the end", got)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if tries["at work"] != 4 || tries["unable"] != 1 || tries["usual"] != 1 || tries["failing"] < 9 || tries["failing"] > 11 {
			t.Errorf("tries: %v", tries)
		}
	})
}

// TestFreezeComesTooLate has an environment taken and released again while it
// is being frozen: what came of that says nothing about it.
func TestFreezeComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{freezeTime: 20 * time.Millisecond}
		s := start(t, l, Config{})
		v := fakeVersion("a", 128)
		acquire(t, s, v).Release(false)
		time.Sleep(freezeAfter + 10*time.Millisecond)
		lease := acquire(t, s, v)
		time.Sleep(time.Millisecond)
		lease.Release(false)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if got := s.Snapshot().Frozen; got != 0 {
			t.Errorf("%d frozen", got)
		}
		time.Sleep(time.Second)
		if got := s.Snapshot().Frozen; got != 1 {
			t.Errorf("%d frozen in the end", got)
		}
	})
}

func TestShortMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var available atomic.Int64
		available.Store(500)
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxMemoryMB: 1 << 20, Memory: machineOf(&available)})
		var leases []*Lease
		for i := range 50 {
			leases = append(leases, acquire(t, s, fakeVersion("f"+strconv.Itoa(i), 128)))
		}
		for _, lease := range leases {
			lease.Release(false)
		}
		inUse := acquire(t, s, fakeVersion("in use", 128))
		check := func(when string, idle, givenBack, evicted int) {
			t.Helper()
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			got, want := s.Reclaims(), Reclaims{Memory: evicted, Bytes: int64(1000 * givenBack)}
			if n := s.Snapshot().Idle; n != idle || len(l.givenBack) != givenBack || got != want {
				t.Errorf("%s: %d idle, %d gave back, %+v", when, n, len(l.givenBack), got)
			}
		}
		time.Sleep(10*time.Second + lookInterval/2)
		check("enough memory", 50, 0, 0)

		available.Store(80)
		time.Sleep(lookInterval)
		check("less than a tenth", 50, giveBacks, 0)
		time.Sleep(9 * lookInterval)
		check("still", 50, 50, 0) // each of them once
		if all := slices.Compact(slices.Sorted(slices.Values(l.givenBack))); len(all) != 50 {
			t.Errorf("%d different ones gave back", len(all))
		}

		available.Store(30)
		time.Sleep(lookInterval)
		check("less than a twentieth", 45, 50, 5)
		time.Sleep(lookInterval)
		check("still", 41, 50, 9)
		available.Store(500)
		time.Sleep(5 * lookInterval)
		check("enough again", 41, 50, 9)

		// One that is frozen anew may give back again.
		available.Store(80)
		acquire(t, s, fakeVersion("f49", 128)).Release(false)
		time.Sleep(2 * lookInterval)
		if got := s.Reclaims().Bytes; got != 51_000 {
			t.Errorf("%d bytes given back", got)
		}
		inUse.Release(false)
	})
}

// TestFreezePause bounds what freezing takes.
func TestFreezePause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: 1, time.Millisecond: 9 * time.Millisecond, time.Minute: time.Second,
	} {
		if got := freezePause(took); got != want {
			t.Errorf("%v: got %v, want %v", took, got, want)
		}
	}
}
