package sqs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// maxChosen bounds the messages that one action deals with.
const maxChosen = 10_000

// DeadLetters returns up to limit messages of a dead-letter queue ("" for all
// of the tenant's) whose numbers are above after, by number, with or without
// their bodies. It receives none of them.
func (s *Service) DeadLetters(ctx context.Context, tenant, name string, after uint64, limit int, bodies bool) ([]millicent.DeadLetter, error) {
	var queues []*millicent.Queue
	if name != "" {
		q, err := s.deadLetterQueue(tenant, name)
		if err != nil {
			return nil, err
		}
		queues = append(queues, q)
	} else {
		queues = s.deadLetterQueues(tenant)
	}
	all := []millicent.DeadLetter{}
	for _, q := range queues {
		found, err := s.cfg.Messages.Browse(ctx, nameOf(q), after, limit)
		if err != nil {
			return nil, err
		}
		for i := range found {
			l, err := letter(&found[i])
			if err != nil {
				return nil, err
			}
			if bodies {
				l.Body = string(found[i].Body)
			}
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b millicent.DeadLetter) int { return cmp.Compare(a.Number, b.Number) })
	return all[:min(len(all), limit)], nil
}

// deadLetterQueue returns a queue whose dead letters are asked for. Any queue
// will do: functions send theirs to queues that no other queue does.
func (s *Service) deadLetterQueue(tenant, name string) (*millicent.Queue, error) {
	q, ok := s.cfg.Catalog.Get(tenant, name)
	if !ok {
		return nil, millicent.Errorf(millicent.CodeNotFound, "The queue %.80s does not exist.", name)
	}
	return q, nil
}

// deadLetterQueues returns the tenant's queues that others send dead letters to.
func (s *Service) deadLetterQueues(tenant string) []*millicent.Queue {
	all := s.cfg.Catalog.List(tenant)
	used := map[string]bool{}
	for _, q := range all {
		if q.Redrive != nil {
			used[q.Redrive.DeadLetter] = true
		}
	}
	return slices.DeleteFunc(all, func(q *millicent.Queue) bool { return !used[q.Name] })
}

// letter returns a message as a dead letter, without its body. Of those that
// failed Event invocations left, the message's attributes tell more.
func letter(d *queue.Delivery) (millicent.DeadLetter, error) {
	more, err := millicent.DecodeQueueMessage(d.Attributes)
	if err != nil {
		return millicent.DeadLetter{}, err
	}
	return millicent.DeadLetter{
		Queue: d.Queue.Name, Source: d.From.Name, Number: d.Sequence, ID: d.ID,
		Code: more.Attributes["ErrorCode"].Text, Message: more.Attributes["ErrorMessage"].Text,
		Attempts: d.Receives, Received: d.Sent, Size: len(d.Body),
	}, nil
}

// Act moves messages of a dead-letter queue back to the queues that they come
// from, or removes them, and returns those that it was done with, without
// bodies: of all those that can be, at most maxChosen. What is gone or in
// flight is left out. When it fails on the way, it was done with those
// returned.
func (s *Service) Act(ctx context.Context, tenant string, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error) {
	q, err := s.deadLetterQueue(tenant, a.Queue)
	if err != nil {
		return nil, err
	}
	chosen := []millicent.DeadLetter{}
	var wrong error
	err = s.cfg.Messages.Choose(ctx, nameOf(q), a.Numbers, maxChosen, func(d *queue.Delivery) {
		l, err := letter(d)
		if err == nil && a.Replay {
			if _, err = s.source(tenant, l); err != nil && a.All {
				return
			}
		}
		if err != nil {
			wrong = err
		}
		chosen = append(chosen, l)
	})
	if err == nil {
		err = wrong
	}
	if err != nil || a.DryRun {
		return chosen, err
	}
	return queue.Deal(chosen, func(l millicent.DeadLetter) error {
		if !a.Replay {
			return s.cfg.Messages.Remove(ctx, nameOf(q), l.Number)
		}
		to, err := s.source(tenant, l)
		if err != nil {
			return err
		}
		return s.cfg.Messages.Replace(ctx, nameOf(q), l.Number, func(d *queue.Delivery) ([]queue.Message, error) {
			return []queue.Message{s.redriven(d, to)}, nil
		})
	})
}

// source returns the queue that a dead letter comes from.
func (s *Service) source(tenant string, l millicent.DeadLetter) (*millicent.Queue, error) {
	if l.Source == "" {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The message %d comes from no other queue.", l.Number)
	}
	q, ok := s.cfg.Catalog.Get(tenant, l.Source)
	if !ok {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The queue %s, which the message %d comes from, does not exist any more.", l.Source, l.Number)
	}
	return q, nil
}

// redriven returns a message as it is sent anew to a queue. It is no duplicate
// of what it was.
func (s *Service) redriven(d *queue.Delivery, to *millicent.Queue) queue.Message {
	m := d.Message
	now := s.cfg.Now()
	m.Queue, m.From, m.Dedup, m.NotBefore = nameOf(to), queue.Name{}, "", time.Time{}
	m.Sent, m.Expires, m.Progress = now, now.Add(to.Retention), queue.Progress{}
	if !to.FIFO() {
		m.Group = ""
	}
	return m
}
