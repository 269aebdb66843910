package queue

import (
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// Dead letters are looked at, and one of them is sent back to where it came
// from, in one change.
func TestBrowseAndClaim(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		delayed := text("c")
		delayed.NotBefore = time.Now().Add(time.Hour)
		r := mustPut(t, q, text("a"), text("b"), delayed)
		first, err := q.Browse(t.Context(), orders, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		wantBodies(t, first, "a", "b")
		rest, err := q.Browse(t.Context(), orders, first[1].Sequence, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantBodies(t, rest, "c")
		if s := q.Stats(orders); s.Ready != 2 || s.Delayed != 1 || rest[0].Handle != "" || rest[0].Receives != 0 {
			t.Errorf("after browsing: %+v, %+v", s, rest[0])
		}

		d, err := q.Claim(t.Context(), orders, r[2].Sequence, time.Minute)
		if err != nil || string(d.Body) != "c" {
			t.Fatalf("got %q, %v", d.Body, err)
		}
		_, err = q.Claim(t.Context(), orders, r[2].Sequence, time.Minute)
		wantCode(t, err, millicent.CodeConflict)
		other := orders
		other.Name = "other"
		_, err = q.Claim(t.Context(), other, r[0].Sequence, time.Minute)
		wantCode(t, err, CodeGone)
		m := d.Message
		m.Queue = other
		if _, err := q.Apply(t.Context(), Change{Put: []Message{m}, Settle: []Settled{{orders, d.Handle}}}); err != nil {
			t.Fatal(err)
		}
		_, err = q.Claim(t.Context(), orders, r[2].Sequence, time.Minute)
		wantCode(t, err, CodeGone)
		wantBodies(t, mustLease(t, q, 10), "a", "b")
	})
}
