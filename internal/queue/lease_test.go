package queue

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestOrderAndSettle(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		r := mustPut(t, q, text("a"), text("b"), text("c"))
		if r[0].Sequence >= r[1].Sequence || r[0].ID == r[1].ID || r[0].ID == "" {
			t.Errorf("receipts %+v", r)
		}
		got := mustLease(t, q, 2)
		wantBodies(t, got, "a", "b")
		if got[0].ID != r[0].ID || got[0].Sequence != r[0].Sequence || got[0].Receives != 1 || !got[0].Sent.Equal(time.Now()) {
			t.Errorf("delivery %+v of %+v", got[0], r[0])
		}
		if s := q.Stats(orders); s.Ready != 1 || s.InFlight != 2 || s.Messages() != 3 || s.Bytes != 3 {
			t.Errorf("%+v", s)
		}
		mustSettle(t, q, got...)
		wantBodies(t, mustLease(t, q, 10), "c")
		wantCode(t, q.Settle(t.Context(), orders, got[0].Handle)[0], CodeGone)
	})
}

func TestVisibility(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		mustPut(t, q, text("a"))
		first := mustLease(t, q, 1)
		time.Sleep(30*time.Second - time.Millisecond)
		synctest.Wait()
		wantBodies(t, mustLease(t, q, 1))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		second := mustLease(t, q, 1)
		wantBodies(t, second, "a")
		if second[0].Receives != 2 || !second[0].FirstReceived.Equal(first[0].FirstReceived) {
			t.Errorf("second delivery %+v after %+v", second[0], first[0])
		}
		// The old handle no longer does anything, the new one even when its
		// visibility is over.
		wantCode(t, q.Settle(t.Context(), orders, first[0].Handle)[0], CodeStaleHandle)
		wantCode(t, q.Extend(orders, first[0].Handle, time.Minute), CodeStaleHandle)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantCode(t, q.Extend(orders, second[0].Handle, time.Minute), CodeNotInFlight)
		mustSettle(t, q, second...)
		if s := q.Stats(orders); s.Messages() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestExtendAndRelease(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		mustPut(t, q, text("a"))
		d := mustLease(t, q, 1)
		if err := q.Extend(orders, d[0].Handle, time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		wantBodies(t, mustLease(t, q, 1))
		later := time.Now().Add(time.Minute)
		if err := q.Release(orders, d[0].Handle, later, Progress{Attempts: 2, Throttles: 7}); err != nil {
			t.Fatal(err)
		}
		if s := q.Stats(orders); s.Delayed != 1 || !s.NextDue.Equal(later) {
			t.Errorf("%+v, want one delayed until %v", s, later)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		d = mustLease(t, q, 1)
		if len(d) != 1 || d[0].Progress != (Progress{2, 7}) || d[0].Receives != 2 {
			t.Fatalf("%+v", d)
		}
		if err := q.Extend(orders, d[0].Handle, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantBodies(t, mustLease(t, q, 1), "a")
	})
}

func TestDelay(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		m := text("later")
		m.NotBefore = time.Now().Add(time.Minute)
		mustPut(t, q, m, text("now"))
		mustSettle(t, q, mustLease(t, q, 10)...)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantBodies(t, mustLease(t, q, 10), "later")
	})
}

func TestLongPoll(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		start := time.Now()
		poll := func(ctx context.Context) []Delivery {
			d, err := q.Lease(ctx, LeaseRequest{Queue: orders, Max: 1, Visibility: time.Minute, Wait: 20 * time.Second})
			if err != nil {
				t.Error(err)
			}
			return d
		}
		wantBodies(t, poll(t.Context()))
		if waited := time.Since(start); waited != 20*time.Second {
			t.Errorf("an empty poll took %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantBodies(t, poll(ctx))

		results := make(chan Delivery, 4)
		for range 3 {
			go func() {
				for _, d := range poll(t.Context()) {
					results <- d
				}
			}()
		}
		synctest.Wait()
		mustPut(t, q, text("a"), text("b"), text("c"))
		synctest.Wait()
		if len(results) != 3 {
			t.Errorf("%d of 3 receivers got a message", len(results))
		}
		if n := len(q.ix.queues[string(orders.key())].waiters); n != 0 {
			t.Errorf("%d waiters are left", n)
		}
	})
}

func TestGroups(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		of := func(group, body string) Message {
			m := text("%s", body)
			m.Group = group
			return m
		}
		mustPut(t, q, of("A", "a1"), of("B", "b1"), of("A", "a2"), of("A", "a3"), of("B", "b2"))
		first := mustLease(t, q, 2)
		wantBodies(t, first, "a1", "a2")
		second := mustLease(t, q, 10)
		wantBodies(t, second, "b1", "b2")
		wantBodies(t, mustLease(t, q, 10)) // a3 waits for a1 and a2
		mustSettle(t, q, first[1])
		wantBodies(t, mustLease(t, q, 10))
		if err := q.Release(orders, first[0].Handle, time.Time{}, Progress{}); err != nil {
			t.Fatal(err)
		}
		wantBodies(t, mustLease(t, q, 10), "a1", "a3")
		mustSettle(t, q, second...)
		time.Sleep(time.Minute)
		synctest.Wait()
		last := mustLease(t, q, 10)
		wantBodies(t, last, "a1", "a3")
		mustSettle(t, q, last...)
		if n := len(q.ix.queues); n != 0 {
			t.Errorf("%d queues are remembered, want none", n)
		}
	})
}

