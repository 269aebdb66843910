package invoke

import (
	"context"
	"time"

	"github.com/millicent-run/millicent"
)

// pendingPoll is how often a Pending version is looked at; activation takes a
// few milliseconds, unless the package is large.
const pendingPoll = 10 * time.Millisecond

// Check does what Invoke does up to the running: whether the function and the
// qualifier exist and are active. It serves DryRun.
func (i *Invoker) Check(ctx context.Context, inv *millicent.Invocation) error {
	_, _, err := i.admit(ctx, inv)
	return err
}

// Affords does what Invoke does up to the running, and says whether budgets
// would let it run now.
func (i *Invoker) Affords(ctx context.Context, inv *millicent.Invocation) error {
	if err := i.cfg.Meter.Ready(); err != nil {
		return err
	}
	f, v, err := i.admit(ctx, inv)
	if err != nil {
		return err
	}
	return i.cfg.Budget.Affords(inv, f, v)
}

// Accept completes an invocation, as Invoke would, and returns what Check does.
func (i *Invoker) Accept(ctx context.Context, inv *millicent.Invocation) error {
	i.complete(ctx, inv)
	return i.Check(ctx, inv)
}

// complete fills in what the caller left open.
func (i *Invoker) complete(ctx context.Context, inv *millicent.Invocation) {
	if inv.ID == "" {
		inv.ID = i.cfg.NewID()
	}
	if inv.Received.IsZero() {
		inv.Received = i.cfg.Now()
	}
	if inv.ARN == "" {
		inv.ARN = millicent.ARN(i.cfg.Region, inv.Tenant, inv.Function, inv.Qualifier)
	}
	if inv.Key == "" {
		inv.Key = millicent.IdentityFrom(ctx).AccessKey
	}
	if inv.Root != "" {
		return
	}
	if caller, ok := millicent.CallerFrom(ctx); ok {
		inv.Lineage = caller.Causes()
	}
	if inv.Root == "" {
		inv.Root = inv.ID
	}
}

// admit returns the function and the version that serves inv, once that is
// active. It ends a loop of invocations.
func (i *Invoker) admit(ctx context.Context, inv *millicent.Invocation) (*millicent.Function, *millicent.Version, error) {
	draw := i.cfg.Draw()
	v, err := i.cfg.Store.Resolve(inv.Tenant, inv.Function, inv.Qualifier, draw)
	if err == nil && v.State == millicent.StatePending {
		v, err = i.awaitActive(ctx, inv, v, draw)
	}
	if err != nil {
		return nil, nil, err
	}
	if v.State == millicent.StatePending && v.FromSnapshot() {
		return nil, nil, millicent.Errorf("SnapStartNotReadyException",
			"Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE.")
	}
	if v.State != millicent.StateActive {
		return nil, nil, millicent.Errorf(millicent.CodeConflict,
			"The operation cannot be performed at this time. The function is currently in the following state: %s", v.State)
	}
	f, err := i.cfg.Store.Function(inv.Tenant, inv.Function)
	if err != nil {
		return nil, nil, err
	}
	if !f.Recursive && inv.Loops(f.Tenant, f.Name) {
		err := millicent.Errorf(millicent.CodeRecursive,
			"Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your function's invocation.")
		i.cfg.Observer.Invoked(inv, nil, err)
		return nil, nil, err
	}
	return f, v, nil
}

// awaitActive waits a little for a Pending version and returns it as it is
// then.
func (i *Invoker) awaitActive(ctx context.Context, inv *millicent.Invocation, v *millicent.Version, draw float64) (*millicent.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, max(i.cfg.PendingWait, 0))
	defer cancel()
	tick := time.NewTicker(pendingPoll)
	defer tick.Stop()
	for v.State == millicent.StatePending {
		select {
		case <-ctx.Done():
			return v, nil
		case <-tick.C:
		}
		var err error
		if v, err = i.cfg.Store.Resolve(inv.Tenant, inv.Function, inv.Qualifier, draw); err != nil {
			return nil, err
		}
	}
	return v, nil
}
