package server

import (
	"context"
	"sync"
	"time"
)

// rounds do some work for many who ask for it: those who ask while it is done,
// or while it rests, share the next round. So each has a round that began after
// it asked, and there are no more of them than one for each rest, one at a
// time.
type rounds struct {
	do   func(context.Context) error
	rest time.Duration // from the begin of a round to that of the next, at least
	most time.Duration // that a round may take

	mu   sync.Mutex
	next *round // that has not begun; nil when nobody asks
	last *round // that has begun
}

// A round is one time that the work is done.
type round struct {
	begin time.Time
	done  chan struct{}
	err   error
}

// wait returns the outcome of a round that begins after the call, or ctx's
// error. The first who asks for a round does it, also for the others, to its
// end.
func (r *rounds) wait(ctx context.Context) error {
	r.mu.Lock()
	mine, first := r.next, r.next == nil
	if first {
		mine = &round{done: make(chan struct{})}
		r.next = mine
	}
	r.mu.Unlock()
	if first {
		r.run(context.WithoutCancel(ctx), mine)
	}
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *rounds) run(ctx context.Context, mine *round) {
	defer close(mine.done)
	r.mu.Lock()
	last := r.last // no other round begins before this one
	r.mu.Unlock()
	if last != nil {
		<-last.done
		time.Sleep(r.rest - time.Since(last.begin))
	}
	r.mu.Lock()
	mine.begin = time.Now()
	r.next, r.last = nil, mine
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, r.most)
	defer cancel()
	mine.err = r.do(ctx)
}
