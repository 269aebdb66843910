package millicent

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"
)

// A Budget bounds what a part of a tenant spends in a period. It has one of
// each ID at most.
type Budget struct {
	Tenant string      `json:"tenant"`
	Owner  BudgetOwner `json:"owner"` // who set it, and alone may change it
	Scope  BudgetScope `json:"scope"`
	Per    Period      `json:"per"`
	Zone   string      `json:"zone,omitempty"` // whose calendar days and months follow, such as Europe/Berlin; empty means UTC
	Amount Money       `json:"amount"`         // more than nothing

	// What happens. Percentages are of Amount, and count what is spent.
	Warn     []int           `json:"warn,omitempty"`     // percentages to tell of, ascending
	Webhook  string          `json:"webhook,omitempty"`  // URL that is told
	Notify   string          `json:"notify,omitempty"`   // function of the tenant that is told
	Throttle *BudgetThrottle `json:"throttle,omitempty"` // nil: never
	Stop     bool            `json:"stop,omitempty"`     // nothing runs that Amount may not cover

	// EndEvents says that asynchronous events that are refused end at once, as
	// dead letters or records of their failure; they wait otherwise.
	EndEvents bool `json:"endEvents,omitempty"`

	// Breaker pauses a function that suddenly spends much more than it usually
	// does, or is called from much deeper: see [Storm].
	Breaker bool `json:"breaker,omitempty"`

	Changed time.Time `json:"changed"`
}

// A BudgetThrottle lets a rate of invocations through once a part of a budget
// is spent.
type BudgetThrottle struct {
	Rate float64 `json:"rate"` // per second; a second's worth may come at once, and one at least
	At   int     `json:"at"`   // percentage
}

// A BudgetOwner is who set a budget.
type BudgetOwner string

// The owners of budgets.
const (
	OwnedByTenant   BudgetOwner = "tenant"
	OwnedByOperator BudgetOwner = "operator"
)

// A BudgetScope is what a budget covers of its tenant: all of it when zero,
// else one function, alias, tag or access key.
type BudgetScope struct {
	Function string `json:"function,omitempty"`
	Alias    string `json:"alias,omitempty"` // of Function
	Tag      string `json:"tag,omitempty"`   // its functions have Tag with Value
	Value    string `json:"value,omitempty"`
	Key      string `json:"key,omitempty"` // id of the access key that called
}

// Covers reports whether a record of the scope's tenant is covered.
func (s BudgetScope) Covers(rec *UsageRecord) bool {
	switch {
	case s.Function != "":
		return s.Function == rec.Function && (s.Alias == "" || s.Alias == rec.Alias)
	case s.Tag != "":
		value, ok := rec.Tags[s.Tag]
		return ok && value == s.Value
	case s.Key != "":
		return s.Key == rec.Key
	}
	return true
}

// String returns the scope's name, such as function/hello.
func (s BudgetScope) String() string {
	switch {
	case s.Alias != "":
		return "alias/" + s.Function + ":" + s.Alias
	case s.Function != "":
		return "function/" + s.Function
	case s.Tag != "":
		return "tag/" + s.Tag + "=" + s.Value
	case s.Key != "":
		return "key/" + s.Key
	}
	return "tenant"
}

// ID names the budget among those of its tenant, such as function/hello/day.
func (b *Budget) ID() string {
	id := b.Scope.String() + "/" + string(b.Per)
	if b.Owner == OwnedByOperator {
		id = "operator/" + id
	}
	return id
}

// A BudgetStatus tells where a budget stands.
type BudgetStatus struct {
	ID string `json:"id"`
	Budget

	From     time.Time `json:"from,omitzero"` // of the period
	To       time.Time `json:"to,omitzero"`   // of the period; zero when it has no end
	Spent    Money     `json:"spent"`
	Reserved Money     `json:"reserved"` // the most that what runs now can cost
	Running  int       `json:"running"`
	Left     Money     `json:"left"` // of Amount, without what is reserved
	Refused  int64     `json:"refused"`
	State    string    `json:"state"` // one of the Budget constants

	// Resumes is when what is refused now may run again: zero when nothing
	// is, or only a change of the budget helps.
	Resumes time.Time `json:"resumes,omitzero"`
}

// States of a budget.
const (
	BudgetOpen      = "open"
	BudgetThrottled = "throttled"
	BudgetStopped   = "stopped"
	BudgetCounting  = "counting" // what was spent is not known yet
)

