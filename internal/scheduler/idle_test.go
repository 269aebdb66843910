package scheduler

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// A shelf has idle environments without launches, in a time of its own.
type shelf struct {
	s   *Scheduler
	now time.Time
	all []*environment // idle
}

func newShelf() *shelf {
	return &shelf{s: &Scheduler{starts: starts{runtimes: map[string]*average{}}}, now: time.Unix(1e9, 0)}
}

// add has an environment of ver become idle.
func (h *shelf) add(ver *version, memoryMB int) *environment {
	e := &environment{of: ver, spec: &millicent.Version{MemoryMB: memoryMB}, takes: room{1, memoryMB}, state: idle, idleSince: h.now}
	ver.count[idle]++
	h.s.idle.push(e)
	h.all = append(h.all, e)
	return e
}

// take has one leave.
func (h *shelf) take(e *environment) {
	e.of.count[idle]--
	h.s.idle.remove(e)
	h.all = slices.DeleteFunc(h.all, func(o *environment) bool { return o == e })
}

func shelfVersion(start time.Duration, uses int) *version {
	return &version{record: &record{start: average(start), uses: frequency{recent: uses}}}
}

func TestEvictionOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b func(h *shelf) *environment // a goes first, though b was idle before
	}{
		{"the cheaper start",
			func(h *shelf) *environment { return h.add(shelfVersion(50*time.Millisecond, 5), 128) },
			func(h *shelf) *environment { return h.add(shelfVersion(time.Second, 5), 128) }},
		{"the less used",
			func(h *shelf) *environment { return h.add(shelfVersion(time.Second, 2), 128) },
			func(h *shelf) *environment { return h.add(shelfVersion(time.Second, 20), 128) }},
		{"the larger",
			func(h *shelf) *environment { return h.add(shelfVersion(time.Second, 5), 1024) },
			func(h *shelf) *environment { return h.add(shelfVersion(time.Second, 5), 128) }},
	} {
		h := newShelf()
		b := tt.b(h)
		h.now = h.now.Add(time.Millisecond)
		a := tt.a(h)
		h.now = h.now.Add(settleTime)
		if got := first(h.s.evictionOrder(h.now, 0), 3); !slices.Equal(got, []*environment{a, b}) {
			t.Errorf("%s does not go first", tt.name)
		}
	}

	// What has not settled goes last, and to scale out not at all.
	h := newShelf()
	dear := h.add(shelfVersion(time.Minute, 1000), 128)
	h.now = h.now.Add(settleTime)
	cheap := h.add(shelfVersion(time.Millisecond, 1), 4096)
	if got := first(h.s.evictionOrder(h.now, 0), 3); !slices.Equal(got, []*environment{dear, cheap}) {
		t.Error("one that was just in use goes first")
	}
	if got := first(h.s.evictionOrder(h.now, settleTime), 3); !slices.Equal(got, []*environment{dear}) {
		t.Error("one that was just in use goes to scale out")
	}
}

// TestRank has a version with many idle environments, as after a crowd, and
// one that is used half as often and has one.
func TestRank(t *testing.T) {
	h := newShelf()
	crowd, single := shelfVersion(time.Second, 20), shelfVersion(time.Second, 10)
	var late []*environment
	for range 5 {
		late = append(late, h.add(crowd, 128))
	}
	one := h.add(single, 128)
	h.now = h.now.Add(settleTime)
	// Of the crowd's five the last two were used most.
	want := []*environment{late[0], late[1], late[2], late[3], one, late[4]}
	if got := first(h.s.evictionOrder(h.now, 0), 10); !slices.Equal(got, want) {
		t.Errorf("got another order: %d", slices.Index(got, one))
	}
}

