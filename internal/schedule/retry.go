package schedule

import (
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

// Why a tick is not tried again, in the words of the dead letter's attribute.
const (
	exhaustedRetries = "MaximumRetryAttempts"
	exhaustedAge     = "MaximumEventAgeInSeconds"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 8 * time.Minute // 185 of them are a day
)

// backoff is how long to wait after a number of failed attempts, from 1.
func backoff(attempts int) time.Duration {
	if attempts > 9 {
		return maxBackoff
	}
	return min(firstBackoff<<(attempts-1), maxBackoff)
}

// A verdict is what becomes of a tick whose attempt failed.
type verdict struct {
	again     time.Time // when to try again; zero: not
	exhausted string    // why not; empty when trying again is no use
}

// retry decides about a tick of a time whose latest of a number of attempts
// failed.
func retry(t millicent.ScheduleTarget, tick time.Time, attempts int, err error, now time.Time) verdict {
	if hopeless(err) {
		return verdict{}
	}
	if attempts > t.MaxRetries {
		return verdict{exhausted: exhaustedRetries}
	}
	again := now.Add(backoff(attempts))
	if again.Sub(tick) > t.MaxAge {
		return verdict{exhausted: exhaustedAge}
	}
	return verdict{again: again}
}

// hopeless reports whether an error is of the kind that stays: a target that
// is not there, or a message that it will never take.
func hopeless(err error) bool {
	switch millicent.ErrorCode(err) {
	case millicent.CodeThrottled, millicent.CodeConflict, millicent.CodeInternal, millicent.CodeServerUnavailable,
		queue.CodeFull, sqs.CodeOverLimit, sqs.CodeThrottledRequests:
		return false
	}
	return true
}