// A message of a group that is delayed holds up those after it.
func TestGroupWithDelay(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		m := text("1")
		m.Group = "A"
		m.NotBefore = time.Now().Add(time.Second)
		n := text("2")
		n.Group = "A"
		mustPut(t, q, m, n)
		wantBodies(t, mustLease(t, q, 10))
		time.Sleep(time.Second)
		synctest.Wait()
		wantBodies(t, mustLease(t, q, 10), "1", "2")
	})
}

func TestDedup(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		m := text("a")
		m.Dedup = "once"
		first := mustPut(t, q, m)[0]
		again := mustPut(t, q, m, m)
		for _, r := range again {
			if !r.Duplicate || r.ID != first.ID || r.Sequence != first.Sequence {
				t.Errorf("got %+v, want a duplicate of %+v", r, first)
			}
		}
		mustSettle(t, q, mustLease(t, q, 10)...)
		if r := mustPut(t, q, m)[0]; !r.Duplicate {
			t.Errorf("got %+v after it was settled", r)
		}
		other := m
		other.Queue.Name = "other"
		if r := mustPut(t, q, other)[0]; r.Duplicate {
			t.Errorf("got %+v in another queue", r)
		}
		time.Sleep(DedupWindow + time.Millisecond)
		if r := mustPut(t, q, m)[0]; r.Duplicate {
			t.Errorf("got %+v after the window", r)
		}
	})
}

// A duplicate of a message on its way to the log is acknowledged only when
// that is durable.
func TestDedupInFlight(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		l.delay = time.Second
		m := text("a")
		m.Dedup = "once"
		start := time.Now()
		done := make(chan Receipt, 2)
		for range 2 {
			go func() { done <- mustPut(t, q, m)[0] }()
			time.Sleep(time.Millisecond)
		}
		a, b := <-done, <-done
		if a.ID != b.ID || a.Duplicate == b.Duplicate || time.Since(start) < time.Second {
			t.Errorf("got %+v and %+v after %v", a, b, time.Since(start))
		}
	})
}

func TestExpiry(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		m := text("old")
		m.Expires = time.Now().Add(time.Minute)
		mustPut(t, q, m, text("new"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := q.Stats(orders); s.Messages() != 1 {
			t.Errorf("%+v, want one message", s)
		}
		wantBodies(t, mustLease(t, q, 10), "new")
	})
}

func TestDeadLetterOnLease(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		dead := Name{"sqs", orders.Tenant, "dead"}
		mustPut(t, q, text("poison"), text("good"))
		r := LeaseRequest{Queue: orders, Max: 1, Visibility: time.Second, MaxReceives: 2, DeadLetter: dead}
		var got []string
		for range 5 {
			d, err := q.Lease(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, bodiesOf(d)...)
			if len(d) > 0 && string(d[0].Body) == "good" {
				mustSettle(t, q, d...)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		slices.Sort(got)
		if want := []string{"good", "poison", "poison"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		d, err := q.Lease(t.Context(), LeaseRequest{Queue: dead, Max: 10, Visibility: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		wantBodies(t, d, "poison")
		if d[0].From != orders || d[0].Receives != 1 {
			t.Errorf("dead letter %+v", d[0])
		}
	})
}

func TestPurge(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		m := text("c")
		m.Dedup = "c"
		mustPut(t, q, text("a"), text("b"), m)
		d := mustLease(t, q, 1)
		if err := q.Purge(t.Context(), orders); err != nil {
			t.Fatal(err)
		}
		wantBodies(t, mustLease(t, q, 10))
		wantCode(t, q.Settle(t.Context(), orders, d[0].Handle)[0], CodeGone)
		if r := mustPut(t, q, m, text("d")); !r[0].Duplicate {
			t.Errorf("a purge forgot %+v", r[0])
		}
		wantBodies(t, mustLease(t, q, 10), "d")
		if err := q.Drop(t.Context(), orders); err != nil {
			t.Fatal(err)
		}
		if n := len(q.ix.queues); n != 0 {
			t.Errorf("%d queues are remembered after Drop", n)
		}
		if r := mustPut(t, q, m); r[0].Duplicate {
			t.Errorf("Drop remembered %+v", r[0])
		}
	})
}

func TestHandles(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		mustPut(t, q, text("a"))
		d := mustLease(t, q, 1)[0]
		num, receipt, ok := d.Handle.parse()
		if !ok || num != d.Sequence {
			t.Errorf("handle %q has number %d, %v", d.Handle, num, ok)
		}
		other := orders
		other.Tenant = "111111111111"
		wantCode(t, q.Settle(t.Context(), other, d.Handle)[0], CodeInvalidHandle)
		wantCode(t, q.Settle(t.Context(), orders, makeHandle(num, receipt+1))[0], CodeStaleHandle)
		for _, h := range []Handle{"", "x", d.Handle + "A", d.Handle[1:], "!!!!!!!!!!!!!!!!!!!!!!", makeHandle(0, 1), makeHandle(1, 0)} {
			wantCode(t, q.Settle(t.Context(), orders, h)[0], CodeInvalidHandle)
		}
		mustSettle(t, q, d)
	})
}
