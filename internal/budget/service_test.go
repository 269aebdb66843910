package budget

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/store"
)

// usage is a ledger of the tests.
type usage struct {
	mu      sync.Mutex
	records []millicent.UsageRecord
	err     error
}

func (u *usage) spent(_ context.Context, tenant string, scope millicent.BudgetScope, from time.Time) (sum millicent.Money, last uint64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.records {
		rec := &u.records[i]
		if rec.Tenant == tenant && scope.Covers(rec) && !rec.Start.Before(from) {
			sum += price(rec)
		}
	}
	return sum, uint64(len(u.records)), u.err
}

func (u *usage) add(kind millicent.UsageKind, function string, cost int64, start time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.records = append(u.records, millicent.UsageRecord{Kind: kind, Tenant: account1, Function: function, Quantity: cost, Start: start})
}

// state is what outlives a Service: definitions, and the ledger.
type state struct {
	js    jetstream.JetStream
	usage usage

	mu     sync.Mutex
	events []Notice // that functions got
	usual  []byte   // that was saved
}

func newState(t *testing.T) *state {
	t.Helper()
	srv, err := natsd.Start(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	conn, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &state{js: js}
}

func (s *state) enqueue(_ context.Context, inv *millicent.Invocation) error {
	var n Notice
	if err := json.Unmarshal(inv.Event, &n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, n)
	return nil
}

// open opens a Service; close ends it as the end of the process would.
func (s *state) open(t *testing.T, now time.Time) (service *Service, end func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	definitions, err := store.OpenCatalog[millicent.Budget](t.Context(), s.js, "budgets", log)
	if err != nil {
		t.Fatal(err)
	}
	states, err := store.OpenCatalog[State](t.Context(), s.js, "budget-states", log)
	if err != nil {
		t.Fatal(err)
	}
	service, err = Open(t.Context(), Config{
		Definitions: definitions, States: states, Most: most, Price: price, Egress: egressPrice, Currency: func() string { return "EUR" }, Spent: s.usage.spent, Enqueue: s.enqueue,
		Usual: s.usual, SaveUsual: func(content []byte) error { s.usual = content; return nil },
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
		Now: func() time.Time { return now }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return service, func() {
		if err := errors.Join(service.Close(), definitions.Close(), states.Close()); err != nil {
			t.Error(err)
		}
	}
}

var (
	someone  = millicent.Identity{Tenant: account1, AccessKey: "K"}
	operator = millicent.Identity{Tenant: account1, Operator: true}
)

func mustSet(t *testing.T, s *Service, who millicent.Identity, b millicent.Budget) *millicent.BudgetStatus {
	t.Helper()
	if b.Tenant == "" {
		b.Tenant = account1
	}
	status, err := s.Set(t.Context(), who, b)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// TestSpentSurvives: a budget that is set knows what its period has cost
// already, and so it does after each start.
func TestSpentSurvives(t *testing.T) {
	st := newState(t)
	st.usage.add(millicent.UsageQueue, "", 3, noon.Add(-13*time.Hour)) // yesterday
	st.usage.add(millicent.UsageQueue, "", 40, noon.Add(-time.Hour))
	st.usage.add(millicent.UsageQueue, "hello", 50, noon.Add(-time.Minute))
	s, end := st.open(t, noon)
	all := mustSet(t, s, someone, millicent.Budget{Per: millicent.PerDay, Amount: 100, Stop: true})
	one := mustSet(t, s, someone, millicent.Budget{Scope: millicent.BudgetScope{Function: "hello"}, Per: millicent.InAll, Amount: 100, Stop: true})
	if all.Spent != 90 || one.Spent != 50 || all.State != millicent.BudgetOpen {
		t.Errorf("%v and %v are spent, want 90 and 50: %+v", all.Spent, one.Spent, all)
	}
	rec := millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Function: "hello", Quantity: 10, Start: noon}
	s.Count(&rec)
	st.usage.add(rec.Kind, rec.Function, rec.Quantity, rec.Start)
	before := s.Statuses("")
	end()

	s, end = st.open(t, noon.Add(time.Second))
	defer end()
	if diff := cmp.Diff(before, s.Statuses("")); diff != "" || before[1].Spent != 100 {
		t.Errorf("after a start (-before +after): %s", diff)
	}
	f := &millicent.Function{Tenant: account1, Name: "hello"}
	_, err := s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, &millicent.Version{})
	wantRefusal(t, err, "tenant/day")
	if raised := mustSet(t, s, someone, millicent.Budget{Per: millicent.PerDay, Amount: 2 * perRequest, Stop: true}); raised.Spent != 100 {
		t.Errorf("a raise leaves %v spent", raised.Spent)
	}
}

// TestUnknownIsRefused: while the ledger cannot be asked, nothing runs under a
// budget that a start found.
func TestUnknownIsRefused(t *testing.T) {
	st := newState(t)
	s, end := st.open(t, noon)
	mustSet(t, s, someone, millicent.Budget{Per: millicent.PerDay, Amount: millicent.Unit, Stop: true})
	end()
	st.usage.err = errors.New("not now")
	s, end = st.open(t, noon)
	defer end()
	f := &millicent.Function{Tenant: account1, Name: "hello"}
	_, err := s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, &millicent.Version{})
	if e := wantRefusal(t, err, "tenant/day"); e.Detail["retryAfterSeconds"] != "1" {
		t.Errorf("got %v", e)
	}
	st.usage.mu.Lock()
	st.usage.err = nil
	st.usage.mu.Unlock()
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if settle, err := s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, &millicent.Version{}); err != nil {
		t.Error(err)
	} else {
		settle(nil)
	}
}

