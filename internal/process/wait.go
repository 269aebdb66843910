package process

import (
	"context"
	"errors"
	"time"
)

// A sign is what ended a wait for a runtime.
type sign int

const (
	signMet       sign = iota // what was waited for has come
	signExit                  // the process has ended, perhaps with its sandbox
	signLate                  // it took too long
	signCancelled             // nobody waits any more: the context ended, or Close was called
)

// wait waits until cond, which is called with the lock of r's session held, is
// met, or until something else ends the wait. What the runtime sent before
// it ended counts.
func (e *environment) wait(ctx context.Context, r *run, late time.Time, cond func(*session) bool) sign {
	if r.link != nil {
		return e.waitLink(ctx, r, late, cond)
	}
	w := r.session.watch(cond)
	if isClosed(w.met) {
		return signMet
	}
	defer r.session.unwatch(w)
	timer := time.NewTimer(time.Until(late))
	defer timer.Stop()
	select {
	case <-w.met:
		return signMet
	case <-r.process.Done():
	case <-e.box.Done():
	case <-timer.C:
		return signLate
	case <-ctx.Done():
		return signCancelled
	case <-e.ctx.Done():
		return signCancelled
	}
	return e.hearOut(ctx, r, late, w)
}

// hearOut is the end of a wait for a runtime that has ended: what it had sent
// is read first. A process that it left behind may hold a connection open. That
// is waited for no longer than exitGrace, but for as long as the response's
// receiver takes what has come.
func (e *environment) hearOut(ctx context.Context, r *run, late time.Time, w *watch) sign {
	heard := r.api.finish()
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	for moved := r.session.moved(); ; {
		select {
		case <-w.met:
			return signMet
		case <-heard:
		case <-ctx.Done():
			return signCancelled
		case <-e.ctx.Done():
			return signCancelled
		case <-timer.C:
			before := moved
			if moved = r.session.moved(); (moved != before || moved%2 != 0) && time.Now().Before(late) {
				timer.Reset(exitGrace)
				continue
			}
		}
		if isClosed(w.met) {
			return signMet
		}
		return signExit
	}
}

// patience is how long a wait on a link may take before it can be cancelled:
// most are over sooner, and to register with a context costs as much as a
// system call.
const patience = 5 * time.Millisecond

// waitLink is wait for a runtime on a link: the caller's goroutine itself
// reads what the runtime sends, for a hand-over between goroutines would cost
// as much as the rest.
func (e *environment) waitLink(ctx context.Context, r *run, late time.Time, cond func(*session) bool) sign {
	if r.session.holds(cond) {
		return signMet
	}
	now := time.Now()
	r.link.patiently(now, late)
	for cancellable := false; ; now = time.Now() {
		// Whatever ends the wait is seen below, or interrupts the read: its
		// mark is set before the interruption.
		switch {
		case e.ended(ctx) != nil:
			return signCancelled
		case r.gone():
			r.link.rest()
			if r.session.holds(cond) {
				return signMet
			}
			return signExit
		case !now.Before(late):
			// Nobody has read since the wait before: what came in time counts,
			// an idle runtime's wish for the next event above all.
			r.link.rest()
			if r.session.holds(cond) {
				return signMet
			}
			return signLate
		}
		err := r.link.read()
		for err == nil {
			if r.session.holds(cond) {
				return signMet
			}
			err = r.link.read()
		}
		switch {
		case interrupted(err):
			if !cancellable && ctx.Done() != nil {
				cancellable = true
				defer context.AfterFunc(ctx, r.link.interrupt)()
			}
		case errors.Is(err, errViolation), !r.exitsWithin(exitGrace): // or it has closed its link
			r.kill()
		}
		r.link.until(late)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
