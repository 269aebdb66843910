package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// TestStress has 200 callers at 50 versions that do not all fit on the
// machine; launches fail, environments die, callers leave, versions are
// retired. Whatever happens: never above the caps, never two leases of one
// environment, and nothing is left.
func TestStress(t *testing.T) {
	const callers, versions, rounds = 200, 50, 60
	const maxEnvironments, maxMemoryMB = 40, 8000
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLauncher{launchTime: 20 * time.Millisecond, closeTime: 5 * time.Millisecond}
				l.fail = func(*millicent.Version) error {
					if rand.IntN(20) == 0 {
						return errLaunch
					}
					return nil
				}
				s := start(t, l, Config{
					MaxEnvironments: maxEnvironments, MaxMemoryMB: maxMemoryMB,
					KeepAlive: 200 * time.Millisecond, QueueWait: 300 * time.Millisecond,
					Concurrency: 150, Reserved: func(string) int { return 20 },
				})
				st := &stress{scheduler: s}
				for i := range versions {
					st.targets = append(st.targets, newTarget(i))
				}
				var wg sync.WaitGroup
				for c := range callers {
					wg.Go(func() {
						random := rand.New(rand.NewPCG(seed, uint64(c)))
						for range rounds {
							st.call(t, random)
						}
					})
				}
				wg.Wait()
				st.check(t, callers*rounds)
				if l.maxLive > maxEnvironments || l.maxMemory > maxMemoryMB {
					t.Errorf("reached %d environments with %d MB", l.maxLive, l.maxMemory)
				}
			})
		})
	}
}

var errLaunch = errors.New("no luck")

// A target is a version under stress.
type target struct {
	version  *millicent.Version
	reserved *int
	leases   atomic.Int32
}

func newTarget(i int) *target {
	v := fakeVersion("f"+strconv.Itoa(i), []int{128, 256, 512, 1024, 3000}[i%5])
	tg := &target{version: v}
	if i%10 == 0 { // five of them, four each
		n := 4
		tg.reserved = &n
	}
	return tg
}

type stress struct {
	scheduler *Scheduler
	targets   []*target
	used      sync.Map // *fakeEnv that are leased

	served, warm, throttled, failed, left atomic.Int32
}

// call is one invocation of a random version, with random fate.
func (st *stress) call(t *testing.T, random *rand.Rand) {
	tg := st.targets[min(random.IntN(len(st.targets)), random.IntN(len(st.targets)))] // some are hotter
	ctx := t.Context()
	if random.IntN(10) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(30))*time.Millisecond)
		defer cancel()
	}
	if random.IntN(100) == 0 {
		st.scheduler.Retire(tg.version.Tenant, tg.version.Function, nil)
	}
	lease, err := st.scheduler.Acquire(ctx, tg.version, tg.reserved)
	switch {
	case err == nil:
		st.use(t, tg, lease, random)
	case millicent.ErrorCode(err) == millicent.CodeThrottled:
		st.throttled.Add(1)
	case errors.Is(err, errLaunch):
		st.failed.Add(1)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		st.left.Add(1)
	default:
		t.Errorf("acquire: %v", err)
	}
	time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
}

func (st *stress) use(t *testing.T, tg *target, lease *Lease, random *rand.Rand) {
	env := lease.Environment.(*fakeEnv)
	if env.version != tg.version {
		t.Errorf("asked for %s, got %s", tg.version.Function, env.version.Function)
	}
	if _, twice := st.used.LoadOrStore(env, true); twice {
		t.Error("an environment is leased twice")
	}
	if n := tg.leases.Add(1); tg.reserved != nil && int(n) > *tg.reserved {
		t.Errorf("%d leases of a function that has %d reserved", n, *tg.reserved)
	}
	time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
	select {
	case <-env.closed:
		t.Error("an environment was closed while it was leased")
	default:
	}
	st.served.Add(1)
	if !lease.Cold {
		st.warm.Add(1)
	}
	tg.leases.Add(-1)
	st.used.Delete(env)
	lease.Release(random.IntN(20) == 0)
}

// check checks that all ended, each fate occurred, and the books balance.
func (st *stress) check(t *testing.T, calls int32) {
	t.Helper()
	counts := []int32{st.served.Load(), st.throttled.Load(), st.failed.Load(), st.left.Load()}
	var sum int32
	for _, n := range counts {
		sum += n
		if n == 0 {
			t.Error("one of the fates did not occur")
		}
	}
	if sum != calls || st.warm.Load() == 0 {
		t.Errorf("%d calls ended, of %d", sum, calls)
	}
	t.Logf("served, throttled, failed, left: %v; warm: %d", counts, st.warm.Load())
	if load := st.scheduler.Snapshot(); load.Busy != 0 || load.Waiting != 0 {
		t.Errorf("at the end: %+v", load)
	}
	s := st.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.functions {
		if f.active != 0 {
			t.Errorf("%d slots of %s are not free", f.active, f.key.name)
		}
	}
	for _, tn := range s.tenants {
		if tn.unreserved != 0 {
			t.Errorf("%d unreserved slots are not free", tn.unreserved)
		}
	}
}
