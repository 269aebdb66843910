package queue

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Tenants take turns, and within a tenant its consumers, however many
// consumers a tenant has.
func TestTurnsOfTenants(t *testing.T) {
	s := turns{limit: 1}
	var all []*turn
	for i := range 10 {
		all = append(all, &turn{tenant: "many", limit: 1, member: &member{Consumer: Consumer{ID: fmt.Sprint("many", i)}}})
	}
	all = append(all, &turn{tenant: "one", limit: 1, member: &member{Consumer: Consumer{ID: "one"}}})
	for _, c := range all {
		s.want(c)
	}
	count := make(map[string]int)
	for range 200 {
		c := s.next()
		if s.next() != nil {
			t.Fatal("two handlers at once")
		}
		count[c.member.ID]++
		s.want(c)
		s.done(c)
	}
	for id, n := range count {
		if want := 10; id != "one" && n != want || id == "one" && n != 100 {
			t.Errorf("%s had %d turns", id, n)
		}
	}
}

// A consumer that holds all the handlers it may leaves some for others.
func TestTurnsLeaveRoom(t *testing.T) {
	s := turns{limit: 8}
	greedy := &turn{tenant: "a", limit: 100}
	for range 20 {
		s.want(greedy)
		s.next()
	}
	if greedy.active != 6 {
		t.Errorf("one consumer holds %d of 8 handlers, want 6", greedy.active)
	}
	for range 2 {
		other := &turn{tenant: "a", limit: 100}
		s.want(other)
		if got := s.next(); got != other {
			t.Errorf("a consumer without a handler got none")
		}
	}
	s.leave(greedy)
	if s.next() != nil {
		t.Error("a ninth handler")
	}
	s.done(greedy)
	if got := s.next(); got == greedy {
		t.Error("a consumer that left got a turn")
	}
}

// TestTurnsSimulation makes random moves and checks what must always hold.
func TestTurnsSimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := turns{limit: 12}
	var all, running []*turn
	for i := range 30 {
		all = append(all, &turn{tenant: fmt.Sprint(i % 4), limit: 1 + i%5})
	}
	for range 100_000 {
		switch r.IntN(3) {
		case 0:
			s.want(all[r.IntN(len(all))])
		case 1:
			if c := s.next(); c != nil {
				running = append(running, c)
			}
		default:
			if len(running) > 0 {
				i := r.IntN(len(running))
				s.done(running[i])
				running[i] = running[len(running)-1]
				running = running[:len(running)-1]
			}
		}
		active, waiting := 0, 0
		for _, c := range all {
			active += c.active
			if c.active > c.limit || c.active < 0 {
				t.Fatalf("a consumer has %d of %d handlers", c.active, c.limit)
			}
			if (c.in != nil) != (c.ready && c.active < c.limit) || c.in == &s.first != (c.in != nil && c.active == 0) {
				t.Fatalf("a consumer is in the wrong ring: %+v", c)
			}
			if c.in == &s.first {
				waiting++
			}
		}
		if active != s.active || active != len(running) || active > s.limit {
			t.Fatalf("%d handlers, counted %d of %d", len(running), s.active, s.limit)
		}
		if waiting > 0 && s.active < s.limit && s.first.tenants.Len() == 0 {
			t.Fatal("a consumer is lost")
		}
	}
}