// TestClock has environments that were worth a lot and are used no more go
// before those that are worth little and in use.
func TestClock(t *testing.T) {
	h := newShelf()
	old := h.add(shelfVersion(time.Second, 100), 128)
	for n := 0; ; n++ {
		h.now = h.now.Add(settleTime)
		h.add(shelfVersion(time.Second, 10), 128)
		h.now = h.now.Add(settleTime)
		e := first(h.s.evictionOrder(h.now, 0), 1)[0]
		if e == old {
			if n < 5 || n > 12 {
				t.Errorf("it went after %d others, want its worth in theirs", n)
			}
			return
		}
		if n > 100 {
			t.Fatal("it never goes")
		}
		h.s.idle.evicted(e)
		h.take(e)
	}
}

// TestIdleListIsOrdered compares an idleList with one that sorts all at every
// question, over random histories.
func TestIdleListIsOrdered(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newShelf()
		var versions []*version
		for range 20 {
			versions = append(versions, shelfVersion(time.Duration(1+random.IntN(1000))*time.Millisecond, random.IntN(20)))
		}
		clock := h.s.idle.clock
		for range 400 {
			switch random.IntN(4) {
			case 0, 1:
				h.add(versions[random.IntN(len(versions))], 128<<random.IntN(4))
			case 2:
				h.now = h.now.Add(time.Duration(random.IntN(700)) * time.Millisecond)
			case 3:
				if len(h.all) > 0 {
					h.take(h.all[random.IntN(len(h.all))])
				}
			}
			if random.IntN(4) == 0 {
				h.check(t, random)
			}
			if h.s.idle.clock < clock {
				t.Fatal("the clock ran backwards")
			}
			clock = h.s.idle.clock
		}
		for len(h.all) > 0 {
			h.take(h.all[0])
		}
		if l := &h.s.idle; l.oldest != nil || l.newest != nil || l.fresh != nil || len(l.settled) > 0 || l.total != (room{}) {
			t.Fatalf("left of an empty list: %+v", l)
		}
		for _, ver := range versions {
			if ver.settled != 0 {
				t.Fatalf("%d settled environments are left", ver.settled)
			}
		}
	}
}

// check compares the order with the naive one, and evicts a few sometimes.
func (h *shelf) check(t *testing.T, random *rand.Rand) {
	t.Helper()
	got := slices.Collect(h.s.evictionOrder(h.now, 0))
	var settled, fresh []*environment
	var total room
	for _, e := range h.all {
		if old := h.now.Sub(e.idleSince) >= settleTime; old != (e.place.at > 0) {
			t.Fatalf("idle for %v, and settled: %t", h.now.Sub(e.idleSince), e.place.at > 0)
		} else if old {
			settled = append(settled, e)
		} else {
			fresh = append(fresh, e)
		}
		total = total.plus(e.room())
	}
	slices.SortFunc(settled, func(a, b *environment) int {
		return cmp.Or(cmp.Compare(a.place.priority, b.place.priority), cmp.Compare(a.place.serial, b.place.serial))
	})
	slices.SortStableFunc(fresh, func(a, b *environment) int { return a.idleSince.Compare(b.idleSince) })
	if want := append(settled, fresh...); !slices.Equal(got, want) {
		t.Fatalf("another order than that of all sorted, of %d settled and %d fresh", len(settled), len(fresh))
	}
	if h.s.idle.total != total {
		t.Fatalf("total %+v, want %+v", h.s.idle.total, total)
	}
	for _, e := range got[:min(len(got), random.IntN(3))] {
		h.s.idle.evicted(e)
		h.take(e)
	}
}

func TestFrequency(t *testing.T) {
	var f frequency
	now := time.Unix(1e9, 0)
	for range 8 {
		f.add()
	}
	for i, want := range []float64{8, 4, 2} {
		if got := f.until(now.Add(time.Duration(i) * usesHalfLife)); math.Abs(got-want) > 1e-9 {
			t.Errorf("after %d half-lives: got %g, want %g", i, got, want)
		}
	}
}

// A call is one of a trace: of function at, after a while.
type call struct {
	at    int
	after time.Duration
}

