package scheduler

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// published returns a published version of a function.
func published(function, number string, memoryMB int) *millicent.Version {
	v := fakeVersion(function, memoryMB)
	v.Number = number
	return v
}

func provisionOf(v *millicent.Version, n int) Provision {
	return Provision{v, millicent.Provision{Environments: n}}
}

// provision sets what is wanted of the function of the given versions, and
// waits until all that can happen without time passing has happened.
func provision(s *Scheduler, all ...Provision) {
	s.Provision(all[0].Version.Tenant, all[0].Version.Function, all)
	synctest.Wait()
}

func isProvisioned(l *Lease) bool { return l.Environment.(*fakeEnv).provisioned }

func wantAllocation(t *testing.T, s *Scheduler, v *millicent.Version, want millicent.Allocation) {
	t.Helper()
	if diff := cmp.Diff(want, s.Allocation(v)); diff != "" {
		t.Errorf("version %s of %s (-want +got):\n%s", v.Number, v.Function, diff)
	}
}

func TestProvisionedEnvironmentsServeFirstAndStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: time.Second}
		var told []string
		s := start(t, l, Config{KeepAlive: time.Minute, Provisioned: func(_, function string) { told = append(told, function) }})
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 2))
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 2})
		time.Sleep(time.Second)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 2, Available: 2})
		if diff := cmp.Diff([]string{"a"}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		one, two := acquire(t, s, v), acquire(t, s, v)
		if !isProvisioned(one) || !isProvisioned(two) || one.Cold || two.Cold {
			t.Error("the first leases are not of provisioned environments")
		}
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 2, Available: 2})
		spilled := acquire(t, s, v) // it begins at once, nothing is known of leases
		if isProvisioned(spilled) || !spilled.Cold {
			t.Error("a third one there cannot be")
		}
		two.Release(false)
		one.Release(false)
		spilled.Release(false)
		if again := acquire(t, s, v); !isProvisioned(again) {
			t.Error("an environment that is not provisioned goes before one that is")
		} else {
			again.Release(false)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, live := l.counts(); live != 2 {
			t.Errorf("after an hour %d environments are there, want the provisioned ones", live)
		}
		want := Provisioned{Requested: 2, Allocated: 2, Available: 2, Invocations: 3, Spillovers: 1}
		if diff := cmp.Diff(want, s.Provisioned()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestProvisionedFollowsTheWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxLaunches: 8})
		v := published("a", "1", 128)
		for _, n := range []int{1, 5, 2} {
			provision(s, provisionOf(v, n))
			wantAllocation(t, s, v, millicent.Allocation{Allocated: n, Available: n})
		}
		one, two := acquire(t, s, v), acquire(t, s, v)
		provision(s, provisionOf(v, 1))
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 1, Available: 1})
		one.Release(false)
		two.Release(false)
		synctest.Wait()
		if _, live := l.counts(); live != 1 {
			t.Errorf("%d environments are left, want one", live)
		}
		lease := acquire(t, s, v)
		s.Provision(v.Tenant, v.Function, nil)
		wantAllocation(t, s, v, millicent.Allocation{})
		lease.Release(false)
		synctest.Wait()
		if _, live := l.counts(); live != 0 {
			t.Errorf("%d environments are left, want none", live)
		}
	})
}

func TestProvisionedIsReplacedWhenItBreaks(t *testing.T) {
	for name, breakIt := range map[string]func(*Lease){
		"the platform says so": func(l *Lease) { l.Release(true) },
		"its runtime ended":    func(l *Lease) { l.Environment.(*fakeEnv).ended.Store(true); l.Release(false) },
		"while it was idle":    func(l *Lease) { l.Release(false); l.Environment.(*fakeEnv).ended.Store(true); time.Sleep(inspectTime) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, &fakeLauncher{closeTime: time.Second}, Config{})
				v := published("a", "1", 128)
				provision(s, provisionOf(v, 1))
				lease := acquire(t, s, v)
				breakIt(lease)
				synctest.Wait()
				wantAllocation(t, s, v, millicent.Allocation{Allocated: 1, Available: 1})
				next := acquire(t, s, v)
				if next.Environment == lease.Environment || !isProvisioned(next) {
					t.Error("it was not replaced")
				}
				next.Release(false)
			})
		})
	}
}

func TestAllocationLooksAtWhatItTellsOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{launchTime: time.Second}, Config{})
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 1))
		time.Sleep(time.Second)
		synctest.Wait()
		lease := acquire(t, s, v)
		lease.Release(false)
		lease.Environment.(*fakeEnv).ended.Store(true)
		wantAllocation(t, s, v, millicent.Allocation{})
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 1})
	})
}

func TestFailingInitIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failing.Store(true)
		l := &fakeLauncher{failAhead: func(*millicent.Version) error {
			if failing.Load() {
				return &millicent.Error{Code: millicent.CodeInitFailed, Message: "It fails."}
			}
			return nil
		}}
		s := start(t, l, Config{MaxLaunches: 8})
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 3))
		wantAllocation(t, s, v, millicent.Allocation{Failure: "FUNCTION_ERROR_INIT_FAILURE"})
		time.Sleep(time.Hour)
		synctest.Wait()
		if launches, _ := l.counts(); launches < 3*9 || launches > 3*30 {
			t.Errorf("%d launches in an hour", launches)
		}
		// Who asks again is not made to wait.
		failing.Store(false)
		p := provisionOf(v, 3)
		p.Modified = time.Now()
		provision(s, p)
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 3, Available: 3})
	})
}

func TestPlatformFailureIsToldInItsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := make(chan error, 2)
		errs <- millicent.Errorf(millicent.CodeInvalid, "The runtime is not served.")
		errs <- errors.New("secret")
		s := start(t, &fakeLauncher{failAhead: func(*millicent.Version) error { return <-errs }}, Config{})
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 1))
		wantAllocation(t, s, v, millicent.Allocation{Failure: "The runtime is not served."})
		time.Sleep(firstRest)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Failure: "The platform could not start an execution environment."})
	})
}

func TestProvisionedLeavesRoomToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxEnvironments: 5, MaxMemoryMB: 5000, MaxLaunches: 20})
		v, other := published("a", "1", 1000), published("b", "1", 1000)
		provision(s, provisionOf(v, 9))
		const waiting = "This server has no room for more provisioned environments; they follow when it has."
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 4, Available: 4, Waiting: waiting})
		lease := acquire(t, s, other)
		late := acquireLater(t.Context(), s, other)
		synctest.Wait()
		if late.isDone() {
			t.Fatal("there is no room, and yet:", late.err)
		}
		lease.Release(false)
		<-late.done
		late.lease.Release(false)
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 4, Available: 4, Waiting: waiting})
		large := published("c", "1", 4500)
		provision(s, provisionOf(large, 1))
		if a := s.Allocation(large); a.Failure == "" {
			t.Errorf("got %+v of what cannot be", a)
		}
	})
}

func TestProvisionedEvictsIdleEnvironmentsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{closeTime: 10 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 5, MaxLaunches: 20})
		others := []*Lease{}
		for range 5 {
			others = append(others, acquire(t, s, fakeVersion("b", 128)))
		}
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 2))
		if a := s.Allocation(v); a.Allocated != 0 || a.Waiting == "" {
			t.Errorf("on a full machine: %+v", a)
		}
		for _, o := range others[:3] {
			o.Release(false)
		}
		time.Sleep(2*settleTime + 20*time.Millisecond)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 2, Available: 2})
		for _, o := range others[3:] {
			o.Release(false)
		}
	})
}

func TestRequestsGoBeforeProvisioned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: 100 * time.Millisecond}
		s := start(t, l, Config{MaxLaunches: 2})
		one, two := acquireLater(t.Context(), s, fakeVersion("b", 128)), acquireLater(t.Context(), s, fakeVersion("c", 128))
		synctest.Wait()
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 4))
		wantAllocation(t, s, v, millicent.Allocation{}) // both slots are taken
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 1})
		three := acquireLater(t.Context(), s, fakeVersion("d", 128))
		four := acquireLater(t.Context(), s, fakeVersion("e", 128))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		for _, a := range []*later{one, two, three, four} {
			if !a.isDone() || a.took != 100*time.Millisecond {
				t.Errorf("a call waited %v", a.took)
				continue
			}
			a.lease.Release(false)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 4, Available: 4})
	})
}

func TestMoveKeepsTheOldUntilItsRoomIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{closeTime: 10 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 8, MaxLaunches: 20}) // 6 of these for provisioned ones
		one, two := published("a", "1", 128), published("a", "2", 128)
		move := func(n int) {
			leaving := provisionOf(one, n)
			leaving.Leaving = true
			provision(s, leaving, provisionOf(two, n))
		}
		provision(s, provisionOf(one, 3))
		move(3)
		wantAllocation(t, s, one, millicent.Allocation{Allocated: 3, Available: 3})
		wantAllocation(t, s, two, millicent.Allocation{Allocated: 3, Available: 3})
		provision(s, provisionOf(one, 5))
		time.Sleep(time.Second)
		synctest.Wait()
		wantAllocation(t, s, two, millicent.Allocation{})
		move(5)
		time.Sleep(time.Second)
		synctest.Wait()
		wantAllocation(t, s, two, millicent.Allocation{Allocated: 5, Available: 5})
		if a := s.Allocation(one); a.Available != 1 {
			t.Errorf("%d old ones are left, there is room for one", a.Available)
		}
	})
}

func TestProvisionedConcurrencyIsGuaranteed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{}, Config{Concurrency: 10, Reserved: func(string) int { return 3 }, MaxLaunches: 20})
		v, other := published("a", "1", 128), fakeVersion("b", 128)
		provision(s, provisionOf(v, 3))
		var leases []*Lease
		for range 7 {
			leases = append(leases, acquire(t, s, other))
		}
		_, err := s.Acquire(t.Context(), other, nil)
		wantThrottle(t, err, millicent.ReasonConcurrency)
		for range 3 {
			leases = append(leases, acquire(t, s, v))
		}
		_, err = s.Acquire(t.Context(), v, nil)
		wantThrottle(t, err, millicent.ReasonConcurrency)
		for _, l := range leases {
			l.Release(false)
		}
	})
}

func TestRetiredProvisionedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		s := start(t, l, Config{MaxLaunches: 8})
		v := published("a", "1", 128)
		provision(s, provisionOf(v, 2))
		lease := acquire(t, s, v)
		s.Retire(v.Tenant, v.Function, nil)
		synctest.Wait()
		wantAllocation(t, s, v, millicent.Allocation{Allocated: 2, Available: 2})
		lease.Release(false)
		synctest.Wait()
		if _, live := l.counts(); live != 2 || l.ahead != 4 {
			t.Errorf("%d are there after %d launches", live, l.ahead)
		}
	})
}

func TestCloseDoesNotWaitForProvisionedInits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &fakeLauncher{launchTime: 10 * time.Minute}, Config{})
		provision(s, provisionOf(published("a", "1", 128), 2))
		begin := time.Now()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
