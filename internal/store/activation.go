package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// activators is how many activations run at once.
const activators = 4

// activationDelays are the pauses before an activation that failed for no
// fault of the package is tried again. After the last it has failed.
var activationDelays = []time.Duration{time.Second, 5 * time.Second, 15 * time.Second}

// codeInvalidZip is the reason code of a version whose package can't be
// unpacked.
const codeInvalidZip = "InvalidZipFileException"

// unsettledID names a draft or version that waits for its activation.
type unsettledID struct {
	functionID
	number string
}

// unsettled reports whether a version waits for its activation.
func unsettled(v *millicent.Version) bool {
	return v.State == millicent.StatePending || v.LastUpdate == millicent.UpdateInProgress
}

// unsettled returns all that waits for its activation.
func (x *index) unsettled() []unsettledID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var ids []unsettledID
	for _, f := range x.functions {
		ids = append(ids, x.unsettledIn(f)...)
	}
	return ids
}

// unsettledOf returns what of a function waits for its activation.
func (x *index) unsettledOf(f *function) []unsettledID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.unsettledIn(f)
}

func (x *index) unsettledIn(f *function) []unsettledID {
	var ids []unsettledID
	id := functionID{f.value.Tenant, f.value.Name}
	if unsettled(f.value.Draft) {
		ids = append(ids, unsettledID{id, millicent.Latest})
	}
	for number, k := range f.keys {
		if v := x.versions[k]; v != nil && unsettled(v.Version) {
			ids = append(ids, unsettledID{id, number})
		}
	}
	return ids
}

// activation runs a function for each id it is given, a few at a time. An id
// given again while it runs is run once more.
type activation struct {
	run     func(context.Context, unsettledID)
	inTurn  bool // one of a tenant's at a time, so that no tenant keeps others waiting
	workers sync.WaitGroup
	wake    chan struct{}

	mu    sync.Mutex
	queue []unsettledID
	again map[unsettledID]bool // queued (false), or running; true: to be run once more
	busy  map[unsettledID]bool
}

// newActivation starts the workers, which end with ctx.
func newActivation(ctx context.Context, inTurn bool, run func(context.Context, unsettledID)) *activation {
	a := &activation{run: run, inTurn: inTurn, wake: make(chan struct{}, activators),
		again: make(map[unsettledID]bool), busy: make(map[unsettledID]bool)}
	for range activators {
		a.workers.Go(func() { a.work(ctx) })
	}
	return a
}

// wait returns when the workers have ended.
func (a *activation) wait() { a.workers.Wait() }

func (a *activation) enqueue(id unsettledID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.again[id]; known {
		a.again[id] = a.busy[id]
		return
	}
	a.again[id] = false
	a.queue = append(a.queue, id)
	select {
	case a.wake <- struct{}{}:
	default: // as many are awake as there are workers
	}
}

