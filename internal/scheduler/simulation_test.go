package scheduler

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// A small machine: two launches at a time run at full speed, more share that.
const (
	simCores  = 2
	simLaunch = 100 * time.Millisecond
)

// A sample is one call of a simulation.
type sample struct {
	version int
	begun   time.Duration // after the start
	waited  time.Duration
	cold    bool
}

// A simulation has callers call random versions one call after the other,
// each of which runs for a random time up to handler.
type simulation struct {
	callers, versions int
	handler, lasts    time.Duration
}

func (sim simulation) run(t *testing.T, s *Scheduler) []sample {
	t.Helper()
	var versions []*millicent.Version
	for i := range sim.versions {
		versions = append(versions, fakeVersion("f"+strconv.Itoa(i), 256))
	}
	begin := time.Now()
	var mu sync.Mutex
	var all []sample
	var wg sync.WaitGroup
	for c := range sim.callers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(c)))
			var own []sample
			for time.Since(begin) < sim.lasts {
				i, asked := random.IntN(sim.versions), time.Now()
				lease, err := s.Acquire(t.Context(), versions[i], nil)
				if err != nil {
					t.Errorf("after %v: %v", time.Since(begin), err)
					return
				}
				own = append(own, sample{i, asked.Sub(begin), time.Since(asked), lease.Cold})
				time.Sleep(time.Duration(random.Int64N(int64(sim.handler))))
				lease.Release(false)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	wg.Wait()
	return all
}

// TestNoThrash has four callers for each version and room for two environments
// of each. Were each call without an idle environment to start its own, in
// another's place, the machine would serve simCores/simLaunch calls a second.
func TestNoThrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: simLaunch, cores: simCores, closeTime: 5 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 96, MaxMemoryMB: 1 << 20, MaxLaunches: 2 * simCores})
		sim := simulation{callers: 200, versions: 50, handler: 50 * time.Millisecond, lasts: 13 * time.Second}
		all := sim.run(t, s)

		const warmUp = 3 * time.Second // all first environments: 50 starts
		var waits []time.Duration
		served, cold := make([]int, sim.versions), 0
		for _, c := range all {
			if c.begun < warmUp {
				continue
			}
			waits = append(waits, c.waited)
			served[c.version]++
			if c.cold {
				cold++
			}
		}
		slices.Sort(waits)
		rate := float64(len(waits)) / (sim.lasts - warmUp).Seconds()
		thrash := simCores / simLaunch.Seconds()
		p50, p99, longest := waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1]
		t.Logf("%.0f calls/s, %.0f times thrash; %d cold starts; waits p50 %v, p99 %v, longest %v",
			rate, rate/thrash, cold, p50, p99, longest)
		if rate < 50*thrash {
			t.Errorf("%.0f calls/s, want 50 times the %.0f of a machine that only starts", rate, thrash)
		}
		if p99 > time.Second || longest > 3*time.Second {
			t.Errorf("waits: p99 %v, longest %v", p99, longest)
		}
		if least, mean := slices.Min(served), len(waits)/sim.versions; least < mean/2 {
			t.Errorf("one version was served %d times, %d is the mean", least, mean)
		}
	})
}

// TestMoreVersionsThanRoom has twice as many versions in use as fit: there is
// no way around evictions, but the cold starts stay few, and all get their
// turn.
func TestMoreVersionsThanRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: simLaunch, cores: simCores, closeTime: 5 * time.Millisecond}
		s := start(t, l, Config{MaxEnvironments: 20, MaxMemoryMB: 1 << 20, MaxLaunches: 2 * simCores})
		sim := simulation{callers: 100, versions: 40, handler: 50 * time.Millisecond, lasts: 20 * time.Second}
		served := make([]int, sim.versions)
		var longest time.Duration
		all := sim.run(t, s)
		for _, c := range all {
			served[c.version]++
			longest = max(longest, c.waited)
		}
		t.Logf("%d calls, of a version %d to %d; longest wait %v",
			len(all), slices.Min(served), slices.Max(served), longest)
		if slices.Min(served) < len(all)/sim.versions/2 || longest > 10*time.Second {
			t.Error("some are not served as the others are")
		}
	})
}

// TestScaleOut has 50 callers of a new function at once, whose handler takes a
// second: one after the other they would take 50.
func TestScaleOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{launchTime: simLaunch, cores: simCores}
		s := start(t, l, Config{MaxMemoryMB: 1 << 20, MaxLaunches: 2 * simCores})
		v := fakeVersion("a", 128)
		for round, within := range []time.Duration{3 * time.Second, 0} {
			begin := time.Now()
			var wg sync.WaitGroup
			var mu sync.Mutex
			var longest time.Duration
			for range 50 {
				wg.Go(func() {
					lease := acquire(t, s, v)
					mu.Lock()
					longest = max(longest, time.Since(begin))
					mu.Unlock()
					time.Sleep(time.Second)
					lease.Release(false)
				})
			}
			wg.Wait()
			launches, _ := l.counts()
			t.Logf("round %d: all begun within %v, %d environments so far", round, longest, launches)
			if longest > within+time.Second*time.Duration(round) {
				t.Errorf("the last began after %v", longest)
			}
		}
	})
}
