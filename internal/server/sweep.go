package server

import (
	"context"
	"log/slog"
	"time"
)

// packageSweep is the time between two sweeps of the package files. The store
// keeps each for an hour after its last use, whatever refers to it.
const packageSweep = 30 * time.Minute

// packageStore is where packages are swept; *store.Store is one.
type packageStore interface {
	Sweep(ctx context.Context, inUse func(sha string) bool) (int, error)
}

// sweepPackages removes, now and then until ctx ends, the package files that
// neither a function nor an environment needs.
func sweepPackages(ctx context.Context, store packageStore, inUse func(sha string) bool, log *slog.Logger) {
	ticker := time.NewTicker(packageSweep)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		removed, err := store.Sweep(ctx, inUse)
		if err != nil && ctx.Err() == nil {
			log.Warn("packages not swept", "error", err)
		}
		if removed > 0 {
			log.Info("packages swept", "count", removed)
		}
	}
}

// startSweep begins to sweep packages; the sweeping ends before what it works
// on is closed.
func (s *server) startSweep(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sweepPackages(ctx, s.store, s.launchers.Uses, s.log)
	}()
	s.built.push("package sweep", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	return nil
}
