package server

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A sweptStore counts its sweeps; every second one fails.
type sweptStore struct {
	sweeps int
	used   bool // what inUse said
}

func (s *sweptStore) Sweep(_ context.Context, inUse func(string) bool) (int, error) {
	s.sweeps++
	s.used = inUse("digest")
	if s.sweeps%2 == 0 {
		return 0, errors.New("disk")
	}
	return 1, nil
}

func TestPackagesAreSweptNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store, ended := &sweptStore{}, make(chan struct{})
		go func() {
			defer close(ended)
			sweepPackages(ctx, store, func(sha string) bool { return sha == "digest" }, slog.New(slog.DiscardHandler))
		}()
		time.Sleep(3*packageSweep + time.Second)
		synctest.Wait()
		if store.sweeps != 3 || !store.used {
			t.Errorf("got %d sweeps, in use: %v; want 3, also after one that failed", store.sweeps, store.used)
		}
		cancel()
		<-ended
	})
}