// traceOf has calls of functions of which the first is called twice as often
// as the second, three times as often as the third, and so on.
func traceOf(random *rand.Rand, functions, calls int) (all []call) {
	var sum []float64
	total := 0.0
	for i := range functions {
		total += 1 / float64(i+1)
		sum = append(sum, total)
	}
	for range calls {
		at, _ := slices.BinarySearch(sum, random.Float64()*total)
		all = append(all, call{min(at, functions-1), time.Duration(500+random.IntN(2000)) * time.Millisecond})
	}
	return all
}

// An lru is what the scheduler did before: the longest idle goes first.
type lru struct {
	room int   // MB
	kept []int // functions, the longest unused first
}

// use reports whether a function has to start.
func (l *lru) use(at int, memory []int) (cold bool) {
	i := slices.Index(l.kept, at)
	if i >= 0 {
		l.kept = append(slices.Delete(l.kept, i, i+1), at)
		return false
	}
	for l.room < memory[at] {
		l.room += memory[l.kept[0]]
		l.kept = l.kept[1:]
	}
	l.room -= memory[at]
	l.kept = append(l.kept, at)
	return true
}

// TestGreedyDualAgainstLRU calls 200 functions, some of them a hundred times
// as often as others, on machines with room for some: greedy dual waits much
// less for starts than LRU, though it has no more of them.
func TestGreedyDualAgainstLRU(t *testing.T) {
	const functions, calls = 200, 6000
	for _, roomMB := range []int{4 << 10, 8 << 10, 16 << 10} {
		random := rand.New(rand.NewPCG(7, uint64(roomMB)))
		memory, starts := make([]int, functions), make([]time.Duration, functions)
		for i := range functions {
			memory[i] = 128 << random.IntN(4)
			starts[i] = []time.Duration{5, 50, 300, 1500}[random.IntN(4)] * time.Millisecond
		}
		trace := traceOf(random, functions, calls)
		plain := &lru{room: roomMB}
		var plainCold, cold int
		var plainWait, wait time.Duration
		for _, c := range trace {
			if plain.use(c.at, memory) {
				plainCold++
				plainWait += starts[c.at]
			}
		}
		synctest.Test(t, func(t *testing.T) {
			l := &fakeLauncher{launchOf: func(v *millicent.Version) time.Duration {
				i, _ := strconv.Atoi(v.Function)
				return starts[i]
			}}
			s := start(t, l, Config{MaxMemoryMB: roomMB, KeepAlive: 24 * time.Hour, Memory: func() Memory { return Memory{} }})
			for _, c := range trace {
				time.Sleep(c.after)
				lease := acquire(t, s, fakeVersion(strconv.Itoa(c.at), memory[c.at]))
				if lease.Cold {
					cold++
					wait += starts[c.at]
				}
				lease.Release(false)
			}
		})
		t.Logf("%d MB: %d cold starts that take %v; LRU %d, %v", roomMB, cold, wait, plainCold, plainWait)
		if cold > plainCold*21/20 || wait > plainWait*2/3 {
			t.Error("greedy dual is no better")
		}
	}
}

// BenchmarkEvictionOrder is what a launch on a full machine costs with many
// idle environments: one comes, settles, and another goes.
func BenchmarkEvictionOrder(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := newShelf()
			random := rand.New(rand.NewPCG(1, 1))
			var versions []*version
			for range 1000 {
				versions = append(versions, shelfVersion(time.Duration(1+random.IntN(1000))*time.Millisecond, random.IntN(100)))
			}
			for range n {
				h.add(versions[random.IntN(len(versions))], 128)
			}
			h.now = h.now.Add(settleTime)
			first(h.s.evictionOrder(h.now, 0), 1)
			b.ReportAllocs()
			for b.Loop() {
				h.all = h.all[:0]
				h.add(versions[random.IntN(len(versions))], 128)
				h.now = h.now.Add(settleTime)
				e := first(h.s.evictionOrder(h.now, 0), 1)[0]
				h.s.idle.evicted(e)
				e.of.count[idle]--
				h.s.idle.remove(e)
			}
		})
	}
}
