package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, rounds keep their pace; and each who asks has one that
// began after that.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, ended, at atomic.Int64
		r := rounds{rest: 100 * time.Millisecond, most: time.Second, do: func(context.Context) error {
			if now := time.Now().UnixNano(); now-at.Swap(now) < int64(100*time.Millisecond) {
				t.Error("a round begins too early")
			}
			begun.Add(1)
			time.Sleep(30 * time.Millisecond)
			ended.Add(1)
			return nil
		}}
		var work sync.WaitGroup
		for i := range 1000 {
			work.Go(func() {
				time.Sleep(time.Duration(i) * 1700 * time.Microsecond)
				before := begun.Load()
				if err := r.wait(t.Context()); err != nil || ended.Load() <= before {
					t.Errorf("after %v, round %d had not ended, which came after", err, before+1)
				}
			})
		}
		work.Wait()
		if n := begun.Load(); n > 19 {
			t.Errorf("%d rounds in 1.7 s", n)
		}
	})
}

// Who does not wait any more keeps nobody from an outcome.
func TestRoundsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		r := rounds{rest: time.Second, most: time.Second, do: func(ctx context.Context) error {
			<-ctx.Done()
			return failed
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := r.wait(ctx); !errors.Is(err, failed) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first: %v", err)
		}
		begin := time.Now()
		if err := r.wait(t.Context()); !errors.Is(err, failed) || time.Since(begin) > 2*time.Second {
			t.Errorf("the next: %v, after %v", err, time.Since(begin))
		}
	})
}
