package native

import (
	"context"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/ledger"
)

// Work that reads much, for whoever asks: each account has a few turns at a
// time, so that none of them keeps others waiting, and its other requests wait
// for their turn.
const (
	maxLedgerReaders = 8                // of all accounts that read the ledger at a time
	maxQueries       = 2                // of an account at a time
	maxWaiting       = 32               // requests of an account that wait
	receiptTime      = 10 * time.Second // that is searched for a receipt
	queryTime        = 30 * time.Second // that a question about usage takes, its wait with it
)

// turns are who works and who waits. The zero value, but for most, is ready.
type turns struct {
	most int // of an account at a time

	mu sync.Mutex
	of map[string]*turn // of accounts that have one
}

// A turn is how an account's requests come to theirs.
type turn struct {
	free chan struct{} // has a value for each that works
	in   int           // that work or wait
}

// take returns when it is an account's turn, or ctx ends, or refuses what is
// too much. Call done afterwards.
func (t *turns) take(ctx context.Context, tenant string) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	own := t.of[tenant]
	if own == nil {
		own = &turn{free: make(chan struct{}, t.most)}
		t.of[tenant] = own
	}
	if own.in >= t.most+maxWaiting {
		t.mu.Unlock()
		return nil, millicent.Throttled("Too many of the account's requests read usage at the moment")
	}
	own.in++
	t.mu.Unlock()
	select {
	case own.free <- struct{}{}:
		return func() { <-own.free; t.leave(tenant, own) }, nil
	case <-ctx.Done():
		t.leave(tenant, own)
		return nil, &millicent.Error{Code: millicent.CodeServerUnavailable, Message: "Usage is read by others of the account's requests.", Err: ctx.Err()}
	}
}

func (t *turns) leave(tenant string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.in--; own.in == 0 {
		delete(t.of, tenant)
	}
}

// asker returns the account that a request is made for, which an operator has
// one of its own for.
func asker(ctx context.Context) string {
	id := millicent.IdentityFrom(ctx)
	if id.Operator {
		return "operator"
	}
	return id.Tenant
}

// read takes the place of one who reads much of the ledger. Call done
// afterwards.
func (h *Handler) read(ctx context.Context) (done func(), err error) {
	own, err := h.readers.take(ctx, asker(ctx))
	if err != nil {
		return nil, err
	}
	select {
	case h.reading <- struct{}{}:
		return func() { <-h.reading; own() }, nil
	case <-ctx.Done():
		own()
		return nil, &millicent.Error{Code: millicent.CodeServerUnavailable, Message: "Others read the ledger at the moment.", Err: ctx.Err()}
	}
}

// series answers a question about usage, in the asker's turn.
func (h *Handler) series(ctx context.Context, q ledger.Query) ([]ledger.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	done, err := h.queries.take(ctx, asker(ctx))
	if err != nil {
		return nil, err
	}
	defer done()
	return h.cfg.Usage.Series(ctx, q)
}
