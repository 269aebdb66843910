package process

import (
	"context"
	"sync"
	"time"
)

// atRestTime is how long Freeze waits for a runtime to say that it is idle. It
// has said so long before, but on a link nobody may have read it yet.
const atRestTime = time.Millisecond

// A freezing is a Freeze under way, which holds the environment's slot.
type freezing struct {
	cancel context.CancelFunc
	over   chan struct{} // closed once the slot is free
}

// freezes has Invoke and Close call off a Freeze under way.
type freezes struct {
	mu  sync.Mutex
	now *freezing // nil when there is none
}

// Freeze implements millicent.Freezer.
func (e *environment) Freeze(caller context.Context) (frozen bool, err error) {
	ctx, cancel := context.WithCancel(caller)
	defer cancel()
	f := &freezing{cancel, make(chan struct{})}
	if !e.beginFreezing(f) {
		return false, nil
	}
	defer e.endFreezing(f)
	defer context.AfterFunc(e.ctx, cancel)()
	if isClosed(e.box.Done()) {
		return false, nil
	}
	if e.frozen {
		return true, nil
	}
	if err := e.repay(); err != nil {
		return false, err
	}
	if !e.atRest(ctx) {
		return false, caller.Err()
	}
	if err := e.box.Freeze(ctx); err != nil {
		if caller.Err() == nil && ctx.Err() != nil || isClosed(e.box.Done()) {
			return false, nil // it was called off
		}
		return false, err
	}
	e.frozen = true
	return true, nil
}

// beginFreezing takes the slot for f, where it is free.
func (e *environment) beginFreezing(f *freezing) bool {
	e.freezes.mu.Lock()
	defer e.freezes.mu.Unlock()
	select {
	case e.slot <- struct{}{}:
		e.freezes.now = f
		return true
	default:
		return false
	}
}

func (e *environment) endFreezing(f *freezing) {
	e.freezes.mu.Lock()
	defer e.freezes.mu.Unlock()
	e.freezes.now = nil
	<-e.slot
	close(f.over)
}

// enter takes the slot for an invocation, from a Freeze if need be; false when
// another invocation has it, or Close.
func (e *environment) enter() bool {
	select {
	case e.slot <- struct{}{}:
		return true
	default:
	}
	for {
		e.freezes.mu.Lock()
		f := e.freezes.now
		taken := false
		if f == nil {
			select {
			case e.slot <- struct{}{}:
				taken = true
			default:
			}
		}
		e.freezes.mu.Unlock()
		if f == nil {
			return taken
		}
		f.cancel()
		<-f.over
	}
}

// atRest reports whether nothing is at work that may still be: the runtime
// waits for its next event, has ended, or has used up its time. The caller
// holds the slot.
func (e *environment) atRest(ctx context.Context) bool {
	r := e.run
	if r == nil || r.gone() || !time.Now().Before(r.deadline) {
		return ctx.Err() == nil
	}
	return e.wait(ctx, r, time.Now().Add(atRestTime), (*session).idle) == signMet
}

// thaw lets what was frozen go on. The caller holds the slot.
func (e *environment) thaw() error {
	if !e.frozen {
		return nil
	}
	e.frozen = false
	return e.box.Thaw()
}

// GiveBack implements millicent.Freezer.
func (e *environment) GiveBack() (int64, error) {
	freed, err := e.box.GiveBack()
	if e.ctx.Err() != nil {
		return 0, nil // all of it is given back
	}
	return freed, err
}
