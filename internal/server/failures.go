package server

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/invoke"
)

const (
	// failurePause is how long nothing more is said of a function's failures
	// once one was told.
	failurePause = 10 * time.Second

	// maxFailing bounds how many functions are kept in mind for that.
	maxFailing = 1000
)

// failures tells the operator of functions that fail and of callers that are
// throttled: the first of each function, and how many more there were when the
// next is told. The functions' logs and the metrics have them all.
type failures struct {
	next invoke.Observer // sees everything, too
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	told map[failing]*telling
}

// failing is what is told of apart: each kind of failure of each function.
type failing struct{ tenant, function, kind string }

type telling struct {
	at     time.Time // of the last telling
	untold int       // since then
}

// Invoked implements invoke.Observer.
func (f *failures) Invoked(inv *millicent.Invocation, res *millicent.Result, err error) {
	f.next.Invoked(inv, res, err)
	switch {
	case res != nil && res.FunctionError != "":
		if log := f.telling(inv, res.ErrorType); log != nil {
			log.Info("function failed")
		}
	case millicent.ErrorCode(err) == millicent.CodeRecursive:
		if log := f.telling(inv, millicent.CodeRecursive); log != nil {
			log.Warn("loop of invocations ended", "root", inv.Root, "hops", inv.Hops)
		}
	case millicent.ErrorCode(err) == millicent.CodeThrottled:
		var e *millicent.Error
		_ = errors.As(err, &e) // it has a code
		if log := f.telling(inv, e.Detail["Reason"]); log != nil {
			log.Info("invocation throttled")
		}
	}
}

// telling returns the log to tell a failure to; nil when it is not to be told.
func (f *failures) telling(inv *millicent.Invocation, kind string) *slog.Logger {
	untold, ok := f.due(failing{inv.Tenant, inv.Function, kind}, f.now())
	if !ok {
		return nil
	}
	log := f.log.With("function", inv.Function, "tenant", inv.Tenant, "id", inv.ID, "type", kind)
	if untold > 0 {
		log = log.With("untold", untold)
	}
	return log
}

// due reports whether a failure is to be told now, and how many were not told
// before it.
func (f *failures) due(key failing, now time.Time) (untold int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.told[key]
	if t == nil {
		if len(f.told) >= maxFailing {
			f.forget(now)
		}
		f.told[key] = &telling{at: now}
		return 0, true
	}
	if now.Sub(t.at) < failurePause {
		t.untold++
		return 0, false
	}
	untold = t.untold
	*t = telling{at: now}
	return untold, true
}

// forget makes room: what was told long ago goes, or all of it.
func (f *failures) forget(now time.Time) {
	for key, t := range f.told {
		if now.Sub(t.at) >= failurePause {
			delete(f.told, key)
		}
	}
	if len(f.told) >= maxFailing {
		clear(f.told)
	}
}

// observers are several that see everything, one after the other.
type observers []invoke.Observer

// Invoked implements invoke.Observer.
func (o observers) Invoked(inv *millicent.Invocation, res *millicent.Result, err error) {
	for _, next := range o {
		next.Invoked(inv, res, err)
	}
}