func (a *activation) work(ctx context.Context) {
	for {
		id, ok := a.next()
		if !ok {
			select {
			case <-a.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		a.run(ctx, id)
		a.finish(id)
	}
}

func (a *activation) next() (unsettledID, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var taken []string // tenants that are to wait
	for id := range a.busy {
		if a.inTurn {
			taken = append(taken, id.tenant)
		}
	}
	n := slices.IndexFunc(a.queue, func(id unsettledID) bool { return !slices.Contains(taken, id.tenant) })
	if n < 0 {
		return unsettledID{}, false
	}
	id := a.queue[n]
	a.queue = slices.Delete(a.queue, n, n+1)
	a.busy[id] = true
	return id, true
}

func (a *activation) finish(id unsettledID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, id)
	if a.again[id] {
		a.again[id] = false
		a.queue = append(a.queue, id)
		return // the worker that finished looks at the queue next
	}
	delete(a.again, id)
}

// activate unpacks the package of a draft or version and settles its state. It
// leaves alone what has been settled or deleted meanwhile, and what only other
// nodes hold the package of.
func (s *Store) activate(ctx context.Context, id unsettledID) {
	v := s.lookup(id)
	if v == nil || !unsettled(v) || s.packages.elsewhere(v.Package) {
		return
	}
	err := persist(ctx, func() error {
		_, err := s.packages.dirOf(ctx, v.Package)
		return err
	})
	// What follows takes the function's own time; others are not to wait for it.
	switch {
	case err != nil || s.cfg.Initialise == nil:
	case s.cfg.Compiles != nil && s.cfg.Compiles(ctx, v):
		s.programs.enqueue(id)
		return
	case v.FromSnapshot():
		s.snapshots.enqueue(id)
		return
	}
	s.conclude(ctx, id, v.Package, result{err: err})
}

// initialise takes the snapshot of a version, or compiles it, and settles its
// state.
func (s *Store) initialise(ctx context.Context, id unsettledID) {
	v := s.lookup(id)
	if v == nil || !unsettled(v) {
		return
	}
	var r result
	r.err = persist(ctx, func() (err error) {
		r.optimized, err = s.cfg.Initialise(ctx, v)
		return err
	})
	s.conclude(ctx, id, v.Package, r)
}

// A result is what came of an activation.
type result struct {
	err       error
	optimized bool // there is a snapshot
}

// conclude settles a state, unless the Store closes.
func (s *Store) conclude(ctx context.Context, id unsettledID, p millicent.Package, r result) {
	if ctx.Err() != nil {
		return
	}
	err := s.settle(ctx, id, p, r)
	if err != nil && ctx.Err() == nil && millicent.ErrorCode(err) != millicent.CodeNotFound {
		s.cfg.Log.Error("activation not recorded, left for the next start",
			"tenant", id.tenant, "function", id.name, "version", id.number, "error", err)
	}
}

// lookup returns a draft or version, nil when there is none.
func (s *Store) lookup(id unsettledID) *millicent.Version {
	if id.number == millicent.Latest {
		if f := s.index.function(id.functionID); f != nil {
			return f.value.Draft
		}
		return nil
	}
	if v := s.index.version(id.functionID, id.number); v != nil {
		return v.Version
	}
	return nil
}

// settle records the outcome of an activation.
func (s *Store) settle(ctx context.Context, id unsettledID, p millicent.Package, outcome result) error {
	if id.number != millicent.Latest {
		return s.settleVersion(ctx, id, p, outcome)
	}
	_, err := s.Update(ctx, id.tenant, id.name, func(f *millicent.Function) error {
		if unsettled(f.Draft) && f.Draft.Package == p {
			setOutcome(f.Draft, outcome)
		}
		return nil
	})
	return err
}

func (s *Store) settleVersion(ctx context.Context, id unsettledID, p millicent.Package, outcome result) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for range maxAttempts {
		f, v := s.index.function(id.functionID), s.index.version(id.functionID, id.number)
		if f == nil || v == nil || !unsettled(v.Version) || v.Version.Package != p {
			return nil
		}
		next := v.Version.Clone()
		setOutcome(next, outcome)
		value, err := encode(versionRecord{Format: formatVersion, DraftDescription: v.DraftDescription, Version: next})
		if err != nil {
			return err
		}
		err = s.functions.update(ctx, f.keys[id.number], value, v.revision)
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := s.functions.awaitChange(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("settle version: %w, %d times", errConflict, maxAttempts)
}

// setOutcome puts a version into the state that an activation ended in. A new
// version that failed is Failed; one that was updated stays as it was, and its
// update has failed.
func setOutcome(v *millicent.Version, outcome result) {
	v.Revision = NewRevision()
	if outcome.err == nil {
		v.Optimized = outcome.optimized
		v.State, v.StateReason, v.StateReasonCode = millicent.StateActive, "", ""
		v.LastUpdate, v.LastUpdateReason, v.LastUpdateReasonCode = millicent.UpdateSuccessful, "", ""
		return
	}
	reason, code := "The code package could not be unpacked.", "InternalError"
	var e *millicent.Error
	if errors.As(outcome.err, &e) {
		reason = e.Message
		if e.Code == codeInvalidZip || strings.HasPrefix(e.Code, "FunctionError") {
			code = e.Code
		}
	}
	if v.State == millicent.StatePending {
		v.State, v.StateReason, v.StateReasonCode = millicent.StateFailed, reason, code
	}
	v.LastUpdate, v.LastUpdateReason, v.LastUpdateReasonCode = millicent.UpdateFailed, reason, code
}

// persist calls try until it succeeds, fails for good, or has failed after the
// last of activationDelays.
func persist(ctx context.Context, try func() error) error {
	for _, delay := range activationDelays {
		err := try()
		if err == nil || isFinal(err) || !sleep(ctx, delay) {
			return err
		}
	}
	return try()
}

// isFinal reports whether an error is one that trying again does not change:
// those that say so to the caller.
func isFinal(err error) bool {
	var e *millicent.Error
	return errors.As(err, &e)
}

// sleep pauses and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
