package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func asyncName(tenant, name string) Name { return Name{"async", tenant, name} }

// settleAll is a handler that takes some time and settles everything.
func settleAll(t *testing.T, q *Queues, took time.Duration, note func(Delivery)) func(context.Context, []Delivery) {
	return func(ctx context.Context, batch []Delivery) {
		time.Sleep(took)
		for _, d := range batch {
			if note != nil {
				note(d)
			}
			if errs := q.Settle(context.Background(), d.Queue, d.Handle); errs != nil {
				t.Error(errs)
			}
		}
	}
}

// A queue with many messages, whose handlers take long, delays no other's.
func TestDispatchIsFair(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		var mu sync.Mutex
		late := make(map[string]time.Duration) // greatest wait by queue
		took := func(d Delivery) {
			mu.Lock()
			defer mu.Unlock()
			late[d.Queue.Name] = max(late[d.Queue.Name], time.Since(d.Sent))
		}
		d := q.Dispatch(DispatcherConfig{Concurrency: 16, Kind: "async", Adopt: func(n Name) (Consumer, bool) {
			if n.Name == "flood" {
				return Consumer{Concurrency: 1000, Handle: settleAll(t, q, 10*time.Second, nil)}, true
			}
			return Consumer{Concurrency: 1000, Handle: settleAll(t, q, time.Millisecond, took)}, true
		}})
		defer d.Close()
		for range 200 {
			batch := slices.Repeat([]Message{{Queue: asyncName("a", "flood"), Body: []byte("x")}}, 50)
			mustPut(t, q, batch...)
		}
		for i := range 100 {
			mustPut(t, q, Message{Queue: asyncName("b", fmt.Sprint("rare", i%10)), Body: []byte("x")})
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(late) != 10 {
			t.Errorf("%d of 10 queues had a message handled", len(late))
		}
		for name, wait := range late {
			if wait > 100*time.Millisecond {
				t.Errorf("a message of %s waited for %v", name, wait)
			}
		}
	})
}

