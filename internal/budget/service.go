package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

// maxBudgets bounds how many budgets an owner has for one tenant.
const maxBudgets = 200

// loadTime is how long a start waits for what was spent. Other functions must
// not wait for a ledger that is being made again.
const loadTime = 10 * time.Second

// loadAgain is the pause before what was spent is asked for again when that
// failed.
const loadAgain = time.Second

// Config gives a Service what it needs. All of it but Now is required.
type Config struct {
	Definitions *store.Catalog[millicent.Budget]
	States      *store.Catalog[State]

	Most  func(*millicent.Version) millicent.Money     // see GateConfig
	Price func(*millicent.UsageRecord) millicent.Money // likewise

	Egress func(bytes int64) millicent.Money // likewise

	Currency func() string // likewise

	// Spent returns the price of what a part of a tenant used from a time on, a
	// zero time being no bound, up to a record, by its number: all that was
	// recorded before the call is in it.
	Spent func(ctx context.Context, tenant string, scope millicent.BudgetScope, from time.Time) (spent millicent.Money, last uint64, err error)

	// Usual is what SaveUsual wrote before the last stop, empty where nothing was:
	// what is usual for functions, and their pauses. SaveUsual returns when it
	// is durable.
	Usual     []byte
	SaveUsual func(content []byte) error

	// Enqueue has a function of a tenant run, and returns when that is sure.
	Enqueue func(ctx context.Context, inv *millicent.Invocation) error

	// Dial connects to an address to which functions may connect; see
	// ErrRefused.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	Now func() time.Time // default time.Now
	Log *slog.Logger
}

// State is what is remembered of a budget through restarts: all else is in the
// ledger.
type State struct {
	From time.Time `json:"from"` // of the period
	Told int       `json:"told"` // the highest percentage that was told of in it
}

// A Service keeps budgets' definitions, has its Gate enforce them, and tells of
// what they warn of. It is safe for concurrent use.
type Service struct {
	*Gate

	cfg  Config
	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup
	wake chan struct{} // something is pending

	paused chan struct{} // a pause has begun or was ended
	saved  []byte        // what SaveUsual wrote last; keepUsual's

	mu      sync.Mutex // guards what follows
	pending map[string]unknownPart
	teller  teller
}

// An unknownPart is a period of which a budget does not know what was spent.
type unknownPart struct {
	budget *millicent.Budget
	from   time.Time
}

// Open returns a Service with all budgets in force. ctx bounds the opening
// alone. Close it.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, wake: make(chan struct{}, 1), paused: make(chan struct{}, 1), pending: map[string]unknownPart{}, teller: newTeller()}
	s.life, s.end = context.WithCancel(context.Background())
	s.Gate = NewGate(GateConfig{Most: cfg.Most, Price: cfg.Price, Egress: cfg.Egress, Currency: cfg.Currency, Now: cfg.Now, News: s.news})
	cfg.Definitions.OnChange(s.changed)
	for _, b := range cfg.Definitions.All() {
		s.put(b, closed)
	}
	s.recallUsual()
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	if err := s.load(ctx); err != nil {
		// Nothing runs under those budgets until it succeeds.
		cfg.Log.Error("what was spent of budgets is not known yet", "error", err)
	}
	s.work.Go(s.run)
	s.work.Go(s.keepUsual)
	return s, nil
}

// Start has news told from now on.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.teller.started = true
	for tenant := range s.teller.waiting {
		s.tellTenant(tenant)
	}
}

// Close ends all that the service does. Its Gate goes on with what it knows.
func (s *Service) Close() error {
	s.end()
	s.work.Wait()
	return nil
}

// changed takes in a change of a definition.
func (s *Service) changed(before, after *millicent.Budget) {
	if after == nil {
		s.drop(before)
		return
	}
	s.put(after, counting)
}

func (s *Service) put(b *millicent.Budget, p phase) {
	from, known := s.Gate.put(b, p)
	if known {
		return
	}
	s.mu.Lock()
	s.pending[keyOf(b)] = unknownPart{b, from}
	s.mu.Unlock()
	signal(s.wake)
}

// signal tells a goroutine that there is something to do.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look
	}
}

func keyOf(b *millicent.Budget) string { return b.Tenant + "\x00" + b.ID() }

// run loads what is pending, until the service ends.
func (s *Service) run() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.wake:
		}
		for s.load(s.life) != nil {
			select {
			case <-s.life.Done():
				return
			case <-time.After(loadAgain):
			}
		}
	}
}

// load tells all budgets that do not know it what was spent before them.
func (s *Service) load(ctx context.Context) error {
	s.mu.Lock()
	pending := slices.Collect(maps.Keys(s.pending))
	s.mu.Unlock()
	var errs []error
	for _, key := range pending {
		errs = append(errs, s.loadOne(ctx, key))
	}
	return errors.Join(errs...)
}

