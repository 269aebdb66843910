package launcher

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/wasm"
)

// Invoke implements millicent.Environment. What the function answers is in the
// Result as a whole.
func (e *environment) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	select {
	case e.slot <- struct{}{}:
	default:
		if e.ctx.Err() != nil {
			return nil, lifecycle.Dead(nil)
		}
		return nil, millicent.Errorf(millicent.CodeInternal, "The execution environment serves another invocation.")
	}
	defer func() { <-e.slot }()
	if e.ctx.Err() != nil {
		return nil, lifecycle.Dead(nil)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	within := &waiting{Context: ctx, open: e.ctx}
	defer within.over()
	return e.serve(ctx, within, inv)
}

// An ending is what came of an invocation.
type ending struct {
	answer  *wasm.Answer       // of the guest
	failure *lifecycle.Failure // the guest's, or what happened instead
	err     error              // or why nobody waits any more
}

// serve runs inv to its end and writes its log. within ends with ctx, and with
// Close.
func (e *environment) serve(ctx, within context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	usage := millicent.Usage{Start: time.Now(), Cold: e.cold, MemoryMB: e.version.MemoryMB}
	if e.cold {
		usage.Init = e.init
	}
	e.again = nil
	e.journal.Begin(inv, usage.Start)

	deadline := usage.Start.Add(e.version.Timeout)
	end := e.attempt(ctx, within, inv, deadline)
	usage.Duration = min(time.Since(usage.Start), e.version.Timeout) // what budgets hold is for no more
	if millicent.ErrorCode(end.err) == millicent.CodeEnvironmentDead {
		e.journal.End()
		return nil, end.err
	}
	f := end.failure
	if end.err != nil {
		f = &lifecycle.Failure{Type: lifecycle.FailureOfPlatform, Message: "The invocation was cancelled", Fatal: true}
	}
	if f != nil && f.Timeout {
		usage.Duration = e.version.Timeout // nobody pays for the platform's stopping
	}
	e.measure(end, &usage)
	e.cold = false
	if f != nil {
		if line := lifecycle.Failed(inv.ID, time.Now(), f); line != "" && !e.journal.JSON() {
			e.journal.Text(line)
		}
	}
	res := e.result(inv, end)
	res.Start = e.startOf(usage)
	res.Usage = usage
	res.LogTail = e.journal.Finish(&lifecycle.Ending{
		Usage: usage, Produced: int64(len(res.Payload)), Failure: f, Delay: lifecycle.DelayOf(inv, res),
	})
	if end.err != nil {
		return nil, end.err
	}
	return res, nil
}

// attempt gives inv to the session, opening one where none is. A host that
// turns out to have ended before it saw the event is replaced, once.
func (e *environment) attempt(ctx, within context.Context, inv *millicent.Invocation, deadline time.Time) ending {
	for again := true; ; again = false {
		if e.session == nil {
			f, err := e.initialise(within, lifecycle.PhaseInvoke, time.Until(deadline))
			switch {
			case err != nil && e.ended(ctx) != nil:
				return ending{err: e.notDelivered(ctx)}
			case err != nil:
				return ending{err: lifecycle.Dead(err)}
			case f != nil:
				return ending{failure: f}
			}
		}
		e.journal.Opened()
		a, err := e.session.Serve(within, e.request(inv, deadline))
		e.output.Flush()
		if err == nil {
			return ending{answer: a, failure: e.failure(a.Failure)}
		}
		if e.ended(ctx) != nil {
			return ending{err: e.ended(ctx)}
		}
		if closeErr := e.drop(); closeErr != nil {
			e.log.Warn("session not closed", "error", closeErr)
		}
		e.after = millicent.StartAfterFailure
		switch {
		case errors.Is(err, wasm.ErrNotServed) && again:
		case errors.Is(err, wasm.ErrNotServed):
			return ending{err: lifecycle.Dead(err)}
		case errors.Is(err, wasm.ErrHostGone):
			return ending{failure: lifecycle.Exited(0, syscall.SIGKILL, false)}
		default:
			e.log.Warn("invocation failed by the platform", "invocation", inv.ID, "error", err)
			return ending{failure: &lifecycle.Failure{Type: lifecycle.FailureOfPlatform, Message: "The function could not be run", Fatal: true}}
		}
	}
}

