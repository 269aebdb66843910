package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/budget"
	"github.com/millicent-run/millicent/internal/durable"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/invoke"
	"github.com/millicent-run/millicent/internal/ledger"
)

// usualFile is what is usual for functions, and their pauses: see
// docs/formats/budgets.md.
const usualFile = "usual" // in usageDir

// openBudgets has budgets hold, with what was spent of them so far.
func (s *server) openBudgets(ctx context.Context) error {
	definitions, err := openCatalog[millicent.Budget](ctx, s, "budgets")
	if err != nil {
		return err
	}
	states, err := openCatalog[budget.State](ctx, s, "budget-states")
	if err != nil {
		return err
	}
	usual := filepath.Join(s.cfg.Data, usageDir, usualFile)
	known, err := os.ReadFile(usual)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.budgets, err = budget.Open(ctx, budget.Config{
		Definitions: definitions, States: states, Most: s.most, Price: s.price, Egress: s.egressPrice, Spent: s.spent,
		Currency: func() string { return s.books.At(time.Now()).Currency },
		Usual:    known, SaveUsual: func(content []byte) error { return durable.WriteFile(usual, content, 0o600) },
		Enqueue: func(ctx context.Context, inv *millicent.Invocation) error { return s.events.Enqueue(ctx, inv) },
		Dial:    s.dialWebhook,
		Log:     s.log,
	})
	if err != nil {
		return err
	}
	s.built.push("budgets", func(context.Context) error { return s.budgets.Close() })
	return nil
}

// dialWebhook connects to where functions may connect to.
func (s *server) dialWebhook(ctx context.Context, address string) (net.Conn, error) {
	c, err := s.egress.Dial(ctx, nil, address)
	if errors.Is(err, egress.ErrRefused) {
		return nil, fmt.Errorf("%w: %w", budget.ErrRefused, err)
	}
	return c, err
}

// most returns the most that an invocation that starts now can cost, by
// whichever price book is in force at its end.
func (s *server) most(v *millicent.Version) millicent.Money {
	now := time.Now()
	book, next := s.books.At(now), s.books.At(now.Add(v.Timeout+billing.MostInit))
	most := book.Most(v)
	if next != book {
		most = max(most, next.Most(v))
	}
	return most
}

// mostTimeout is the longest timeout that a function may have.
const mostTimeout = 15 * time.Minute

// egressPrice returns the most that bytes cost which an invocation sends that
// runs now, by whichever price book is in force at its end.
func (s *server) egressPrice(bytes int64) millicent.Money {
	now := time.Now()
	return max(s.books.At(now).Egress(bytes), s.books.At(now.Add(mostTimeout+billing.MostInit)).Egress(bytes))
}

// price returns what the receipt of a record says.
func (s *server) price(rec *millicent.UsageRecord) millicent.Money {
	book := s.books.Of(rec)
	if book == nil { // it was in force when the record was made
		book = s.books.At(rec.Start)
	}
	c := book.Price(rec)
	return c.Total.Money()
}

// spent returns what a part of a tenant has cost from a time on, and up to which
// record that is, which has all that was recorded before the call; see
// budget.Config. Usage that the sums do not tell apart any more counts for every
// part: nobody gets past a budget by making more parts.
func (s *server) spent(ctx context.Context, tenant string, scope millicent.BudgetScope, from time.Time) (spent millicent.Money, last uint64, err error) {
	if s.meter == nil {
		return 0, 0, nil // nothing was recorded
	}
	if err := s.meter.Durable(ctx); err != nil {
		return 0, 0, err
	}
	rows, last, err := s.ledger.Latest(ctx, ledger.Query{
		Tenant: tenant, Function: scope.Function, Alias: scope.Alias, Tag: scope.Tag, TagValue: scope.Value, Key: scope.Key,
		WithOther: true, From: from, To: time.Now().AddDate(0, 0, 1),
	})
	var sum millicent.MoneySum
	for _, row := range rows {
		sum = sum.Add(row.Charged)
	}
	return sum.Money(), last, err
}

// A discreet invoker does not tell strangers of budgets.
type discreet struct{ *invoke.Invoker }

// Invoke runs an invocation as an Invoker does, but for the words of refusals.
func (d discreet) Invoke(ctx context.Context, inv *millicent.Invocation) (*millicent.Result, error) {
	res, err := d.Invoker.Invoke(ctx, inv)
	var refused *millicent.Error
	if refusal := (*millicent.BudgetRefusal)(nil); errors.As(err, &refused) && errors.As(err, &refusal) {
		plain := millicent.Throttled(millicent.ReasonBudget)
		plain.Detail["retryAfterSeconds"] = refused.Detail["retryAfterSeconds"]
		plain.Err = err
		return nil, plain
	}
	return res, err
}
