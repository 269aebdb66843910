package schedule

import (
	"container/heap"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

const (
	// maxSleep bounds how long the engine sleeps, so that it sees a clock that
	// was set.
	maxSleep = 30 * time.Second

	batch      = queue.MaxChange // ticks put at a time
	putTimeout = 10 * time.Second
	putPause   = time.Second // after ticks could not be put
	concurrent = 16          // calls of targets at a time
)

// An Invoker accepts asynchronous invocations, each in one step with the
// settlement of what it follows from, and returns when that is durable.
type Invoker interface {
	Follow(ctx context.Context, inv *millicent.Invocation, from queue.Settled) error
}

// EngineConfig gives an Engine what it needs. All of it is required, but for
// Now.
type EngineConfig struct {
	Region   string
	Service  *Service
	Messages *queue.Queues
	Queues   *sqs.Service
	Invoker  Invoker
	Now      func() time.Time // default time.Now
	Log      *slog.Logger
}

// An Engine runs schedules. It is safe for concurrent use.
type Engine struct {
	cfg        EngineConfig
	stop       context.CancelFunc
	tasks      sync.WaitGroup
	wake       chan struct{}
	dispatcher *queue.Dispatcher

	mu      sync.Mutex
	entries map[entryKey]*entry
	agenda  agenda
}

type entryKey struct{ tenant, name string }

// An entry is what the engine knows of a schedule; Engine.mu guards it.
type entry struct {
	schedule   *millicent.Schedule
	expression *expression
	through    time.Time // the latest tick that is done with; zero: none
	missed     int       // ticks that were skipped so far
	due        time.Time // when to look next; zero: never, and not in the agenda
	place      int       // in the agenda, or -1
}

// Start starts an engine upon all schedules. ctx bounds the starting alone.
// Close it before the queues.
func Start(ctx context.Context, cfg EngineConfig) (*Engine, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, wake: make(chan struct{}, 1), entries: map[entryKey]*entry{}}
	if err := cfg.Service.sweep(ctx); err != nil {
		return nil, err
	}
	// Changes first, so that none is overlooked; looking twice does no harm.
	cfg.Service.cfg.Schedules.OnChange(e.changed)
	for _, d := range cfg.Service.cfg.Schedules.All() {
		through, missed, err := e.past(ctx, d)
		if err != nil {
			return nil, err
		}
		e.add(d, through, missed)
	}
	life, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.dispatcher = cfg.Messages.Dispatch(queue.DispatcherConfig{Concurrency: concurrent, Kind: Kind, Adopt: e.adopt})
	e.tasks.Go(func() { e.run(life) })
	return e, nil
}

// Close ends the engine and returns when nothing of it runs. It is idempotent.
func (e *Engine) Close() {
	e.stop()
	e.tasks.Wait()
	e.dispatcher.Close()
}

// past returns up to which tick a schedule was looked after before this start,
// and how many it had missed: what was run, and what waits in its queue.
func (e *Engine) past(ctx context.Context, d *millicent.Schedule) (through time.Time, missed int, err error) {
	st := e.cfg.Service.State(d)
	through, missed = st.Last, st.Missed
	name := queueOf(d)
	if e.cfg.Messages.Stats(name).Messages() == 0 {
		return through, missed, nil
	}
	for after := uint64(0); ; {
		page, err := e.cfg.Messages.Browse(ctx, name, after, 100)
		if err != nil || len(page) == 0 {
			return through, missed, err
		}
		for _, m := range page {
			after = m.Sequence
			if t, err := decodeTick(m.Body); err == nil && t.Schedule == d.ID && t.Time.After(through) {
				through, missed = t.Time, max(missed, t.Missed)
			}
		}
	}
}

// changed takes up a change of a schedule.
func (e *Engine) changed(before, after *millicent.Schedule) {
	if after != nil {
		e.add(after, time.Time{}, 0)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := entryKey{before.Tenant, key(before.Group, before.Name)}
	if en := e.entries[k]; en != nil && en.schedule.ID == before.ID {
		e.agenda.remove(en)
		delete(e.entries, k)
	}
}

// add puts a schedule, as it is now, on the agenda, to be looked at.
func (e *Engine) add(d *millicent.Schedule, through time.Time, missed int) {
	ex, err := parse(d.Expression, d.Zone)
	if err != nil {
		e.cfg.Log.Error("stored schedule not understood, not run", "schedule", key(d.Group, d.Name), "tenant", d.Tenant, "error", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := entryKey{d.Tenant, key(d.Group, d.Name)}
	en := e.entries[k]
	if en == nil || en.schedule.ID != d.ID {
		if en != nil {
			e.agenda.remove(en)
		}
		en = &entry{place: -1}
		e.entries[k] = en
	}
	en.schedule, en.expression = d, ex
	if through.After(en.through) {
		en.through = through
	}
	en.missed = max(en.missed, missed)
	e.agenda.set(en, e.cfg.Now())
	e.signal()
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run looks at the schedules when they are due, until ctx ends.
func (e *Engine) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		sleep := maxSleep
		if due, ok := e.first(); ok {
			sleep = min(due.Sub(e.cfg.Now()), maxSleep)
		}
		if sleep <= 0 {
			if !e.tick(ctx) {
				sleep = putPause
			} else if ctx.Err() == nil {
				continue
			}
		}
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.wake:
		}
	}
}

// first returns when the engine has to look next.
func (e *Engine) first() (due time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.agenda) == 0 {
		return time.Time{}, false
	}
	return e.agenda[0].due, true
}

// A turn is a schedule that is looked at, and what it needs.
type turn struct {
	entry    *entry
	schedule *millicent.Schedule
	plan     plan
	missed   int
	messages []queue.Message
}

