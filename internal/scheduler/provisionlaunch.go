package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// provisionTimeout bounds the launch of a provisioned environment, whose Init
// phase may take 15 minutes.
const provisionTimeout = 16 * time.Minute

// launchAhead starts a provisioned environment of ver in the room that there
// is. The lock is held.
func (s *Scheduler) launchAhead(ver *version, now time.Time) {
	e := &environment{of: ver, spec: ver.want.Version, takes: s.need(ver.want.Version), state: provisioning, provisioned: true, began: now}
	ver.refs++
	ver.count[provisioning]++
	ver.own = append(ver.own, e)
	s.all[e] = struct{}{}
	s.count[provisioning]++
	s.used = s.used.plus(e.room())
	s.provisions.held = s.provisions.held.plus(e.room())
	s.provisions.launches = append(s.provisions.launches, e)
	go s.runLaunchAhead(e)
}

// runLaunchAhead launches e. It ends with the launch, which Close waits for.
func (s *Scheduler) runLaunchAhead(e *environment) {
	env, err := s.callProvisioner(e.spec)
	light := err == nil && millicent.Light(env)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.provisions.launches = slices.DeleteFunc(s.provisions.launches, func(o *environment) bool { return o == e })
	if err != nil {
		s.launchAheadFailed(e, err, now)
		return
	}
	s.launched(e, env, light, now)
	if w := e.of.want; w != nil && e.provisioned {
		w.failures, w.failure, w.retry = 0, "", time.Time{}
	}
	s.free(e, now)
	s.tell(e.of)
	s.plan()
}

// tell says it once when a version has all that is wanted of it. The lock is
// held.
func (s *Scheduler) tell(ver *version) {
	w := ver.want
	if w == nil || w.told || w.Leaving || owned(ver, idle)+owned(ver, busy) < w.Environments {
		return
	}
	w.told = true
	s.cfg.Log.Info("provisioned", "function", w.Version.Function, "version", w.Version.Number, "environments", w.Environments)
	if s.cfg.Provisioned != nil {
		s.cfg.Provisioned(w.Version.Tenant, w.Version.Function)
	}
}

// launchAheadFailed notes a failure, after which e's version is left alone
// for a while; of several that fail together only the first counts. The lock
// is held.
func (s *Scheduler) launchAheadFailed(e *environment, err error, now time.Time) {
	if w := e.of.want; w != nil && e.provisioned {
		if !now.Before(w.retry) {
			w.failures++
			w.retry = now.Add(rest(w.failures))
			s.cfg.Log.Warn("provisioned environment did not start", "function", e.spec.Function, "version", e.spec.Number,
				"failures", w.failures, "error", err)
		}
		w.failure = failureReason(err)
	}
	s.disown(e)
	s.remove(e)
	s.plan()
}

// failureReason is what a user learns of a failed launch.
func failureReason(err error) string {
	var e *millicent.Error
	switch {
	case millicent.ErrorCode(err) == millicent.CodeInitFailed:
		return millicent.ReasonInitFailed
	case errors.As(err, &e):
		return e.Message
	}
	return "The platform could not start an execution environment."
}

// callProvisioner launches a version ahead of its invocations. A launcher that
// knows no such launches launches it as always.
func (s *Scheduler) callProvisioner(v *millicent.Version) (millicent.Environment, error) {
	launcher, err := s.cfg.Launcher(v.Runtime)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.provisions.life, provisionTimeout)
	defer cancel()
	ctx = millicent.WithStart(ctx, millicent.StartRecord{Cause: millicent.StartProvisioned})
	if p, ok := launcher.(millicent.Provisioner); ok {
		return p.Provision(ctx, v)
	}
	return launcher.Launch(ctx, v)
}

// Allocation returns how far the provisioned environments of a version have
// come. It looks at them: what it says is so.
func (s *Scheduler) Allocation(v *millicent.Version) (a millicent.Allocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[functionKey{v.Tenant, v.Function}]
	if f == nil {
		return a
	}
	ver := f.find(v)
	if ver == nil || ver.want == nil {
		return a
	}
	s.closeDead(ver)
	a.Allocated = len(ver.own)
	a.Available = owned(ver, idle) + owned(ver, busy)
	a.Failure = ver.want.failure
	if ver.want.short {
		a.Waiting = "This server has no room for more provisioned environments; they follow when it has."
	}
	return a
}

// Provisioned is what provisioned concurrency comes to on this node.
type Provisioned struct {
	Requested, Allocated, Available int // environments

	Invocations, Spillovers uint64 // of versions that have some: with one, and without
}

// Provisioned returns that, for metrics.
func (s *Scheduler) Provisioned() Provisioned {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Provisioned{Invocations: s.provisions.invocations, Spillovers: s.provisions.spillovers}
	for ver := range s.provisions.wants {
		p.Requested += ver.want.Environments
		p.Allocated += len(ver.own)
		p.Available += owned(ver, idle) + owned(ver, busy)
	}
	return p
}

// count notes which environment an invocation gets. The lock is held.
func (p *provisions) count(e *environment) {
	switch {
	case e.of.want == nil:
	case e.provisioned:
		p.invocations++
	default:
		p.spillovers++
	}
}

// provides reports whether v's provisioned concurrency covers one more
// invocation of it, which then is not one of its tenant's unreserved.
func (f *function) provides(v *millicent.Version) bool {
	ver := f.find(v)
	return ver != nil && ver.want != nil && ver.count[busy]+ver.line.length < ver.want.Environments
}
