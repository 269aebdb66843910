package scheduler

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRest(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1000: 5 * time.Minute} {
		if got := rest(failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}

func TestProvisionable(t *testing.T) {
	for limit, want := range map[room]room{
		{500, 10_000}: {400, 8000},
		{3, 512}:      {2, 410},
		{1, 100}:      {0, 80},
	} {
		if got := provisionable(limit); got != want {
			t.Errorf("of %v: %v, want %v", limit, got, want)
		}
	}
}

func TestDispatch(t *testing.T) {
	now := time.Unix(1000, 0)
	one := room{1, 100}
	rooms := func(n int) room { return room{n, n * 100} }
	supplyOf := func(wanted, owned int) supply { return supply{wanted: wanted, owned: owned, idle: owned, need: one} }
	leaving := func(name string, owned, idle int) supply {
		return supply{function: functionKey{name: name}, wanted: owned, owned: owned, idle: idle, need: one, leaving: true}
	}
	entering := supply{function: functionKey{name: "f"}, wanted: 2, need: one}
	tests := []struct {
		name     string
		supplies []supply
		change   func(*stock)
		want     dispatch
	}{
		{"nothing to do", []supply{supplyOf(2, 2)}, nil, dispatch{}},
		{"all of it", []supply{supplyOf(2, 0)}, nil, dispatch{launch: []int{0, 0}}},
		{"one of each before a second", []supply{supplyOf(3, 1), supplyOf(2, 0)}, nil, dispatch{launch: []int{1, 0, 1, 0}}},
		{"as many as may begin", []supply{supplyOf(9, 0)}, func(st *stock) { st.slots = 3 }, dispatch{launch: []int{0, 0, 0}}},
		{"while others wait", []supply{supplyOf(9, 0)}, func(st *stock) { st.slots = 0 }, dispatch{}},
		{"resting", []supply{{wanted: 1, need: one, retry: now.Add(1)}}, nil, dispatch{}},
		{"rested", []supply{{wanted: 1, need: one, retry: now}}, nil, dispatch{launch: []int{0}}},
		{"too many", []supply{supplyOf(1, 3), supplyOf(1, 0)}, nil, dispatch{letGo: []int{0, 0}}},
		{"its share is full", []supply{supplyOf(2, 0)}, func(st *stock) { st.held = rooms(7) }, dispatch{launch: []int{0}, short: []int{0}}},
		{"a small one behind a large one", []supply{{wanted: 1, need: room{1, 900}}, supplyOf(1, 0)}, nil, dispatch{launch: []int{1}, short: []int{0}}},
		{"the machine is full", []supply{supplyOf(1, 0)}, func(st *stock) { st.used = rooms(10) }, dispatch{short: []int{0}}},
		{"others are idle", []supply{supplyOf(2, 0)}, func(st *stock) { st.used, st.idle = rooms(10), slices.Values([]room{{1, 50}, {1, 50}, one}) },
			dispatch{evict: 2}},
		{"room is being made", []supply{supplyOf(2, 0)}, func(st *stock) { st.used, st.closing = rooms(10), one }, dispatch{short: []int{0}}},
		{"two move at once", []supply{leaving("f", 2, 2), entering}, nil, dispatch{launch: []int{1, 1}}},
		{"the old make way", []supply{leaving("f", 2, 1), entering}, func(st *stock) { st.held = rooms(8) }, dispatch{letGo: []int{0}}},
		{"the old are in use", []supply{leaving("f", 2, 0), entering}, func(st *stock) { st.held = rooms(8) }, dispatch{short: []int{1}}},
		{"another's do not", []supply{leaving("g", 2, 2), entering}, func(st *stock) { st.held = rooms(8) }, dispatch{short: []int{1}}},
		{"who leaves is not replaced", []supply{{wanted: 2, need: one, leaving: true}}, nil, dispatch{}},
	}
	for _, tt := range tests {
		st := stock{supplies: tt.supplies, limit: rooms(10), share: rooms(8), idle: slices.Values([]room{}), slots: 9}
		if tt.change != nil {
			tt.change(&st)
		}
		if diff := cmp.Diff(tt.want, st.decide(now), cmp.AllowUnexported(dispatch{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestDispatchKeepsWithinItsBounds decides about random stocks.
func TestDispatchKeepsWithinItsBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		st := stock{limit: room{random.IntN(20), random.IntN(3000)}, slots: random.IntN(6)}
		st.share = provisionable(st.limit)
		for range random.IntN(5) {
			v := supply{wanted: random.IntN(5), owned: random.IntN(5), need: room{1, 100 * (1 + random.IntN(5))}, leaving: random.IntN(4) == 0}
			v.idle = random.IntN(v.owned + 1)
			v.function.name = string('a' + rune(random.IntN(2)))
			for range v.owned {
				st.held = st.held.plus(v.need)
			}
			st.supplies = append(st.supplies, v)
		}
		idle := make([]room, random.IntN(4))
		for i := range idle {
			idle[i] = room{1, 128}
		}
		st.idle = slices.Values(idle)
		st.used = st.held.plus(room{len(idle) + random.IntN(3), 128 * len(idle)})
		d := st.decide(now)
		used, held := st.used, st.held
		owned := make([]int, len(st.supplies))
		for i, v := range st.supplies {
			owned[i] = v.owned
		}
		for _, i := range d.launch {
			used, held = used.plus(st.supplies[i].need), held.plus(st.supplies[i].need)
			if owned[i]++; owned[i] > st.supplies[i].wanted || st.supplies[i].leaving {
				t.Fatalf("%+v: too many of %d", st, i)
			}
		}
		if len(d.launch) > 0 && (!used.within(st.limit) || !held.within(st.share)) || len(d.launch) > st.slots || d.evict > len(idle) {
			t.Fatalf("%+v: %+v is beyond a bound", st, d)
		}
	}
}
