package queue

import "container/list"

// turns decides whose message is next: a pure structure, without time and
// locks. Consumers without a running handler come before those with one, and
// among each, tenants take turns, and within a tenant its consumers. The last
// quarter of the handlers is for consumers without one: however many messages
// a queue has, and however long they take, another's first does not wait for
// them.
type turns struct {
	limit  int // handlers at once
	active int
	first  ring // ready consumers without a running handler
	more   ring // ready consumers with one, below their limit
}

// A turn is what turns knows of a consumer.
type turn struct {
	tenant string
	limit  int // handlers at once
	active int
	ready  bool // wants a handler
	member *member

	in   *ring // where it waits, nil if it does not
	of   *tenantRing
	slot *list.Element // in of.turns
}

// A ring holds consumers by tenant, each in turn.
type ring struct {
	tenants list.List // of *tenantRing, the next first
	byName  map[string]*tenantRing
}

type tenantRing struct {
	name  string
	turns list.List     // of *turn, the next first
	place *list.Element // in ring.tenants
}

func (r *ring) push(t *turn) {
	if r.byName == nil {
		r.byName = make(map[string]*tenantRing)
	}
	of := r.byName[t.tenant]
	if of == nil {
		of = &tenantRing{name: t.tenant}
		of.place = r.tenants.PushBack(of)
		r.byName[t.tenant] = of
	}
	t.in, t.of, t.slot = r, of, of.turns.PushBack(t)
}

func (r *ring) remove(t *turn) {
	of := t.of
	of.turns.Remove(t.slot)
	if of.turns.Len() == 0 {
		r.tenants.Remove(of.place)
		delete(r.byName, of.name)
	}
	t.in, t.of, t.slot = nil, nil, nil
}

// pop takes out the next consumer, nil for none.
func (r *ring) pop() *turn {
	front := r.tenants.Front()
	if front == nil {
		return nil
	}
	of := front.Value.(*tenantRing)
	t := of.turns.Front().Value.(*turn)
	r.tenants.MoveToBack(front)
	r.remove(t)
	return t
}

// want says that a consumer has a message.
func (s *turns) want(t *turn) {
	t.ready = true
	s.sort(t)
}

// sort brings a consumer into the ring where it belongs.
func (s *turns) sort(t *turn) {
	var to *ring
	switch {
	case !t.ready || t.active >= t.limit:
	case t.active == 0:
		to = &s.first
	default:
		to = &s.more
	}
	if t.in == to {
		return
	}
	if t.in != nil {
		t.in.remove(t)
	}
	if to != nil {
		to.push(t)
	}
}

// next returns the consumer that may start a handler now, and counts it; nil
// when none may. The consumer no longer wants one, until it says so again.
func (s *turns) next() *turn {
	if s.active >= s.limit {
		return nil
	}
	t := s.first.pop()
	if t == nil && s.active < s.limit-s.limit/4 {
		t = s.more.pop()
	}
	if t == nil {
		return nil
	}
	t.ready = false
	t.active++
	s.active++
	return t
}

// done says that a handler has ended.
func (s *turns) done(t *turn) {
	t.active--
	s.active--
	s.sort(t)
}

// leave takes a consumer out: it gets no further turn.
func (s *turns) leave(t *turn) {
	t.limit, t.ready = 0, false
	s.sort(t)
}
