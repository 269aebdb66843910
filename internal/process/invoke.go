package process

import (
	"context"
	"errors"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

const (
	// drainGap is the time without invocations after which the output of a
	// runtime that is idle is looked at.
	drainGap = 2 * time.Millisecond

	// exitGrace is how long a process may take to end after a sign of its
	// end was seen elsewhere. A runtime with 128 MB has 7 ms of a core in
	// every 100 ms: less would be over while it waits for its turn.
	exitGrace = time.Second
)

// Invoke implements millicent.Environment.
func (e *environment) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	if !e.enter() {
		if e.ctx.Err() != nil {
			return nil, lifecycle.Dead(nil)
		}
		return nil, millicent.Errorf(millicent.CodeInternal, "The execution environment serves another invocation.")
	}
	defer func() { <-e.slot }()
	if e.ctx.Err() != nil || e.broken != nil || isClosed(e.box.Done()) {
		return nil, lifecycle.Dead(e.broken)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := e.thaw(); err != nil {
		e.broken = err
		return nil, lifecycle.Dead(err)
	}
	start := e.awaitLast(ctx)
	if err := e.ended(ctx); err != nil {
		return nil, notDelivered(err)
	}
	return e.serve(ctx, inv, start)
}

// ended returns why nobody waits for an invocation any more, nil while
// somebody does.
func (e *environment) ended(ctx context.Context) error {
	if e.ctx.Err() != nil {
		return lifecycle.ErrClosed
	}
	return ctx.Err()
}

// notDelivered is ended's error for an invocation that the function did not
// see.
func notDelivered(err error) error {
	if !errors.Is(err, lifecycle.ErrClosed) {
		return err
	}
	return lifecycle.Dead(lifecycle.ErrClosed)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// awaitLast lets a runtime finish what it does after its last answer: until
// it asks for the next event, or its last deadline. One that is not idle then
// is stopped. It returns the time.
func (e *environment) awaitLast(ctx context.Context) time.Time {
	r := e.run
	if r == nil {
		return time.Now()
	}
	if r.gone() || e.wait(ctx, r, r.deadline, (*session).idle) != signMet {
		e.discard()
		return time.Now()
	}
	now := time.Now()
	// What was written between invocations belongs to none. In less time
	// than that nobody can say which side of a line it was on.
	if now.Sub(r.drained) > drainGap {
		r.drain(now)
		now = time.Now()
	}
	return now
}

// discard ends the run.
func (e *environment) discard() {
	if e.run == nil {
		return
	}
	if err := e.stop(e.run); err != nil {
		e.broken = err
	}
	e.run, e.after = nil, millicent.StartAfterFailure
}

// An ending is how the wait for an invocation's outcome ended.
type ending struct {
	outcome *outcome           // the runtime's answer
	failure *lifecycle.Failure // or what happened instead
	err     error              // or why nobody waits any more
}

// serve runs inv, which starts now, to its end and writes its log.
func (e *environment) serve(ctx context.Context, inv *millicent.Invocation, now time.Time) (*millicent.Result, error) {
	usage := millicent.Usage{
		Start:    now,
		Cold:     e.cold,
		MemoryMB: e.version.MemoryMB,
	}
	if e.cold {
		usage.Init, usage.Restore, usage.RestoreBilled = e.init, e.restored, e.restoredBilled
	}
	e.again = nil
	e.journal.Begin(inv, usage.Start)
	e.uplink.invoking(inv)

	deadline := usage.Start.Add(e.version.Timeout)
	out, stop := e.stream(ctx, inv, deadline)
	end := e.attempt(ctx, inv, deadline, out)
	now = time.Now()
	usage.Duration = min(now.Sub(usage.Start), e.version.Timeout) // what budgets hold is for no more
	stop()
	f := e.conclude(end, now)
	if millicent.ErrorCode(end.err) == millicent.CodeEnvironmentDead {
		e.journal.End()
		return nil, end.err
	}
	if f != nil && f.Timeout {
		usage.Duration = e.version.Timeout // nobody pays for the platform's stopping
	}
	e.measure(f, &usage, now)
	e.cold = false
	if f != nil && f.Timeout {
		e.after = millicent.StartAfterTimeout
	}
	if f != nil {
		if line := lifecycle.Failed(inv.ID, time.Now(), f); line != "" && !e.journal.JSON() {
			e.journal.Text(line)
		}
	}
	res := e.result(inv, end)
	firstByte := usage.Duration
	if out != nil && !out.began.IsZero() {
		res.Streamed, firstByte = true, out.began.Sub(usage.Start)
		usage.Streamed = out.size
	}
	res.Start = e.startOf(usage, firstByte)
	res.Usage = usage
	res.LogTail = e.journal.Finish(&lifecycle.Ending{
		Usage: usage, Produced: int64(len(res.Payload)) + usage.Streamed, Failure: f, Delay: lifecycle.DelayOf(inv, res),
	})
	if end.err != nil {
		return nil, end.err
	}
	return res, nil
}

// stream returns what takes inv's response as it comes, nil where it is wanted
// whole. Nothing goes to inv's sink after stop.
func (e *environment) stream(ctx context.Context, inv *millicent.Invocation, deadline time.Time) (out *stream, stop func()) {
	if inv.Sink == nil {
		return nil, func() {}
	}
	s := newStream(ctx, inv.Sink, e.version.Number, deadline)
	closed := context.AfterFunc(e.ctx, s.end)
	return s, func() { closed(); s.close() }
}

// startOf returns the record of the start that an invocation waited for, nil
// where there was none. firstByte is how long its answer took to begin.
func (e *environment) startOf(usage millicent.Usage, firstByte time.Duration) *millicent.StartRecord {
	rec := e.again
	switch {
	case usage.Cold:
		cold := e.started
		rec = &cold
		rec.FirstByte = firstByte
	case rec == nil:
		return nil
	default: // within the invocation
		rec.FirstByte = max(0, firstByte-rec.Boot-rec.Init)
	}
	rec.Memory = int64(usage.PeakMemoryMB) << 20
	return rec
}

// attempt gives inv to the runtime, starting one where none is. A runtime that
// turns out to have ended before it saw the event is started anew, once.
func (e *environment) attempt(ctx context.Context, inv *millicent.Invocation, deadline time.Time, out *stream) ending {
	for again := true; ; again = false {
		if e.run == nil {
			f, err := e.initialise(ctx, lifecycle.PhaseInvoke, deadline)
			switch {
			case err != nil && e.ended(ctx) != nil:
				return ending{err: notDelivered(e.ended(ctx))}
			case err != nil:
				e.broken = err
				return ending{err: lifecycle.Dead(err)}
			case f != nil:
				return ending{failure: f}
			}
		}
		t := newTurn(inv, deadline)
		t.stream = out
		if !e.run.offer(t) {
			return ending{failure: e.lost()}
		}
		e.run.deadline = deadline
		// The runtime is at work already.
		if err := e.repay(); err != nil {
			e.broken = err // for the next one
		}
		e.journal.Opened()
		end, delivered := e.await(ctx, t)
		switch {
		case delivered || end.outcome != nil || end.failure != nil && end.failure.Timeout:
			return end
		case end.err != nil:
			return ending{err: notDelivered(end.err)}
		case !isClosed(e.box.Done()) && !again:
			return end
		}
		e.discard()
		if e.broken != nil || isClosed(e.box.Done()) {
			return ending{err: lifecycle.Dead(e.broken)}
		}
	}
}

// lost is a runtime that was ready and does not take the event.
func (e *environment) lost() *lifecycle.Failure {
	if e.run.exitsWithin(exitGrace) {
		return e.exitFailure(e.run)
	}
	return &lifecycle.Failure{Type: lifecycle.FailureOfPlatform, Message: "The runtime does not take the event", Fatal: true}
}

// await waits for what becomes of t.
func (e *environment) await(ctx context.Context, t *turn) (end ending, delivered bool) {
	r := e.run
	switch e.wait(ctx, r, t.deadline, (*session).answered) {
	case signMet:
	case signExit:
		if isClosed(e.box.Done()) {
			end.failure = exited(sandbox.ExitStatus{Signal: sigKill}, false)
			break
		}
		end.failure = e.exitFailure(r)
	case signLate:
		end.failure = lifecycle.TimedOut(e.version.Timeout)
	case signCancelled:
		end.err = e.ended(ctx)
	}
	out, delivered := r.session.abandon(t)
	switch {
	case out == nil:
	case out.failure != nil && out.failure.Type == errorTruncated && e.run.exitsWithin(exitGrace):
		// The answer broke off because the process ended, which says more.
		end = ending{failure: e.exitFailure(r)}
	default:
		end = ending{outcome: out}
	}
	return end, delivered
}

// conclude ends the run where it cannot go on, puts all output into the log,
// and returns the failure to report, nil if there was none.
func (e *environment) conclude(end ending, now time.Time) *lifecycle.Failure {
	f := end.failure
	if end.err != nil {
		f = &lifecycle.Failure{Type: lifecycle.FailureOfPlatform, Message: "The invocation was cancelled", Fatal: true}
	}
	if end.outcome == nil {
		e.discard()
		return f
	}
	f = end.outcome.failure
	if f != nil && f.Fatal {
		e.discard()
		return f
	}
	if f != nil && e.settles() == signExit {
		f = e.exitFailure(e.run)
		e.discard()
		return f
	}
	e.run.drain(now)
	return f
}

// settles waits for what a runtime does next that has reported an error: it
// asks for the next event, or it ends, and then it is reported with the
// invocation that it ended in. After a success nobody waits: what the runtime
// still does, it may until its deadline, and the next Invoke waits for it.
func (e *environment) settles() sign {
	return e.wait(context.Background(), e.run, time.Now().Add(exitGrace), (*session).ready)
}

// result is what the caller gets: an answer stands, whatever the runtime did
// after it.
func (e *environment) result(inv *millicent.Invocation, end ending) *millicent.Result {
	res := &millicent.Result{Version: e.version.Number}
	told := end.failure
	if end.outcome != nil {
		res.Payload, res.ContentType, told = end.outcome.payload, end.outcome.contentType, end.outcome.failure
	}
	if told != nil {
		res.Payload = told.Payload(inv.ID)
		res.FunctionError = "Unhandled"
		res.ErrorType = told.ReportedType()
	}
	return res
}