// A Storm is why a function was paused: what it spent in a minute, and how
// deep in chains of invocations it was called, beside what is usual for it.
type Storm struct {
	Tenant   string `json:"tenant"`
	Function string `json:"function"`
	Budget   string `json:"budget"` // ID of the one that asks for the pause

	Began      time.Time `json:"began"`
	Until      time.Time `json:"until"`
	LastMinute Money     `json:"lastMinute"`
	Usual      Money     `json:"usual"` // per minute
	Hops       float64   `json:"hops"`  // on average
	UsualHops  float64   `json:"usualHops"`
}

// String states the evidence.
func (s *Storm) String() string {
	return fmt.Sprintf("it spent %v in a minute (usual: %v), called %.1f hops deep (usual: %.1f)", s.LastMinute, s.Usual, s.Hops, s.UsualHops)
}

// A BudgetRefusal is the cause of the Error of an invocation that a budget
// refused.
type BudgetRefusal struct {
	Budget    string    // its ID
	Resumes   time.Time // zero: when the budget is changed, or what runs has ended
	EndEvents bool      // as the budget says
}

// Error implements error.
func (r *BudgetRefusal) Error() string { return "refused by the budget " + r.Budget }

// A Period is a span of the calendar, again and again.
type Period string

// The periods of budgets.
const (
	PerHour  Period = "hour"
	PerDay   Period = "day"
	PerMonth Period = "month"
	InAll    Period = "total" // one without begin and end
)

// Bounds returns the period that t is in, from its begin to before its end; two
// zero times for InAll. Hours are UTC's in every zone.
func (p Period) Bounds(t time.Time, zone *time.Location) (from, to time.Time) {
	var begin func(n int) time.Time // of the nth period after t's
	local := t.In(zone)
	switch p {
	case PerHour:
		from = t.UTC().Truncate(time.Hour)
		return from, from.Add(time.Hour)
	case PerDay:
		begin = func(n int) time.Time {
			return time.Date(local.Year(), local.Month(), local.Day()+n, 0, 0, 0, 0, zone)
		}
	case PerMonth:
		begin = func(n int) time.Time {
			return time.Date(local.Year(), local.Month()+time.Month(n), 1, 0, 0, 0, 0, zone)
		}
	default:
		return time.Time{}, time.Time{}
	}
	// Where clocks leap over midnight, a day's begin may be on either side of
	// t: the day is the one between two begins.
	n := 0
	for begin(n).After(t) {
		n--
	}
	for !begin(n + 1).After(t) {
		n++
	}
	return begin(n).UTC(), begin(n + 1).UTC()
}

// ParseAllowance reads an amount and its period, as people write them: "5
// cents/day", "0.05 per month", "20 millicents". Without a period it is InAll.
func ParseAllowance(text string) (Money, Period, error) {
	number, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(text, "/", " per ")), " ")
	words := strings.Fields(rest)
	period := InAll
	if n := len(words); n >= 2 && words[n-2] == "per" {
		period, words = Period(words[n-1]), words[:n-2]
		switch period {
		case PerHour, PerDay, PerMonth, InAll:
		default:
			return 0, "", fmt.Errorf("%.64q is no period: choose hour, day, month or total", string(period))
		}
	}
	unit := strings.Join(words, " ")
	parts, known := map[string]Money{"": 1, "cent": 100, "cents": 100, "millicent": 100_000, "millicents": 100_000}[unit]
	if !known {
		return 0, "", fmt.Errorf("%.64q is no unit of money: choose cents, millicents, or none", unit)
	}
	amount, err := ParseMoney(number)
	switch {
	case err != nil:
		return 0, "", err
	case amount%parts != 0:
		return 0, "", fmt.Errorf("%.64q %s has too many decimal places", number, unit)
	}
	return amount / parts, period, nil
}

// Percent returns how much of the budget an amount is, in whole percent,
// rounded down.
func (b *Budget) Percent(amount Money) int {
	if b.Amount <= 0 || amount <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(amount), 100)
	if hi >= uint64(b.Amount) {
		return math.MaxInt
	}
	q, _ := bits.Div64(hi, lo, uint64(b.Amount))
	return int(min(q, math.MaxInt))
}

// CompareBudgets orders budgets by tenant and ID.
func CompareBudgets(a, b *Budget) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID(), b.ID()))
}
