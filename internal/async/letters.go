package async

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// What operators and owners of functions see of events, and do with dead
// letters.

// EventQueues returns what there is of a tenant's events, by function.
func (e *Events) EventQueues(tenant string) []millicent.EventQueue {
	byName := map[string]*millicent.EventQueue{}
	of := func(name string) *millicent.EventQueue {
		if byName[name] == nil {
			byName[name] = &millicent.EventQueue{Function: name}
		}
		return byName[name]
	}
	for _, s := range e.cfg.Queues.List(KindEvent, tenant) {
		*of(s.Name.Name) = millicent.EventQueue{
			Function: s.Name.Name, Ready: s.Ready, Delayed: s.Delayed, Running: s.InFlight,
			Bytes: s.Bytes, Oldest: s.Oldest, NextRetry: s.NextDue,
		}
	}
	for _, s := range e.cfg.Queues.List(KindDelivery, tenant) {
		of(s.Name.Name).Deliveries = s.Messages()
	}
	for _, s := range e.cfg.Queues.List(KindDead, tenant) {
		of(s.Name.Name).DeadLetters = s.Messages()
	}
	all := make([]millicent.EventQueue, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, *byName[name])
	}
	return all
}

// DeadLetters returns up to limit dead letters of a function ("" for all) whose
// numbers are above after, by number, with or without their bodies.
func (e *Events) DeadLetters(ctx context.Context, tenant, function string, after uint64, limit int, bodies bool) ([]millicent.DeadLetter, error) {
	names := []string{function}
	if function == "" {
		names = nil
		for _, s := range e.cfg.Queues.List(KindDead, tenant) {
			names = append(names, s.Name.Name)
		}
	}
	all := []millicent.DeadLetter{}
	for _, name := range names {
		found, err := e.cfg.Queues.Browse(ctx, queue.Name{Kind: KindDead, Tenant: tenant, Name: name}, after, limit)
		if err != nil {
			return nil, err
		}
		for i := range found {
			all = append(all, e.letter(&found[i], bodies))
		}
	}
	slices.SortFunc(all, func(a, b millicent.DeadLetter) int { return cmp.Compare(a.Number, b.Number) })
	return all[:min(len(all), limit)], nil
}

// letter returns a dead letter as it is shown.
func (e *Events) letter(d *queue.Delivery, body bool) millicent.DeadLetter {
	l := millicent.DeadLetter{Function: d.Queue.Name, Number: d.Sequence, ID: d.ID, Size: len(d.Body), Failed: d.Sent}
	if body {
		l.Body = string(d.Body)
	}
	ev, err := decode(&d.Message)
	if err != nil || ev.Failure == nil {
		e.cfg.Log.Error("dead letter not understood", "id", d.ID, "error", err)
		return l
	}
	l.Qualifier, l.Target, l.Received = ev.Qualifier, ev.Target, ev.Received
	f := ev.Failure
	l.Condition, l.Code, l.Message, l.Attempts = f.Condition, f.Code, f.Message, f.Attempts
	return l
}

// Act does something with dead letters and returns those that it was done
// with, without bodies. Those that are gone, or in somebody's hands, are left
// out. When it fails on the way, it was done with those returned.
func (e *Events) Act(ctx context.Context, tenant string, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error) {
	if a.Replay {
		if _, err := e.cfg.Store.Function(tenant, a.Function); err != nil {
			return nil, err
		}
	}
	name := queue.Name{Kind: KindDead, Tenant: tenant, Name: a.Function}
	chosen := []millicent.DeadLetter{}
	err := e.cfg.Queues.Choose(ctx, name, a.Numbers, e.cfg.DeadLetters, func(d *queue.Delivery) {
		chosen = append(chosen, e.letter(d, false))
	})
	if err != nil || a.DryRun {
		return chosen, err
	}
	return queue.Deal(chosen, func(l millicent.DeadLetter) error { return e.act(ctx, name, l.Number, a.Replay) })
}

// act replays or removes one dead letter, in one step.
func (e *Events) act(ctx context.Context, name queue.Name, number uint64, replay bool) error {
	if !replay {
		return e.cfg.Queues.Remove(ctx, name, number)
	}
	return e.cfg.Queues.Replace(ctx, name, number, func(d *queue.Delivery) ([]queue.Message, error) {
		m, err := e.again(d)
		return []queue.Message{m}, err
	})
}

// again returns the message by which a dead letter starts afresh.
func (e *Events) again(d *queue.Delivery) (queue.Message, error) {
	ev, err := decode(&d.Message)
	if err != nil {
		return queue.Message{}, err
	}
	f := ev.Failure
	ev.Failure = nil
	if ev.Target != "" {
		m, err := e.messageTo(ev.Target, ev, ev.body)
		m.Sent = e.cfg.Now()
		return m, err
	}
	if f != nil {
		ev.Before += f.Attempts
	}
	ev.Received = e.cfg.Now()
	return ev.message(KindEvent)
}
