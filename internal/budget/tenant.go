package budget

import (
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// A tenant is the budgets of one, and what its functions spend by the minute.
type tenant struct {
	name string

	mu       sync.Mutex          // guards what follows, and the accounts
	accounts map[string]*account // by ID

	// The accounts by what they cover.
	whole, tagged   []*account
	functions, keys map[string][]*account
	aliases         map[aliasName][]*account
	flows           map[string]*flow // by function, of those that a breaker watches
	flowing         bool             // there is a breaker
}

type aliasName struct{ function, alias string }

func newTenant(name string) *tenant {
	t := &tenant{name: name, accounts: map[string]*account{}, flows: map[string]*flow{}}
	t.index()
	return t
}

// index makes the maps that accounts are found by.
func (t *tenant) index() {
	t.whole, t.tagged, t.flowing = nil, nil, false
	t.functions, t.keys, t.aliases = map[string][]*account{}, map[string][]*account{}, map[aliasName][]*account{}
	for _, a := range t.accounts {
		t.flowing = t.flowing || a.budget.Breaker
		switch s := a.budget.Scope; {
		case s.Alias != "":
			name := aliasName{s.Function, s.Alias}
			t.aliases[name] = append(t.aliases[name], a)
		case s.Function != "":
			t.functions[s.Function] = append(t.functions[s.Function], a)
		case s.Tag != "":
			t.tagged = append(t.tagged, a)
		case s.Key != "":
			t.keys[s.Key] = append(t.keys[s.Key], a)
		default:
			t.whole = append(t.whole, a)
		}
	}
}

// covering appends the accounts to found that cover a use.
func (t *tenant) covering(found []*account, u use) []*account {
	found = append(append(found, t.whole...), t.functions[u.function]...)
	if u.alias != "" {
		found = append(found, t.aliases[aliasName{u.function, u.alias}]...)
	}
	if u.key != "" {
		found = append(found, t.keys[u.key]...)
	}
	for _, a := range t.tagged {
		if value, ok := u.tags[a.budget.Scope.Tag]; ok && value == a.budget.Scope.Value {
			found = append(found, a)
		}
	}
	return found
}

// reserve takes what an invocation may cost from all accounts that cover it, or
// from none.
func (t *tenant) reserve(h *hold, u use, most millicent.Money, now time.Time) *refusal {
	var buffer [inlined]*account
	t.mu.Lock()
	defer t.mu.Unlock()
	covering := t.covering(buffer[:0], u)
	if r := t.refusal(covering, u, most, now); r != nil {
		if r.account != nil {
			r.account.refused++
		}
		return r
	}
	h.taken = h.few[:0]
	for _, a := range covering {
		h.taken = append(h.taken, taking{a, a.reserve(most)})
		h.stops = h.stops || a.budget.Stop
	}
	return nil
}

// refusal returns the weightiest reason against a use, nil when there is none.
func (t *tenant) refusal(covering []*account, u use, most millicent.Money, now time.Time) *refusal {
	if t.flowing {
		if f := t.flows[u.function]; f != nil && breaker(covering) != nil {
			if s := f.paused(now); s != nil {
				return &refusal{verdict: stormy, storm: *s, resumes: s.Until, now: now, endEvents: breaker(covering).budget.EndEvents}
			}
		}
	}
	var worst *refusal
	for _, a := range covering {
		v := a.judge(most, now)
		if v != admitted && (worst == nil || weight[v] > weight[worst.verdict]) {
			worst = &refusal{
				verdict: v, account: a, id: a.id, amount: a.budget.Amount, spent: a.spent, running: a.running,
				throttle: a.budget.Throttle, resumes: a.resumes(v, now), now: now, endEvents: a.budget.EndEvents,
			}
		}
	}
	return worst
}

// breaker returns the account of the smallest budget that asks for pauses.
func breaker(covering []*account) *account {
	var found *account
	for _, a := range covering {
		if a.budget.Breaker && (found == nil || a.budget.Amount < found.budget.Amount) {
			found = a
		}
	}
	return found
}

// charge counts a use that has ended.
func (t *tenant) charge(rec *millicent.UsageRecord, cost millicent.Money, hops int, now time.Time) (news []News) {
	var buffer [inlined]*account
	covering := t.covering(buffer[:0], use{rec.Function, rec.Alias, rec.Key, rec.Tags})
	for _, a := range covering {
		news = append(news, a.news(a.charge(rec.Number, cost, rec.Start, now), now)...)
	}
	if !t.flowing || rec.Kind != millicent.UsageInvocation {
		return news
	}
	if a := breaker(covering); a != nil {
		news = append(news, t.watch(a, rec.Function, cost, hops, now)...)
	}
	return news
}

// maxFlows bounds how many functions of a tenant are watched at a time.
const maxFlows = 10_000

// watch counts what a function spends by the minute, and pauses it in a storm.
func (t *tenant) watch(a *account, function string, cost millicent.Money, hops int, now time.Time) []News {
	f := t.flows[function]
	if f == nil {
		if len(t.flows) >= maxFlows {
			t.forget(now)
		}
		f = &flow{minute: now.Unix() / 60}
		t.flows[function] = f
	}
	f.charge(cost, hops, now)
	if f.paused(now) != nil {
		return nil
	}
	s := f.stormy(a.budget.Amount, now)
	if s == nil {
		return nil
	}
	s.Tenant, s.Function, s.Budget = t.name, function, a.id
	f.pause(s)
	return []News{{Status: a.status(now), Storm: s}}
}