// tick puts the ticks of schedules that are due into their queues, and reports
// whether that went well. What could not be put stays due.
func (e *Engine) tick(ctx context.Context) bool {
	turns, err := e.due(e.cfg.Now())
	if err == nil {
		turns, err = e.put(ctx, turns)
	}
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Error("ticks not stored, tried again", "error", err)
	}
	for _, d := range e.advance(turns) {
		e.complete(ctx, d)
	}
	return err == nil
}

// put puts the ticks of turns, and returns the turns for which that went well.
func (e *Engine) put(ctx context.Context, turns []turn) (done []turn, err error) {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	var all []queue.Message
	for _, t := range turns {
		all = append(all, t.messages...)
	}
	switch err = e.putAll(ctx, all); millicent.ErrorCode(err) {
	case "":
		return turns, nil
	case queue.CodeFull: // one full queue keeps no other schedule from its tick
	default:
		return nil, err
	}
	for _, t := range turns {
		switch err := e.putAll(ctx, t.messages); millicent.ErrorCode(err) {
		case "":
			done = append(done, t)
		case queue.CodeFull:
			e.cfg.Log.Warn("ticks not stored: too many wait", "schedule", key(t.schedule.Group, t.schedule.Name), "tenant", t.schedule.Tenant, "error", err)
		default:
			return done, err
		}
	}
	return done, nil
}

// putAll puts ticks, as many at a time as one change may.
func (e *Engine) putAll(ctx context.Context, all []queue.Message) error {
	for len(all) > 0 {
		part := all[:min(len(all), batch)]
		if _, err := e.cfg.Messages.Put(ctx, part...); err != nil {
			return err
		}
		all = all[len(part):]
	}
	return nil
}

// due returns the turns of schedules that are due: about as many as have ticks
// for one change, and at least one.
func (e *Engine) due(now time.Time) (turns []turn, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ticks := 0; len(e.agenda) > 0 && !e.agenda[0].due.After(now) && ticks < batch && len(turns) < batch; {
		en := e.agenda[0]
		e.agenda.set(en, now.Add(putPause)) // should they not get there
		t := turn{entry: en, schedule: en.schedule, missed: en.missed}
		t.plan = planOf(t.schedule, en.expression, e.cfg.Service.catchUp(t.schedule, en.expression), en.through, now)
		t.missed += t.plan.missed
		for _, at := range t.plan.run {
			m, err := tick{Schedule: t.schedule.ID, Time: at.UTC(), Missed: t.missed}.message(t.schedule)
			if err != nil {
				return nil, err
			}
			t.messages = append(t.messages, m)
		}
		ticks += len(t.messages)
		turns = append(turns, t)
	}
	return turns, nil
}

// advance notes that the ticks of turns are put, and returns the schedules
// that are over without one and have to go.
func (e *Engine) advance(turns []turn) (over []*millicent.Schedule) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range turns {
		en := t.entry
		en.missed = max(en.missed, t.missed)
		if t.plan.through.After(en.through) {
			en.through = t.plan.through
		}
		if en.schedule != t.schedule || en.place < 0 {
			continue // changed meanwhile: it is looked at again; or deleted
		}
		e.agenda.set(en, t.plan.next)
		d := t.schedule
		if d.DeleteAfter && !d.Paused && t.plan.next.IsZero() && len(t.plan.run) == 0 && !en.through.IsZero() &&
			e.cfg.Messages.Stats(queueOf(d)).Messages() == 0 {
			over = append(over, d)
		}
	}
	return over
}

// A Status tells where a schedule stands.
type Status struct {
	State
	Waiting int         // ticks that were put and are not done with
	CatchUp CatchUp     // what happens to ticks that are missed
	Next    []time.Time // the times to come, whether the schedule is paused or not
}

// Status returns where a schedule stands, with up to n of its next times.
func (e *Engine) Status(d *millicent.Schedule, n int) Status {
	st := Status{State: e.cfg.Service.State(d), CatchUp: e.cfg.Service.CatchUpOf(d)}
	st.Waiting = e.cfg.Messages.Stats(queueOf(d)).Messages()
	e.mu.Lock()
	if en := e.entries[entryKey{d.Tenant, key(d.Group, d.Name)}]; en != nil && en.schedule.ID == d.ID {
		st.Missed = max(st.Missed, en.missed)
	}
	e.mu.Unlock()
	st.Next = Times(d, e.cfg.Now(), n)
	return st
}

// Times returns up to n times of a schedule after another.
func Times(d *millicent.Schedule, after time.Time, n int) (all []time.Time) {
	ex, err := parse(d.Expression, d.Zone)
	if err != nil {
		return nil
	}
	for len(all) < n {
		t, ok := ex.next(d, after)
		if !ok {
			break
		}
		all, after = append(all, t), t
	}
	return all
}

func cutKey(name string) (group, schedule string, ok bool) { return strings.Cut(name, "/") }

// An agenda is a heap of entries, what is due first on top.
type agenda []*entry

// set changes when an entry is due; the zero time takes it off the agenda.
func (a *agenda) set(en *entry, due time.Time) {
	en.due = due
	switch {
	case due.IsZero():
		a.remove(en)
	case en.place < 0:
		heap.Push(a, en)
	default:
		heap.Fix(a, en.place)
	}
}

func (a *agenda) remove(en *entry) {
	if en.place >= 0 {
		heap.Remove(a, en.place)
	}
}

// Len implements heap.Interface, like the following methods.
func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	en := x.(*entry)
	en.place = len(*a)
	*a = append(*a, en)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	en := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	en.place = -1
	return en
}
