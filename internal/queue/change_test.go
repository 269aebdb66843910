package queue

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/packs"
)

// A change is done as a whole or not at all.
func TestApply(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		mustPut(t, q, text("a"), text("b"))
		d := mustLease(t, q, 2)
		dead := text("dead a")
		dead.Queue.Name = "dead"
		settle := []Settled{{orders, d[0].Handle}, {orders, "nonsense"}}
		_, err := q.Apply(t.Context(), Change{Put: []Message{dead}, Settle: settle})
		wantCode(t, err, CodeInvalidHandle)
		if s := q.List("sqs", ""); len(s) != 1 || s[0].InFlight != 2 {
			t.Errorf("after a refused change: %+v", s)
		}
		packs := len(l.packs)
		if _, err := q.Apply(t.Context(), Change{Put: []Message{dead}, Settle: settle[:1]}); err != nil {
			t.Fatal(err)
		}
		if n := len(l.packs) - packs; n != 1 {
			t.Errorf("a change took %d packs", n)
		}
		if s := q.List("", orders.Tenant); len(s) != 2 || s[0].Name.Name != "dead" || s[0].Ready != 1 || s[1].InFlight != 1 {
			t.Errorf("after a change: %+v", s)
		}
	})
}

func TestBounds(t *testing.T) {
	cfg := Config{Bounds: Bounds{Messages: 5, QueueMessages: 3, QueueBytes: 100, Bytes: 150, QueueInFlight: 2, QueueDedup: 1}}
	inBubble(t, cfg, func(t *testing.T, q *Queues, l *memoryLog) {
		put := func(messages ...Message) error {
			_, err := q.Put(t.Context(), messages...)
			return err
		}
		mustPut(t, q, text("1"), text("2"))
		wantCode(t, put(text("3"), text("4")), CodeFull) // all or nothing
		mustPut(t, q, text("3"))
		wantCode(t, put(text("4")), CodeFull)
		other := Message{Queue: Name{"sqs", "t", "other"}, Body: make([]byte, 101)}
		wantCode(t, put(other), CodeFull)
		other.Body = make([]byte, 100)
		mustPut(t, q, other)
		third := Message{Queue: Name{"sqs", "t", "third"}, Body: make([]byte, 50)}
		wantCode(t, put(third), CodeFull)

		got := mustLease(t, q, 10)
		wantBodies(t, got, "1", "2")
		_, err := q.Lease(t.Context(), LeaseRequest{Queue: orders, Max: 1, Visibility: time.Second})
		wantCode(t, err, CodeOverLimit)

		// A move is never refused.
		m := text("moved")
		if _, err := q.Apply(t.Context(), Change{Put: []Message{m}, Settle: []Settled{{orders, got[0].Handle}}}); err != nil {
			t.Error(err)
		}
		mustSettle(t, q, got[1])
		m.Dedup = "1"
		mustPut(t, q, m)
		mustSettle(t, q, mustLease(t, q, 1)...)
		m.Dedup = "2"
		wantCode(t, put(m), CodeFull)
	})
}

func TestInvalidMessages(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		long := strings.Repeat("x", 1000)
		for name, m := range map[string]Message{
			"no queue":   {},
			"no name":    {Queue: Name{"sqs", "t", ""}},
			"long name":  {Queue: Name{"sqs", "t", long}},
			"long from":  {Queue: orders, From: Name{"sqs", "t", long}},
			"long id":    {Queue: orders, ID: long},
			"long group": {Queue: orders, Group: long},
			"long dedup": {Queue: orders, Dedup: long},
			"attributes": {Queue: orders, Attributes: make([]byte, MaxAttributes+1)},
			"body":       {Queue: orders, Body: make([]byte, MaxBody+1)},
		} {
			if _, err := q.Put(t.Context(), m); millicent.ErrorCode(err) != millicent.CodeInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := q.Put(t.Context(), make([]Message, MaxChange+1)...)
		wantCode(t, err, millicent.CodeInvalid)
		big := Message{Queue: orders, Attributes: make([]byte, MaxAttributes)}
		_, err = q.Put(t.Context(), big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big, big)
		wantCode(t, err, millicent.CodeInvalid)
		for _, n := range []int{0, -1, MaxLease + 1} {
			_, err := q.Lease(t.Context(), LeaseRequest{Queue: orders, Max: n})
			wantCode(t, err, millicent.CodeInvalid)
		}
	})
}

