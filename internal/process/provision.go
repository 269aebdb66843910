package process

import (
	"context"
	"errors"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// Provision implements millicent.Provisioner.
func (l *Launcher) Provision(ctx context.Context, v *millicent.Version) (millicent.Environment, error) {
	e, f, err := l.start(ctx, lifecycle.Provisioned, v)
	if err != nil {
		return nil, err
	}
	if f != nil {
		return nil, errors.Join(f.OfInit(), e.Close())
	}
	if err := errors.Join(e.repay(), e.box.SetBackground(false)); err != nil {
		return nil, errors.Join(lifecycle.PlatformError("take CPU", err), e.Close())
	}
	e.cold = false // whoever comes first has waited for nothing
	return e, nil
}

// giveWay leaves the CPU to others as long as no invocation waits for e.
func (e *environment) giveWay() error {
	if e.kind != lifecycle.Provisioned {
		return nil
	}
	return e.box.SetBackground(true)
}

// prepareAside prepares a sandbox for v beside those of the pool, which are
// for who waits; nil where v cannot have one.
func (l *Launcher) prepareAside(ctx context.Context, v *millicent.Version, rt Runtime) *prepared {
	if !poolable(v) || l.cfg.Pool.Max <= 0 {
		return nil
	}
	p, err := l.prepareKind(ctx, kindOf(v, rt))
	if err != nil {
		l.cfg.Log.Warn("no sandbox was prepared for a provisioned environment", "function", v.Function, "error", err)
		return nil
	}
	return p
}

// Initialised reports whether a runtime waits for the next event.
func (e *environment) Initialised() bool {
	select {
	case e.slot <- struct{}{}:
		defer func() { <-e.slot }()
	default:
		return true // it is in use
	}
	return e.run != nil && !e.run.gone() && e.ctx.Err() == nil && !isClosed(e.box.Done())
}