// loadOne tells a budget what was spent before it, if it does not know that.
func (s *Service) loadOne(ctx context.Context, key string) error {
	s.mu.Lock()
	u, ok := s.pending[key]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	before, read, err := s.cfg.Spent(ctx, u.budget.Tenant, u.budget.Scope, u.from)
	if err != nil {
		return fmt.Errorf("budget %s of %s: %w", u.budget.ID(), u.budget.Tenant, err)
	}
	told := 0
	if state, ok := s.cfg.States.Get(u.budget.Tenant, u.budget.ID()); ok && state.From.Equal(u.from) {
		told = state.Told
	}
	s.mu.Lock()
	current := s.pending[key] == u
	if current {
		delete(s.pending, key)
	}
	s.mu.Unlock()
	if current {
		s.open(u.budget, u.from, before, read, told)
	}
	return nil
}

// Set makes or replaces a budget of the caller's, and returns when it is
// durable and enforced. Of another tenant only the operator's.
func (s *Service) Set(ctx context.Context, who millicent.Identity, b millicent.Budget) (*millicent.BudgetStatus, error) {
	b.Owner = millicent.OwnedByTenant
	if who.Operator {
		b.Owner = millicent.OwnedByOperator
	}
	if err := mayAct(who, b.Tenant); err != nil {
		return nil, err
	}
	if err := check(&b); err != nil {
		return nil, err
	}
	b.Changed = s.cfg.Now().UTC()
	_, err := s.cfg.Definitions.Update(ctx, b.Tenant, b.ID(), func(old *millicent.Budget) error { *old = b; return nil })
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		if err = s.room(&b); err == nil {
			err = s.cfg.Definitions.Create(ctx, b.Tenant, b.ID(), &b)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.loadOne(ctx, keyOf(&b)); err != nil {
		return nil, fmt.Errorf("the budget is stored, and is enforced once it is known what was spent: %w", err)
	}
	return s.Status(b.Tenant, b.ID())
}

// room refuses a budget beyond those that its owner may have.
func (s *Service) room(b *millicent.Budget) error {
	n := 0
	for _, other := range s.cfg.Definitions.List(b.Tenant) {
		if other.Owner == b.Owner {
			n++
		}
	}
	if n >= maxBudgets {
		return millicent.Errorf(millicent.CodeInvalid, "There may be %d budgets.", maxBudgets)
	}
	return nil
}

// Status returns how a tenant's budget stands.
func (s *Service) Status(tenant, id string) (*millicent.BudgetStatus, error) {
	for _, status := range s.Statuses(tenant) {
		if status.ID == id {
			return &status, nil
		}
	}
	return nil, notFound(id)
}

// Delete ends a budget. A tenant's callers cannot end the operator's.
func (s *Service) Delete(ctx context.Context, who millicent.Identity, tenant, id string) error {
	if err := mayAct(who, tenant); err != nil {
		return err
	}
	b, ok := s.cfg.Definitions.Get(tenant, id)
	switch {
	case !ok:
		return notFound(id)
	case b.Owner == millicent.OwnedByOperator && !who.Operator:
		return millicent.Errorf(millicent.CodeAccessDenied, "The budget %s is the operator's.", id)
	}
	if err := s.cfg.Definitions.Delete(ctx, tenant, id); err != nil {
		return err
	}
	err := s.cfg.States.Delete(ctx, tenant, id)
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return nil
	}
	return err
}

// Resume ends a function's pause. A tenant's callers cannot end one that the
// operator's budget asks for.
func (s *Service) Resume(who millicent.Identity, tenant, function string) error {
	if err := mayAct(who, tenant); err != nil {
		return err
	}
	for _, storm := range s.Storms(tenant) {
		if storm.Function != function {
			continue
		}
		if b, ok := s.cfg.Definitions.Get(tenant, storm.Budget); ok && b.Owner == millicent.OwnedByOperator && !who.Operator {
			return millicent.Errorf(millicent.CodeAccessDenied, "The budget %s that asks for the pause is the operator's.", storm.Budget)
		}
		s.Gate.Resume(tenant, function)
		signal(s.paused)
		s.cfg.Log.Info("pause of a function ended", "tenant", tenant, "function", function)
		return nil
	}
	return millicent.Errorf(millicent.CodeNotFound, "The function %s is not paused.", function)
}

func mayAct(who millicent.Identity, tenant string) error {
	if who.Function != "" || who.Tenant != tenant && !who.Operator {
		return millicent.Errorf(millicent.CodeAccessDenied, "Budgets of the account %.12s are not yours.", tenant)
	}
	return nil
}

func notFound(id string) error {
	return millicent.Errorf(millicent.CodeNotFound, "There is no budget %.300s.", id)
}
