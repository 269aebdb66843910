package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	// orphanAge is how old a version record that no function refers to must
	// be before it is swept. A younger one may be in the making: a change
	// takes changeTimeout at most, and nodes' clocks differ a little.
	orphanAge = 5 * time.Minute

	// cleanInterval is the time between two sweeps.
	cleanInterval = 10 * time.Minute

	// discardTimeout bounds the removal of what a change has made useless.
	discardTimeout = 10 * time.Second
)

// keepClean sweeps orphans now and then, until ctx ends.
func (s *Store) keepClean(ctx context.Context) {
	ticker := time.NewTicker(cleanInterval)
	defer ticker.Stop()
	for {
		s.sweepOrphans(ctx, s.cfg.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweepOrphans removes the version records that no function refers to: what
// was left by a publishing or a deletion that was cut off.
func (s *Store) sweepOrphans(ctx context.Context, now time.Time) {
	orphans := s.index.orphans(now.Add(-orphanAge))
	if len(orphans) == 0 {
		return
	}
	s.cfg.Log.Info("removing version records left by changes that were cut off", "count", len(orphans))
	s.discard(ctx, slices.Collect(maps.Keys(orphans)))
}

// discard removes version records that no function refers to any more. The
// change that made them useless is done, so it goes on when ctx is cancelled;
// what it does not get to is swept later.
func (s *Store) discard(ctx context.Context, keys []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	for _, k := range keys {
		if err := s.discardOne(ctx, k); err != nil {
			s.cfg.Log.Warn("version record not removed, left to be swept", "key", k, "error", err)
			return
		}
	}
}

func (s *Store) discardOne(ctx context.Context, key string) error {
	for range maxAttempts {
		v := s.index.versionAt(key)
		if v == nil {
			return nil
		}
		err := s.functions.remove(ctx, key, v.revision)
		if !errors.Is(err, errConflict) {
			return err
		}
		// Its activation came between.
		if err := s.functions.awaitChange(ctx); err != nil {
			return err
		}
	}
	return errConflict
}
