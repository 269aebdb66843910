package scheduler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// TestProvisionedUnderStress has callers of versions some of which have
// provisioned environments, of ever changing numbers; launches fail,
// environments break, versions are retired. Never is a cap exceeded, and once
// the wishes and the callers rest, everything is as it is wished.
func TestProvisionedUnderStress(t *testing.T) {
	const functions, maxEnvironments, maxMemoryMB = 12, 40, 8000
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calm atomic.Bool
				l := &fakeLauncher{launchTime: 20 * time.Millisecond, closeTime: 5 * time.Millisecond}
				fail := func(*millicent.Version) error {
					if !calm.Load() && rand.IntN(10) == 0 {
						return errLaunch
					}
					return nil
				}
				l.fail, l.failAhead = fail, fail
				s := start(t, l, Config{
					MaxEnvironments: maxEnvironments, MaxMemoryMB: maxMemoryMB, MaxLaunches: 4,
					KeepAlive: 200 * time.Millisecond, QueueWait: 300 * time.Millisecond,
				})
				begin := time.Now()
				var wg sync.WaitGroup
				for c := range 40 {
					wg.Go(func() { callAtRandom(t, s, rand.New(rand.NewPCG(seed, uint64(c))), functions, begin) })
				}
				wishes := wishAtRandom(s, rand.New(rand.NewPCG(seed, 1000)), functions, begin)
				wg.Wait()
				calm.Store(true)
				time.Sleep(2 * longestRest)
				synctest.Wait()
				wanted := 0
				for v, n := range wishes {
					wanted += n
					wantAllocation(t, s, v, millicent.Allocation{Allocated: n, Available: n})
				}
				if _, live := l.counts(); live != wanted {
					t.Errorf("%d environments are left, want the %d provisioned", live, wanted)
				}
				if l.maxLive > maxEnvironments || l.maxMemory > maxMemoryMB {
					t.Errorf("reached %d environments with %d MB", l.maxLive, l.maxMemory)
				}
				p := s.Provisioned()
				t.Logf("%d invocations of provisioned environments, %d spillovers, %d launches, %d of them ahead", p.Invocations, p.Spillovers, l.launches, l.ahead)
				if p.Invocations == 0 || p.Spillovers == 0 {
					t.Error("these are none")
				}
			})
		})
	}
}

// stressVersion is one of two published versions of a function.
func stressVersion(i, number int) *millicent.Version {
	return published(fmt.Sprintf("f%d", i), fmt.Sprint(number), 64<<(i%3))
}

const stressTime = 20 * time.Second

func callAtRandom(t *testing.T, s *Scheduler, random *rand.Rand, functions int, begin time.Time) {
	for time.Since(begin) < stressTime {
		lease, err := s.Acquire(t.Context(), stressVersion(random.IntN(functions), 1+random.IntN(2)), nil)
		if err != nil {
			if millicent.ErrorCode(err) != millicent.CodeThrottled && !errors.Is(err, errLaunch) {
				t.Errorf("acquire: %v", err)
			}
			continue
		}
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		if random.IntN(20) == 0 {
			lease.Environment.(*fakeEnv).ended.Store(true)
		}
		lease.Release(random.IntN(20) == 0)
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
	}
}

// wishAtRandom changes what is wanted of half of the functions, and returns
// what is in the end.
func wishAtRandom(s *Scheduler, random *rand.Rand, functions int, begin time.Time) map[*millicent.Version]int {
	wishes := map[int]map[*millicent.Version]int{}
	for time.Since(begin) < stressTime {
		i := random.IntN(functions / 2)
		wish := map[*millicent.Version]int{}
		var all []Provision
		for number := range random.IntN(3) {
			v, n := stressVersion(i, 1+number), 1+random.IntN(2)
			wish[v] = n
			all = append(all, Provision{v, millicent.Provision{Environments: n, Modified: time.Now()}})
		}
		wishes[i] = wish
		v := stressVersion(i, 1)
		s.Provision(v.Tenant, v.Function, all)
		if random.IntN(5) == 0 {
			s.Retire(v.Tenant, v.Function, func(v *millicent.Version) bool { return v.Number != "1" })
		}
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
	}
	all := map[*millicent.Version]int{}
	for _, wish := range wishes {
		for v, n := range wish {
			all[v] = n
		}
	}
	return all
}
