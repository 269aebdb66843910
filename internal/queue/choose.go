package queue

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
)

// For people who deal with single messages, such as dead letters.

const (
	choosePage = 100         // messages read at a time
	claimTime  = time.Minute // a message is in the hands of who deals with it
)

// Choose calls each with the messages of a queue that have these Sequences, or
// without numbers with all, oldest first and at most limit. It leases none of
// them. CodeNotFound when a number is none's.
func (q *Queues) Choose(ctx context.Context, name Name, numbers []uint64, limit int, each func(*Delivery)) error {
	for _, number := range numbers {
		found, err := q.Browse(ctx, name, max(number, 1)-1, 1)
		if err != nil {
			return err
		}
		if len(found) == 0 || found[0].Sequence != number {
			return millicent.Errorf(millicent.CodeNotFound, "%s has no message %d.", name.Name, number)
		}
		each(&found[0])
	}
	if len(numbers) > 0 {
		return nil
	}
	for after := uint64(0); limit > 0; {
		found, err := q.Browse(ctx, name, after, min(limit, choosePage))
		if err != nil || len(found) == 0 {
			return err
		}
		for i := range found {
			each(&found[i])
		}
		after, limit = found[len(found)-1].Sequence, limit-len(found)
	}
	return nil
}

// Replace takes a message out of a queue and puts what instead returns in its
// place, in one step. An error of instead leaves the message where it is. The
// other errors are Claim's and Apply's.
func (q *Queues) Replace(ctx context.Context, name Name, sequence uint64, instead func(*Delivery) ([]Message, error)) error {
	d, err := q.Claim(ctx, name, sequence, claimTime)
	if err != nil {
		return err
	}
	put, err := instead(&d)
	if err == nil {
		_, err = q.Apply(ctx, Change{Put: put, Settle: []Settled{{Queue: name, Handle: d.Handle}}})
	}
	if err != nil {
		if again := q.Release(name, d.Handle, time.Time{}, d.Progress); millicent.ErrorCode(again) != CodeGone {
			err = errors.Join(err, again)
		}
	}
	return err
}

// Remove takes a message out of a queue.
func (q *Queues) Remove(ctx context.Context, name Name, sequence uint64) error {
	return q.Replace(ctx, name, sequence, func(*Delivery) ([]Message, error) { return nil, nil })
}

// Deal deals with chosen messages one by one and returns those that it was done
// with: what is gone, or in somebody's hands, is left out. When it fails on the
// way, it was done with those returned.
func Deal[T any](chosen []T, deal func(T) error) (done []T, err error) {
	done = []T{}
	for _, m := range chosen {
		switch err := deal(m); millicent.ErrorCode(err) {
		case "":
			done = append(done, m)
		case CodeGone, millicent.CodeConflict:
		default:
			return done, err
		}
	}
	return done, nil
}