// TestOwners: a tenant sees the operator's budgets and cannot change, replace or
// end them, nor a pause that they ask for; nor anything of another tenant's.
func TestOwners(t *testing.T) {
	st := newState(t)
	s, end := st.open(t, noon)
	defer end()
	b := millicent.Budget{Per: millicent.PerDay, Amount: 100, Stop: true, Breaker: true}
	mustSet(t, s, operator, b)
	b.Amount = millicent.MaxMoney
	b.Owner = millicent.OwnedByOperator // whatever it says
	b.Breaker = false
	mustSet(t, s, someone, b)
	s.Count(&millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Quantity: 100, Start: noon})
	f := &millicent.Function{Tenant: account1, Name: "hello"}
	_, err := s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, &millicent.Version{})
	wantRefusal(t, err, "operator/tenant/day")

	stranger := millicent.Identity{Tenant: "222222222222", AccessKey: "L"}
	function := millicent.Identity{Tenant: account1, Function: "hello"}
	wantCode := func(what string, err error, code string) {
		t.Helper()
		if millicent.ErrorCode(err) != code {
			t.Errorf("%s: got %v, want %s", what, err, code)
		}
	}
	ctx := t.Context()
	wantCode("end the operator's", s.Delete(ctx, someone, account1, "operator/tenant/day"), millicent.CodeAccessDenied)
	wantCode("end another's", s.Delete(ctx, stranger, account1, "tenant/day"), millicent.CodeAccessDenied)
	wantCode("end one's own, as a function", s.Delete(ctx, function, account1, "tenant/day"), millicent.CodeAccessDenied)
	wantCode("end none", s.Delete(ctx, someone, account1, "tenant/hour"), millicent.CodeNotFound)
	_, err = s.Set(ctx, stranger, millicent.Budget{Tenant: account1, Per: millicent.PerDay, Amount: 1})
	wantCode("set another's", err, millicent.CodeAccessDenied)

	now := noon.Unix() / 60
	tn := s.tenant(account1)
	tn.flows["hello"] = &flow{minute: now, storm: &millicent.Storm{Function: "hello", Budget: "operator/tenant/day", Until: noon.Add(time.Hour)}}
	_, err = s.Reserve(&millicent.Invocation{Tenant: account1, Function: "hello"}, f, &millicent.Version{})
	wantRefusal(t, err, "operator/tenant/day")
	wantCode("resume", s.Resume(someone, account1, "hello"), millicent.CodeAccessDenied)
	wantCode("resume another's", s.Resume(stranger, account1, "hello"), millicent.CodeAccessDenied)
	wantCode("resume what is not paused", s.Resume(someone, account1, "calm"), millicent.CodeNotFound)
	wantCode("resume, as the operator", s.Resume(operator, account1, "hello"), "")
	wantCode("end both", errors.Join(s.Delete(ctx, operator, account1, "operator/tenant/day"), s.Delete(ctx, someone, account1, "tenant/day")), "")
	if left := s.Statuses(""); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestBoundOfBudgets(t *testing.T) {
	st := newState(t)
	s, end := st.open(t, noon)
	defer end()
	for i := range maxBudgets {
		b := &millicent.Budget{Tenant: account1, Owner: millicent.OwnedByTenant, Scope: millicent.BudgetScope{Key: string(rune('A' + i%26))}, Per: millicent.PerDay, Amount: 1}
		if err := s.cfg.Definitions.Create(t.Context(), account1, b.ID()+string(rune('0'+i/26)), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Set(t.Context(), someone, millicent.Budget{Tenant: account1, Per: millicent.PerDay, Amount: 1}); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("one more: %v", err)
	}
	mustSet(t, s, operator, millicent.Budget{Per: millicent.PerDay, Amount: 1})
}

// TestWarningsAreTold: webhook and function are told of each percentage, what a
// stop cut off after the next start, and nothing twice otherwise.
func TestWarningsAreTold(t *testing.T) {
	got := make(chan Notice, 10)
	fail := make(chan bool, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n Notice
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&n); err != nil {
			t.Error(err)
		}
		got <- n
		select {
		case <-fail:
			w.WriteHeader(http.StatusInternalServerError)
		default:
		}
	}))
	defer hook.Close()
	st := newState(t)
	s, end := st.open(t, noon)
	remembered := make(chan int, 10)
	s.cfg.States.OnChange(func(_, after *State) { remembered <- after.Told })
	s.Start()
	fail <- true
	mustSet(t, s, someone, millicent.Budget{Per: millicent.PerDay, Amount: 100, Warn: []int{100, 80, 50}, Webhook: hook.URL, Notify: "alarm"})
	use := func(cost int64) {
		rec := millicent.UsageRecord{Kind: millicent.UsageQueue, Tenant: account1, Quantity: cost, Start: noon}
		st.usage.add(rec.Kind, "", cost, noon)
		s.Count(&rec)
	}
	use(60)
	first, again := <-got, <-got // the webhook failed once
	if first.Percent != 50 || first.Budget.Spent != 60 || first.Budget.ID != "tenant/day" || first.Source != "millicent.budget" {
		t.Errorf("told %+v", first)
	}
	if diff := cmp.Diff(first, again, cmpopts.IgnoreFields(Notice{}, "Time")); diff != "" {
		t.Errorf("told again (-first +again): %s", diff)
	}
	if told := <-remembered; told != 50 {
		t.Errorf("%d %% is remembered", told)
	}
	end()

	// Told nothing while it was not started: as if it was cut off.
	s, end = st.open(t, noon)
	use(30)
	end()
	if len(got) != 0 {
		t.Errorf("told %+v before the start", <-got)
	}
	s, end = st.open(t, noon)
	defer end()
	s.Start()
	if n := <-got; n.Percent != 80 || n.Budget.Spent != 90 {
		t.Errorf("after a start: told %+v", n)
	}
	use(20)
	if n := <-got; n.Percent != 100 {
		t.Errorf("at last: told %+v", n)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	var told []int
	for _, n := range st.events {
		told = append(told, n.Percent)
	}
	if diff := cmp.Diff([]int{50, 80, 100}, told); diff != "" {
		t.Errorf("the function was told (-want +got): %s", diff)
	}
}