// A log that refuses leaves everything as it was.
func TestRefusedByLog(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		mustPut(t, q, text("a"))
		d := mustLease(t, q, 1)
		l.mu.Lock()
		l.refuse = packs.ErrRefused
		l.mu.Unlock()
		m := text("b")
		m.Dedup = "b"
		_, err := q.Put(t.Context(), m)
		wantCode(t, err, CodeFull)
		wantCode(t, q.Settle(t.Context(), orders, d[0].Handle)[0], CodeFull)
		wantCode(t, q.Purge(t.Context(), orders), CodeFull)
		l.mu.Lock()
		l.refuse = nil
		l.mu.Unlock()
		if r := mustPut(t, q, m)[0]; r.Duplicate {
			t.Errorf("%+v after its first was refused", r)
		}
		got := mustLease(t, q, 10)
		if len(got) != 2 {
			t.Errorf("got %q, want both", bodiesOf(got))
		}
	})
}

// A log whose state is unknown takes no more.
func TestBrokenLog(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		l.refuse = errDamaged
		_, err := q.Put(t.Context(), text("a"))
		wantCode(t, err, millicent.CodeServerUnavailable)
		l.refuse = nil
		_, err = q.Put(t.Context(), text("a"))
		wantCode(t, err, millicent.CodeServerUnavailable)
	})
}

func TestClosed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		q := openMemory(t, &memoryLog{}, Config{Dir: dir})
		done := make(chan int)
		go func() {
			d, _ := q.Lease(t.Context(), LeaseRequest{Queue: orders, Max: 1, Wait: 20 * time.Second})
			done <- len(d)
		}()
		synctest.Wait()
		start := time.Now()
		mustClose(t, q)
		mustClose(t, q)
		if n := <-done; n != 0 || time.Since(start) > time.Second {
			t.Errorf("a receiver got %d messages after %v", n, time.Since(start))
		}
		_, err := q.Put(t.Context(), text("a"))
		wantCode(t, err, millicent.CodeServerUnavailable)
	})
}

// Large bodies are files, for as long as a message refers to them.
func TestLargeBodies(t *testing.T) {
	dir := t.TempDir()
	files := func() int {
		names, err := os.ReadDir(filepath.Join(dir, "bodies"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	large := Message{Queue: orders, Body: bytes.Repeat([]byte("large "), 100_000), Dedup: "large"}
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		q := openMemory(t, l, Config{Dir: dir})
		mustPut(t, q, large)
		if r := mustPut(t, q, large); !r[0].Duplicate {
			t.Errorf("%+v", r)
		}
		synctest.Wait()
		if n := files(); n != 1 {
			t.Errorf("%d files, want 1", n)
		}
		if len(l.packs[0]) > 1000 {
			t.Errorf("a pack of %d bytes", len(l.packs[0]))
		}
		mustClose(t, q)
		if err := os.WriteFile(filepath.Join(dir, "bodies", strings.Repeat("ab", 16)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		q = openMemory(t, l, Config{Dir: dir})
		defer mustClose(t, q)
		if n := files(); n != 1 {
			t.Errorf("%d files after the sweep, want 1", n)
		}
		d := mustLease(t, q, 1)
		if len(d) != 1 || !bytes.Equal(d[0].Body, large.Body) {
			t.Fatal("the large body did not come back")
		}
		mustSettle(t, q, d...)
		synctest.Wait()
		if n := files(); n != 0 {
			t.Errorf("%d files after it was settled", n)
		}
	})
}
