package native

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/ledger"
)

// An account has its turns one after another, and keeps no other waiting.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := turns{most: 2}
		var mu sync.Mutex
		working, refused := 0, 0
		var work sync.WaitGroup
		for range 100 {
			work.Go(func() {
				done, err := turns.take(t.Context(), "a")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
					return
				}
				if working++; working > 2 {
					t.Errorf("%d work at a time", working)
				}
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				working--
				done()
			})
		}
		synctest.Wait()
		if refused != 100-2-maxWaiting {
			t.Errorf("%d of 100 are refused", refused)
		}
		begin := time.Now()
		done, err := turns.take(t.Context(), "b")
		if err != nil || time.Since(begin) > 0 {
			t.Fatalf("another account waits for %v: %v", time.Since(begin), err)
		}
		done()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := turns.take(ctx, "a"); millicent.ErrorCode(err) != millicent.CodeThrottled {
			t.Errorf("one more: %v", err)
		}
		work.Wait()
		if len(turns.of) != 0 {
			t.Errorf("%d accounts are remembered", len(turns.of))
		}
	})
}

// slowUsage has an answer for all accounts but the first.
type slowUsage struct{}

func (slowUsage) Series(ctx context.Context, _ ledger.Query) ([]ledger.Row, error) {
	if millicent.IdentityFrom(ctx).Tenant != one {
		return nil, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// One account's questions about usage do not keep another's from an answer, and
// end when they take too long.
func TestQueriesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Usage: slowUsage{}})
		var work sync.WaitGroup
		for range maxQueries + 5 {
			work.Go(func() {
				ctx := millicent.WithIdentity(t.Context(), millicent.Identity{Tenant: one})
				if _, err := h.series(ctx, ledger.Query{}); err == nil {
					t.Error("an answer without an end")
				}
			})
		}
		synctest.Wait()
		other := millicent.WithIdentity(t.Context(), millicent.Identity{Tenant: two})
		begin := time.Now()
		if _, err := h.series(other, ledger.Query{}); err != nil || time.Since(begin) > 0 {
			t.Errorf("another account: %v after %v", err, time.Since(begin))
		}
		work.Wait()
	})
}
