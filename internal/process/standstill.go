package process

import (
	"context"
	"time"
)

// standstill is how long altogether what boots for a pool stands still for
// starts that are in flight.
const standstill = 100 * time.Millisecond

// freezer is what can stand still: a sandbox.
type freezer interface {
	Freeze(ctx context.Context) error
	Thaw() error
}

// keepStill has box, in which something boots for a shelf, stand still while
// starts are in flight or were just now, so long as there is something left to
// take: with a processor of its own it would still slow them down, by the
// caches and the memory that both use. After standstill it goes on. It is a
// saving only: what cannot be frozen runs. done is called once; it returns when
// box runs, or with the reason why it cannot.
func (p *pool[E]) keepStill(kind string, box freezer) (done func() error) {
	ctx, cancel := context.WithCancel(p.ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.standStill(ctx, kind, box) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// standStill does so until ctx ends.
func (p *pool[E]) standStill(ctx context.Context, kind string, box freezer) error {
	for left := standstill; left > 0; {
		p.awaitBusy(ctx, kind, true)
		if ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		if box.Freeze(ctx) != nil {
			return box.Thaw()
		}
		p.awaitBusyFor(ctx, kind, left)
		if err := box.Thaw(); err != nil {
			return err
		}
		left -= time.Since(began)
	}
	return nil
}

// awaitBusyFor waits until nobody is held up by what boots for kind, for d at
// most.
func (p *pool[E]) awaitBusyFor(ctx context.Context, kind string, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	p.awaitBusy(ctx, kind, false)
}

// awaitBusy waits until there is a start that what boots for kind would hold
// up, or until there is none, or for the end of ctx.
func (p *pool[E]) awaitBusy(ctx context.Context, kind string, want bool) {
	for {
		busy, again, turned := p.holdsUp(kind, time.Now())
		if busy == want {
			return
		}
		timer := time.NewTimer(again)
		select {
		case <-turned:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// holdsUp reports whether what boots for kind holds up a start; when to ask
// again, at the latest; and what is closed when the answer may be another.
func (p *pool[E]) holdsUp(kind string, now time.Time) (busy bool, again time.Duration, turned <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turned == nil {
		p.turned = make(chan struct{})
	}
	again = poolTick
	left := lull - now.Sub(p.last)
	if p.inFlight == 0 && left > 0 {
		again = left
	}
	return (p.inFlight > 0 || left > 0) && len(p.shelf(kind).ready) > 0, again, p.turned
}

// turn tells those who wait in awaitBusy. The lock is held.
func (p *pool[E]) turn() {
	if p.turned != nil {
		close(p.turned)
		p.turned = nil
	}
}