func TestCheck(t *testing.T) {
	good := millicent.Budget{Tenant: account1, Per: millicent.PerDay, Amount: 1}
	for name, change := range map[string]func(*millicent.Budget){
		"tenant":              func(b *millicent.Budget) { b.Tenant = "me" },
		"no amount":           func(b *millicent.Budget) { b.Amount = 0 },
		"negative":            func(b *millicent.Budget) { b.Amount = -1 },
		"period":              func(b *millicent.Budget) { b.Per = "week" },
		"zone":                func(b *millicent.Budget) { b.Zone = "../../etc/passwd" },
		"local zone":          func(b *millicent.Budget) { b.Zone = "Local" },
		"function":            func(b *millicent.Budget) { b.Scope.Function = "a/b" },
		"alias of nothing":    func(b *millicent.Budget) { b.Scope.Alias = "live" },
		"version":             func(b *millicent.Budget) { b.Scope.Function, b.Scope.Alias = "f", "7" },
		"two scopes":          func(b *millicent.Budget) { b.Scope.Function, b.Scope.Key = "f", "K" },
		"tag without value":   func(b *millicent.Budget) { b.Scope.Tag = "team" },
		"value of no tag":     func(b *millicent.Budget) { b.Scope.Value = "red" },
		"key":                 func(b *millicent.Budget) { b.Scope.Key = "a b" },
		"warning of nothing":  func(b *millicent.Budget) { b.Warn = []int{0} },
		"many warnings":       func(b *millicent.Budget) { b.Warn = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11} },
		"no rate":             func(b *millicent.Budget) { b.Throttle = &millicent.BudgetThrottle{At: 100} },
		"throttle's percent":  func(b *millicent.Budget) { b.Throttle = &millicent.BudgetThrottle{Rate: 1, At: -1} },
		"ends no events":      func(b *millicent.Budget) { b.EndEvents = true },
		"webhook of a file":   func(b *millicent.Budget) { b.Webhook = "file:///etc/passwd" },
		"webhook with secret": func(b *millicent.Budget) { b.Webhook = "https://me:secret@example.com/" },
		"notified":            func(b *millicent.Budget) { b.Notify = "arn:aws:lambda" },
	} {
		b := good
		change(&b)
		if err := check(&b); millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := check(&good); err != nil {
		t.Error(err)
	}
}
