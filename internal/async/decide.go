package async

import (
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// What becomes of an event, as a pure function of how an attempt ended, of what
// there was before, and of the time.

// An outcome is how an attempt at an event ended.
type outcome int

const (
	succeeded    outcome = iota
	failed               // the function failed
	refused              // throttled, or the platform failed
	off                  // the function's reserved concurrency is zero
	looped               // the function may not run in its chain of invocations
	missing              // there is no such version or alias
	unaffordable         // a budget refused it that says so
	changing             // the version is being made or updated
	tooOld               // not tried: it is past its age
	unavailable          // nothing can be run at the moment
	stopping             // the server stops
)

// Conditions of the end of an event, as records and metrics name them: AWS's
// four, and three of our own for what AWS does not tell.
const (
	conditionSuccess   = "Success"
	conditionExhausted = "RetriesExhausted"
	conditionAge       = "EventAgeExceeded"
	conditionOff       = "ZeroReservedConcurrency"
	conditionLoop      = "RecursiveInvocation"
	conditionMissing   = "VersionNotFound"
	conditionBudget    = "BudgetExceeded"
)

const (
	minBackOff  = time.Second
	maxBackOff  = 5 * time.Minute
	changePause = 100 * time.Millisecond // until a version that changes is looked at again
	serverPause = time.Second            // until a server that runs nothing is asked again
)

// terms are what an EventConfig comes to.
type terms struct {
	retries int
	maxAge  time.Duration
}

func termsOf(c *millicent.EventConfig) terms {
	t := terms{millicent.DefaultEventRetries, millicent.DefaultEventAge}
	if c == nil {
		return t
	}
	if c.Retries != nil {
		t.retries = *c.Retries
	}
	if c.MaxAge > 0 {
		t.maxAge = c.MaxAge
	}
	return t
}

// A verdict says what to do with an event: to end it, under a condition, or to
// try it again after a while.
type verdict struct {
	condition string // empty: try again
	after     time.Duration
	progress  queue.Progress
}

// decide returns the verdict on an event of an age.
func decide(o outcome, p queue.Progress, age time.Duration, t terms) verdict {
	switch o {
	case succeeded:
		p.Attempts++
		return verdict{conditionSuccess, 0, p}
	case off:
		return verdict{conditionOff, 0, p}
	case looped:
		return verdict{conditionLoop, 0, p}
	case missing:
		return verdict{conditionMissing, 0, p}
	case unaffordable:
		return verdict{conditionBudget, 0, p}
	case tooOld:
		return verdict{conditionAge, 0, p}
	case failed:
		return afterFailure(p, age, t)
	case refused:
		if age >= t.maxAge {
			return verdict{conditionAge, 0, p}
		}
		wait := min(backOff(p.Throttles), t.maxAge-age)
		p.Throttles++
		return verdict{"", wait, p}
	case changing:
		return verdict{"", changePause, p}
	case unavailable:
		return verdict{"", serverPause, p}
	}
	return verdict{"", 0, p} // stopping
}

// afterFailure counts a failed attempt. There is no next one where it would
// come too late.
func afterFailure(p queue.Progress, age time.Duration, t terms) verdict {
	p.Attempts++
	p.Throttles = 0
	wait := time.Duration(p.Attempts) * time.Minute
	switch {
	case p.Attempts > t.retries:
		return verdict{conditionExhausted, 0, p}
	case age+wait > t.maxAge:
		return verdict{conditionAge, 0, p}
	}
	return verdict{"", wait, p}
}

// backOff returns how long to wait after n refusals in a row and one more.
func backOff(n int) time.Duration {
	return min(minBackOff<<min(n, 20), maxBackOff)
}
