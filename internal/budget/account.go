package budget

import (
	"time"

	"github.com/millicent-run/millicent"
)

// An account is how a budget stands in its period: a state that decides, upon
// the time it is given, what may run. What is spent and what is reserved are
// together never more than the amount of a budget that stops.
type account struct {
	budget *millicent.Budget // never changed, only replaced
	id     string
	zone   *time.Location

	from, to time.Time // of the period; zero times when it has no bounds

	spent    millicent.Money
	reserved millicent.Money // for what runs, also since before the period
	running  int             // reservations
	refused  int64           // in the period

	tokens float64   // of the throttle
	filled time.Time // when they were counted

	told  int // percentage that was told of in the period
	phase phase

	// What was spent before the account counted is read from the ledger, up to
	// a record; it counts those after that.
	read  uint64    // number of that record; zero before
	since []counted // by the account before it knew that record
}

// A counted is a cost that an account has counted, of a record by its number.
type counted struct {
	number uint64
	cost   millicent.Money
}

// maxSince bounds what is remembered of an account that does not know its past
// yet. What is beyond may count twice: rather too much than past a cap.
const maxSince = 1 << 18

// A phase is how far an account has come to know what was spent before it was
// made.
type phase int

const (
	closed   phase = iota // not known, and nothing runs before it is
	counting              // not known: it counts, and refuses nothing
	open                  // known
)

func newAccount(b *millicent.Budget, p phase, now time.Time) *account {
	a := &account{budget: b, id: b.ID(), zone: zoneOf(b.Zone), phase: p, filled: now}
	a.from, a.to = b.Per.Bounds(now, a.zone)
	a.tokens = burst(b.Throttle)
	return a
}

// zoneOf returns a zone by a name that was checked when the budget was set.
func zoneOf(name string) *time.Location {
	if zone, err := time.LoadLocation(name); err == nil {
		return zone
	}
	return time.UTC
}

// change gives an account another definition of its budget, of the same scope
// and period. In another zone the period is another, too, of which p says what
// holds until what was spent in it is known.
func (a *account) change(b *millicent.Budget, p phase, now time.Time) {
	a.roll(now)
	a.budget, a.tokens, a.filled = b, burst(b.Throttle), now
	if zone := zoneOf(b.Zone); zone.String() != a.zone.String() {
		a.zone = zone
		from := a.from
		a.from, a.to = b.Per.Bounds(now, zone)
		if !a.from.Equal(from) {
			a.phase, a.spent, a.refused, a.read, a.since = p, 0, 0, 0, nil
		}
	}
	a.told = b.Percent(a.spent) // what was passed before is no news
}

// roll begins a new period when its time has come. What runs stays reserved:
// whether its cost falls into the new period is known at its end.
func (a *account) roll(now time.Time) {
	if a.to.IsZero() || now.Before(a.to) {
		return
	}
	a.from, a.to = a.budget.Per.Bounds(now, a.zone)
	a.spent, a.refused, a.told = 0, 0, 0
	a.phase, a.since = open, nil // nothing of before counts
}

// A verdict says why an account refuses an invocation.
type verdict int

const (
	admitted  verdict = iota
	unknown           // what was spent is not known
	spent             // the amount is spent
	taken             // what runs may need what is left
	dear              // it alone may cost more than is left
	throttled         // the throttle's rate is exceeded
)

// judge returns what speaks against an invocation that may cost most.
func (a *account) judge(most millicent.Money, now time.Time) verdict {
	a.roll(now)
	b := a.budget
	switch {
	case a.phase == counting:
		return admitted
	case a.phase == closed:
		return unknown
	case !b.Stop:
	case a.spent >= b.Amount:
		return spent
	case a.spent.Add(most) > b.Amount:
		return dear
	case a.spent.Add(a.reserved).Add(most) > b.Amount:
		return taken
	}
	if a.slowed() {
		a.fill(now)
		if a.tokens < 1 {
			return throttled
		}
	}
	return admitted
}

// slowed reports whether the throttle is in force.
func (a *account) slowed() bool {
	t := a.budget.Throttle
	return t != nil && a.phase == open && a.budget.Percent(a.spent) >= t.At
}