// A retry comes when it is due, with its progress, and a message that was not
// dealt with comes back after a second.
func TestDispatchRetries(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		start := time.Now()
		var at []time.Duration
		d := q.Dispatch(DispatcherConfig{Concurrency: 4})
		defer d.Close()
		err := d.Set(Consumer{ID: "orders", Queue: orders, Handle: func(ctx context.Context, batch []Delivery) {
			m := batch[0]
			at = append(at, time.Since(start))
			switch m.Progress.Attempts {
			case 2:
				mustSettle(t, q, m)
			default:
				wait := time.Minute * time.Duration(m.Progress.Attempts+1)
				if err := q.Release(orders, m.Handle, time.Now().Add(wait), Progress{Attempts: m.Progress.Attempts + 1}); err != nil {
					t.Error(err)
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, q, text("a"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want := []time.Duration{0, time.Minute, 3 * time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		at = nil
		start = time.Now()
		if err := d.Set(Consumer{ID: "orders", Queue: orders, Handle: func(context.Context, []Delivery) {
			at = append(at, time.Since(start))
		}}); err != nil {
			t.Fatal(err)
		}
		mustPut(t, q, text("b"))
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if want := []time.Duration{0, time.Second, 2 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("a message that nobody settles came at %v, want %v", at, want)
		}
	})
}

// A consumer with a window gets whole batches, or what there is when the
// window ends.
func TestDispatchWindow(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		start := time.Now()
		type batch struct {
			at time.Duration
			n  int
		}
		var got []batch
		d := q.Dispatch(DispatcherConfig{Concurrency: 4})
		defer d.Close()
		err := d.Set(Consumer{ID: "m", Queue: orders, Batch: 3, Window: 5 * time.Second, Visibility: time.Minute,
			Handle: func(_ context.Context, b []Delivery) {
				got = append(got, batch{time.Since(start), len(b)})
				mustSettle(t, q, b...)
			}})
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, q, text("1"))
		time.Sleep(time.Second)
		mustPut(t, q, text("2"))
		time.Sleep(5 * time.Second) // 1 and 2 at 5 s
		mustPut(t, q, text("3"), text("4"), text("5"))
		synctest.Wait() // at once
		want := []batch{{5 * time.Second, 2}, {6 * time.Second, 3}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		d.Remove("m")
		mustPut(t, q, text("6"), text("7"), text("8"))
		time.Sleep(time.Minute)
		if len(got) != 2 {
			t.Errorf("a consumer that was removed got %v", got[2:])
		}
	})
}

// Bounds on handlers hold, and consumers that were adopted leave.
func TestDispatchBounds(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		var all, most atomic.Int64
		var each [2]atomic.Int64
		var eachMost [2]atomic.Int64
		raise := func(m *atomic.Int64, v int64) {
			for old := m.Load(); v > old && !m.CompareAndSwap(old, v); old = m.Load() {
			}
		}
		d := q.Dispatch(DispatcherConfig{Concurrency: 8, Kind: "async", Adopt: func(n Name) (Consumer, bool) {
			i := 0
			if n.Name == "one" {
				i = 1
			}
			settle := settleAll(t, q, time.Second, nil)
			return Consumer{Concurrency: 3, Handle: func(ctx context.Context, b []Delivery) {
				raise(&most, all.Add(1))
				raise(&eachMost[i], each[i].Add(1))
				settle(ctx, b)
				each[i].Add(-1)
				all.Add(-1)
			}}, n.Name != "none"
		}})
		defer d.Close()
		for i := range 20 {
			mustPut(t, q, Message{Queue: asyncName("t", "one"), Body: []byte{byte(i)}},
				Message{Queue: asyncName("t", fmt.Sprint("q", i%5)), Body: []byte{byte(i)}},
				Message{Queue: asyncName("t", "none"), Body: []byte{byte(i)}})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := most.Load(); n < 6 || n > 8 {
			t.Errorf("%d handlers at once, want 6 to 8", n)
		}
		if n := eachMost[1].Load(); n > 3 {
			t.Errorf("%d handlers of a queue at once, want at most 3", n)
		}
		left := q.List("", "")
		if len(left) != 1 || left[0].Name.Name != "none" || left[0].Ready != 20 {
			t.Errorf("left: %+v", left)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.byID) != 0 || len(d.byQueue) != 0 || d.turns.active != 0 {
			t.Errorf("%d consumers and %d handlers are left", len(d.byID), d.turns.active)
		}
	})
}

// Messages that were there before the dispatcher are handled, also after a
// crash of the process that had leased them.
func TestDispatchAfterCrash(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		q := openMemory(t, l, Config{Dir: dir})
		d := q.Dispatch(DispatcherConfig{Concurrency: 4})
		stuck := func(ctx context.Context, _ []Delivery) { <-ctx.Done() }
		if err := d.Set(Consumer{ID: "o", Queue: orders, Handle: stuck}); err != nil {
			t.Fatal(err)
		}
		mustPut(t, q, text("a"))
		time.Sleep(time.Second)
		crashed := l.crash(0)
		d.Close()
		mustClose(t, q)

		q = openMemory(t, crashed, Config{Dir: dir})
		defer mustClose(t, q)
		d = q.Dispatch(DispatcherConfig{Concurrency: 4})
		defer d.Close()
		start := time.Now()
		var got []Delivery
		if err := d.Set(Consumer{ID: "o", Queue: orders, Handle: settleAll(t, q, 0, func(d Delivery) { got = append(got, d) })}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(got) != 1 || got[0].Receives != 2 || time.Since(start) != 0 {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
	})
}

// Ten thousand idle consumers cost memory only.
func TestDispatchManyIdle(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		d := q.Dispatch(DispatcherConfig{Concurrency: 4})
		defer d.Close()
		handled := 0
		for i := range 10_000 {
			n := asyncName(fmt.Sprint(i%100), fmt.Sprint(i))
			if err := d.Set(Consumer{ID: n.String(), Queue: n, Handle: settleAll(t, q, 0, func(Delivery) { handled++ })}); err != nil {
				t.Fatal(err)
			}
		}
		mustPut(t, q, Message{Queue: asyncName("42", "42")})
		synctest.Wait()
		if handled != 1 || len(q.ix.queues) != 0 {
			t.Errorf("%d handled, %d queues remembered", handled, len(q.ix.queues))
		}
	})
}

// A consumer that is held gets nothing meanwhile, and no more at a time than
// its limit, as it is then.
func TestDispatchHoldAndLimit(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, q *Queues, l *memoryLog) {
		var mu sync.Mutex
		now, most, handled := 0, 0, 0
		d := q.Dispatch(DispatcherConfig{Concurrency: 40, Kind: "async", Adopt: func(n Name) (Consumer, bool) {
			return Consumer{Concurrency: 2, Handle: func(ctx context.Context, batch []Delivery) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mustSettle(t, q, batch[0])
				mu.Lock()
				now--
				handled++
				mu.Unlock()
			}}, true
		}})
		defer d.Close()
		f := asyncName("a", "f")
		mustPut(t, q, slices.Repeat([]Message{{Queue: f, Body: []byte("x")}}, 60)...)
		check := func(after time.Duration, wantHandled, wantMost int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if handled != wantHandled || most != wantMost {
				t.Errorf("%d were handled, %d at a time; want %d and %d", handled, most, wantHandled, wantMost)
			}
			most = 0
		}
		check(1500*time.Millisecond, 2, 2)
		d.Limit(f.String(), 5)
		check(time.Second, 2+5, 5)
		d.Hold(f.String(), time.Now().Add(10*time.Second))
		check(5*time.Second, 2+5+5, 0)
		check(4900*time.Millisecond, 2+5+5, 0)
		check(1200*time.Millisecond, 2+5+5+5, 5)
		d.Limit(f.String(), 1)
		d.Hold("nobody", time.Now())
		d.Limit("nobody", 1)
		check(time.Minute, 60, 1)
	})
}
