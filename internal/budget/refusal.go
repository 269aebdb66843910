package budget

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// A refusal is why an invocation may not run.
type refusal struct {
	verdict   verdict
	account   *account // nil in a storm
	id        string
	amount    millicent.Money
	spent     millicent.Money
	running   int
	throttle  *millicent.BudgetThrottle
	storm     millicent.Storm
	resumes   time.Time
	now       time.Time
	endEvents bool
}

// stormy is the verdict on a function that is paused.
const stormy verdict = -1

// weight orders verdicts by how much it takes to overcome them.
var weight = map[verdict]int{throttled: 1, taken: 2, unknown: 3, dear: 4, spent: 5}

// soon is up to when a client is told to come again: some wait as long as they
// are told, whatever their own patience.
const soon = time.Minute

// err returns what the caller of an invocation is told that may cost most;
// amounts are in a currency.
func (r *refusal) err(most millicent.Money, currency string) error {
	cause := &millicent.BudgetRefusal{Budget: r.id, Resumes: r.resumes, EndEvents: r.endEvents}
	if r.verdict == stormy {
		cause.Budget = r.storm.Budget
	}
	e := &millicent.Error{
		Code:    millicent.CodeThrottled,
		Message: r.message(most, currency),
		Detail:  map[string]string{"Reason": millicent.ReasonBudget, "Budget": cause.Budget, "retryAfterSeconds": r.retryAfter()},
		Err:     cause,
	}
	if !r.resumes.IsZero() {
		e.Detail["Resumes"] = r.resumes.UTC().Format(time.RFC3339)
	}
	return e
}

// retryAfter returns the seconds after which it is worth to come again, or "".
func (r *refusal) retryAfter() string {
	switch wait := r.resumes.Sub(r.now); {
	case r.verdict == taken, r.verdict == unknown:
		return "1"
	case r.resumes.IsZero(), wait > soon:
		return ""
	default:
		return strconv.Itoa(int(math.Ceil(max(wait.Seconds(), 1))))
	}
}

func (r *refusal) message(most millicent.Money, currency string) string {
	budget := fmt.Sprintf("the budget %s of %v %s", r.id, r.amount, currency)
	switch r.verdict {
	case stormy:
		return fmt.Sprintf("The function is paused until %s: %s. `millicent budget resume` ends the pause.", at(r.resumes), &r.storm)
	case spent:
		return fmt.Sprintf("What %s allows is spent.%s", budget, r.then())
	case dear:
		return fmt.Sprintf("An invocation with this timeout and memory may cost %v %s, and %v is left of %s.%s", most, currency, r.amount-r.spent, budget, r.then())
	case taken:
		return fmt.Sprintf("What is left of %s may be needed by the %d invocations that run; it is released as they end.", budget, r.running)
	case throttled:
		return fmt.Sprintf("Since %d%% of %s is spent, it lets %g invocations a second through.", r.throttle.At, budget, r.throttle.Rate)
	}
	return fmt.Sprintf("What was spent of %s is being counted.", budget)
}

// then says what helps.
func (r *refusal) then() string {
	if r.resumes.IsZero() {
		return " It has no period: only a change of it helps."
	}
	return " It begins again at " + at(r.resumes) + "."
}

func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
