package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// stack is what was built, in order, with how to close it.
type stack []part

type part struct {
	name  string
	close func(context.Context) error
}

func (s *stack) push(name string, close func(context.Context) error) {
	*s = append(*s, part{name, close})
}

// close closes all parts, the last built first. ctx bounds the waiting for
// what runs: that some of it was cut off is no failure, and goes to the log.
// Each part is closed even when another failed to.
func (s *stack) close(ctx context.Context, log *slog.Logger) error {
	var errs []error
	for _, p := range slices.Backward(*s) {
		switch err := p.close(ctx); {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			log.Warn("not waited for", "part", p.name, "error", err)
		default:
			errs = append(errs, fmt.Errorf("stop %s: %w", p.name, err))
		}
	}
	*s = nil
	return errors.Join(errs...)
}

// wait returns when the server is to stop: nil when it was asked to, else
// what failed.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.listeners.failed:
		return err
	}
}

// stop drains and closes the server, and returns reason with what failed on
// the way.
func (s *server) stop(reason error) error {
	s.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if s.cfg.Abort != nil {
		go func() { // ends with ctx
			select {
			case <-s.cfg.Abort:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	err := s.built.close(ctx, s.log)
	s.log.Info("stopped")
	return errors.Join(reason, err)
}

// abandon closes what was built before the start failed. A start that was
// interrupted did not fail.
func (s *server) abandon(reason error) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing runs yet that could be waited for
	err := s.built.close(ctx, s.log)
	if errors.Is(reason, context.Canceled) {
		reason = nil
	}
	return errors.Join(reason, err)
}