// fill adds the tokens of the time that passed.
func (a *account) fill(now time.Time) {
	t := a.budget.Throttle
	if passed := now.Sub(a.filled); passed > 0 {
		a.tokens = min(a.tokens+passed.Seconds()*t.Rate, burst(t))
		a.filled = now
	}
}

// burst is how many invocations a throttle lets through at once.
func burst(t *millicent.BudgetThrottle) float64 {
	if t == nil {
		return 0
	}
	return max(t.Rate, 1)
}

// reserve takes what an admitted invocation may cost, and returns what it
// took: less where nothing stops and a sum has no end.
func (a *account) reserve(most millicent.Money) millicent.Money {
	a.running++
	if a.slowed() {
		a.tokens--
	}
	return a.hold(most)
}

// hold takes what something that runs may cost, or may cost more, and returns
// what it took.
func (a *account) hold(most millicent.Money) millicent.Money {
	took := min(most, millicent.MaxMoney-a.reserved)
	a.reserved += took
	return took
}

// affords reports whether something that runs may cost more: not where nobody
// knows what was spent.
func (a *account) affords(more millicent.Money, now time.Time) bool {
	a.roll(now)
	switch {
	case !a.budget.Stop, a.phase == counting:
		return true
	case a.phase == closed:
		return false
	}
	return a.spent.Add(a.reserved).Add(more) <= a.budget.Amount
}

// release gives back what was reserved for an invocation that has ended.
func (a *account) release(took millicent.Money) {
	a.reserved -= took
	a.running--
}

// charge counts the cost of a record whose use began at start. It returns the
// percentages that are to be told of now.
func (a *account) charge(number uint64, cost millicent.Money, start, now time.Time) (passed []int) {
	a.roll(now)
	if start.Before(a.from) && !now.Before(a.from) {
		return nil // the period before's, which is over: the clock was not put back
	}
	if number > 0 && number <= a.read {
		return nil // it was in what was read
	}
	a.spent = a.spent.Add(cost)
	if a.phase == open {
		return a.passed()
	}
	if len(a.since) < maxSince && a.spent < millicent.MaxMoney {
		a.since = append(a.since, counted{number, cost})
	}
	return nil
}

// passed returns the percentages that were passed and not told of.
func (a *account) passed() (passed []int) {
	if len(a.budget.Warn) == 0 {
		return nil
	}
	at := a.budget.Percent(a.spent)
	for _, percent := range a.budget.Warn {
		if percent > a.told && percent <= at {
			passed = append(passed, percent)
			a.told = percent
		}
	}
	return passed
}

// opened takes in what was spent in the period up to a record, which has all of
// before the account began to count, and the percentage that was told of.
func (a *account) opened(before millicent.Money, read uint64, told int) (passed []int) {
	for _, c := range a.since {
		if c.number > 0 && c.number <= read {
			a.spent -= c.cost // it is in before, too
		}
	}
	a.read, a.since = read, nil
	a.spent = a.spent.Add(before)
	a.told = max(a.told, told)
	a.phase = open
	return a.passed()
}

// news returns what is to be told of percentages that were passed.
func (a *account) news(passed []int, now time.Time) (all []News) {
	for _, percent := range passed {
		all = append(all, News{Status: a.status(now), Percent: percent})
	}
	return all
}

// resumes returns when what is refused for a verdict may run again; zero when
// time does not help.
func (a *account) resumes(v verdict, now time.Time) time.Time {
	switch v {
	case spent, dear:
		return a.to
	case throttled:
		missing := max(1-a.tokens, 0) / a.budget.Throttle.Rate
		return now.Add(time.Duration(missing * float64(time.Second)))
	}
	return time.Time{}
}

// status returns how the account stands.
func (a *account) status(now time.Time) millicent.BudgetStatus {
	a.roll(now)
	s := millicent.BudgetStatus{
		ID: a.id, Budget: *a.budget, From: a.from, To: a.to,
		Spent: a.spent, Reserved: a.reserved, Running: a.running, Refused: a.refused,
		Left: max(a.budget.Amount-a.spent.Add(a.reserved), 0), State: millicent.BudgetOpen,
	}
	switch {
	case a.phase != open:
		s.State = millicent.BudgetCounting
	case a.budget.Stop && a.spent >= a.budget.Amount:
		s.State, s.Resumes = millicent.BudgetStopped, a.to
	case a.slowed():
		s.State = millicent.BudgetThrottled
	}
	return s
}
