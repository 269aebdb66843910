package invoke

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
)

// Event invocations: accepted into a queue in memory and run by workers, a
// bounded number for each function. Workers come with the work and end when
// their function has none left.

// Bounds of the repetition of an event that was throttled, as Lambda has them.
const (
	maxEventAge  = 6 * time.Hour
	minEventWait = time.Second
	maxEventWait = 5 * time.Minute
)

type functionKey struct{ tenant, name string }

// events holds what waits; the Invoker's lock guards it.
type events struct {
	functions map[functionKey]*backlog
	count     int
	bytes     int
}

// A backlog is what waits of one function.
type backlog struct {
	waiting []*millicent.Invocation
	bytes   int
	workers int
}

// fits reports whether one more event of size bytes may be accepted when
// waiting of these hold bytes already.
func fits(waiting, bytes, size, maxCount, maxBytes int) bool {
	return waiting < maxCount && bytes+size <= maxBytes
}

// Enqueue accepts an Event invocation, which belongs to the Invoker then, and
// runs it in the background. It returns what Invoke returns for a function
// that can't be invoked, and CodeThrottled when too many wait.
func (i *Invoker) Enqueue(ctx context.Context, inv *millicent.Invocation) error {
	i.complete(ctx, inv)
	if err := i.Check(ctx, inv); err != nil {
		return err
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return errStopping(nil)
	}
	key := functionKey{inv.Tenant, inv.Function}
	b := i.events.functions[key]
	if b == nil {
		b = new(backlog)
	}
	size := len(inv.Event)
	if !fits(i.events.count, i.events.bytes, size, i.cfg.EventQueue, i.cfg.EventBytes) ||
		!fits(len(b.waiting), b.bytes, size, max(1, i.cfg.EventQueue/2), i.cfg.EventBytes/2) {
		return millicent.Throttled(millicent.ReasonConcurrency)
	}
	i.events.functions[key] = b
	b.waiting = append(b.waiting, inv)
	b.bytes += size
	i.events.count++
	i.events.bytes += size
	if b.workers < i.cfg.EventWorkers {
		b.workers++
		i.running.Add(1)
		go i.work(key, b)
	}
	return nil
}

// work runs a function's events until none waits.
func (i *Invoker) work(key functionKey, b *backlog) {
	defer i.running.Done()
	for {
		inv := i.take(key, b)
		if inv == nil {
			return
		}
		i.runEvent(inv)
		i.mu.Lock()
		i.active--
		i.mu.Unlock()
	}
}

// take returns the oldest event of b as a running invocation; nil when there
// is none, and the worker is gone from the books then.
func (i *Invoker) take(key functionKey, b *backlog) *millicent.Invocation {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(b.waiting) == 0 {
		b.workers--
		if b.workers == 0 {
			delete(i.events.functions, key)
		}
		return nil
	}
	inv := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	b.bytes -= len(inv.Event)
	i.events.count--
	i.events.bytes -= len(inv.Event)
	i.active++
	return inv
}

// runEvent runs one event, again and again while it is throttled, and says
// so in the log when it could not be run. What the function did with it is
// the function's business.
func (i *Invoker) runEvent(inv *millicent.Invocation) {
	ctx, cancel := context.WithCancel(i.life)
	defer cancel()
	var err error
	for wait := minEventWait; ; wait = min(2*wait, maxEventWait) {
		if ctx.Err() != nil {
			err = errStopping(err)
			break
		}
		_, err = i.invoke(ctx, inv)
		if !i.worthRepeating(inv, err) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	if err != nil {
		i.cfg.Log.Warn("accepted event was not run", "tenant", inv.Tenant, "function", inv.Function,
			"invocation", inv.ID, "age", i.cfg.Now().Sub(inv.Received), "error", err)
	}
}

// worthRepeating reports whether an event that ended with err may fare better
// later: when it was throttled, unless no concurrency is granted at all.
func (i *Invoker) worthRepeating(inv *millicent.Invocation, err error) bool {
	var e *millicent.Error
	if !errors.As(err, &e) || e.Code != millicent.CodeThrottled {
		return false
	}
	if f, err := i.cfg.Store.Function(inv.Tenant, inv.Function); err != nil || f.Reserved != nil && *f.Reserved == 0 {
		return false
	}
	return i.cfg.Now().Sub(inv.Received) < maxEventAge
}