// notDelivered is the error for an invocation that the function did not see and
// that nobody waits for any more.
func (e *environment) notDelivered(ctx context.Context) error {
	if err := e.ended(ctx); !errors.Is(err, lifecycle.ErrClosed) {
		return err
	}
	return lifecycle.Dead(lifecycle.ErrClosed)
}

// request returns what the guest gets of inv.
func (e *environment) request(inv *millicent.Invocation, deadline time.Time) *wasm.Request {
	env := make([]string, 0, 6)
	env = append(env, wasm.EnvRequestID+"="+inv.ID, wasm.EnvFunctionARN+"="+inv.ARN, e.stream,
		wasm.EnvDeadline+"="+strconv.FormatInt(deadline.UnixMilli(), 10))
	if inv.TraceID != "" {
		env = append(env, wasm.EnvTraceID+"="+inv.TraceID)
	}
	if len(inv.ClientContext) > 0 {
		env = append(env, wasm.EnvClientContext+"="+string(inv.ClientContext))
	}
	event := inv.Event
	if len(event) == 0 {
		event = []byte("{}")
	}
	req := &wasm.Request{Event: event, Environ: env, Deadline: deadline, Log: guestLog{e}}
	if e.fetcher != nil {
		e.fetcher.Begin(inv.Pay)
		req.Fetch = e.fetcher.Fetch
	}
	return req
}

// measure completes what an invocation used by what the host has counted.
func (e *environment) measure(end ending, usage *millicent.Usage) {
	if a := end.answer; a != nil {
		usage.CPU, usage.Fuel = a.CPU, a.Fuel
		usage.PeakMemoryMB = min((a.Peak+1<<20-1)>>20, e.version.MemoryMB)
	}
	if e.fetcher != nil {
		sent := e.fetcher.Sent()
		usage.Egress, e.sent = sent-e.sent, sent
	}
	if end.failure != nil && end.failure.Reported == lifecycle.OutOfMemory {
		usage.PeakMemoryMB = e.version.MemoryMB // the limit ended the guest
	}
}

// startOf returns the record of the start that an invocation waited for, nil
// where there was none.
func (e *environment) startOf(usage millicent.Usage) *millicent.StartRecord {
	rec := e.again
	switch {
	case usage.Cold:
		cold := e.started
		rec = &cold
		rec.FirstByte = usage.Duration
	case rec == nil:
		return nil
	default: // within the invocation
		rec.FirstByte = max(0, usage.Duration-rec.Total())
	}
	rec.Memory = int64(usage.PeakMemoryMB) << 20
	return rec
}

// result is what the caller gets.
func (e *environment) result(inv *millicent.Invocation, end ending) *millicent.Result {
	res := &millicent.Result{Version: e.version.Number}
	if f := end.failure; f != nil {
		res.Payload, res.FunctionError, res.ErrorType = f.Payload(inv.ID), "Unhandled", f.ReportedType()
	} else if end.answer != nil {
		res.Payload, res.ContentType = end.answer.Payload, "application/json"
	}
	return res
}

// failure returns what the platform makes of a guest's failure, nil for none.
func (e *environment) failure(f *wasm.Failure) *lifecycle.Failure {
	switch {
	case f == nil:
		return nil
	case f.Timeout:
		return lifecycle.TimedOut(e.version.Timeout)
	case f.Document != nil:
		return &lifecycle.Failure{Type: lifecycle.FunctionErrorType(f.Type), Document: f.Document}
	case f.Type == lifecycle.OutOfMemory:
		return lifecycle.Exited(0, syscall.SIGKILL, true)
	case f.Type == wasm.TypeTooLarge:
		return lifecycle.ResponseTooLarge(wasm.MaxAnswer)
	case f.Type == wasm.TypeTrap:
		e.journal.Text(f.Message) // with the guest's stack
		return &lifecycle.Failure{Type: "Runtime.ExitError", Message: "Runtime exited with error: signal: aborted", Fatal: true}
	}
	return &lifecycle.Failure{Type: f.Type, Message: f.Message, Fatal: true}
}
