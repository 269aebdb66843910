package process

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// A prepared sandbox has all of an environment but what is a version's own:
// its code, its limits, its way out. Nothing of any function has run in it,
// and it serves one environment only.
type prepared struct {
	box   *sandbox.Sandbox
	ports *ports
	stem  *stem // nil in a bare one
}

// bare is the kind of sandbox in which nothing runs yet. The others bear the
// name of the runtime that has booted in them.
const bare = "bare"

// kindOf returns the kind of prepared sandbox that v starts in.
func kindOf(v *millicent.Version, rt Runtime) string {
	if bootable(v, rt) {
		return rt.Name
	}
	return bare
}

// What a prepared sandbox is made with: a version that has it otherwise is
// started in one of its own.
const (
	preparedTmpMB = 512
	hostname      = "169-254-100-1"

	// preparedMemoryMB is the least that a version can have, and what it has
	// where nobody says otherwise.
	preparedMemoryMB = 128
)

// poolable reports whether v can start in a prepared sandbox.
func poolable(v *millicent.Version) bool { return v.TmpMB == preparedTmpMB }

// preparedSpec is what every prepared sandbox is made of: out of the way of
// those at work until it has a version.
func (l *Launcher) preparedSpec() sandbox.Spec {
	return sandbox.Spec{
		Background: true,

		Memory:   preparedMemoryMB << 20,
		CPU:      initCPU,
		Tmp:      preparedTmpMB << 20,
		Hostname: hostname,
		Mounts: []sandbox.Mount{
			{Source: l.runtimes, Target: runtimeDir},
			{Source: l.opt, Target: optDir},
		},
		UDP:      l.cfg.udpPorts(),
		Redirect: l.cfg.redirect(),
	}
}

// specFor is what the sandbox of a version is made of.
func (l *Launcher) specFor(v *millicent.Version, code *packageCode) sandbox.Spec {
	spec := l.preparedSpec()
	spec.Background = false
	spec.Memory = int64(v.MemoryMB) << 20
	spec.CPU = max(initCPU, cpuShare(v.MemoryMB))
	spec.Tmp = int64(v.TmpMB) << 20
	spec.Mounts = append(spec.Mounts, code.mounts()...)
	return spec
}

// packageCode is what a sandbox gets of a version's package.
type packageCode struct {
	dir      string // of its files
	compiled string // what was compiled of them; empty where there is nothing
}

func (c *packageCode) mounts() []sandbox.Mount {
	list := []sandbox.Mount{{Source: c.dir, Target: taskRoot}}
	if c.compiled != "" {
		list = append(list, sandbox.Mount{Source: filepath.Dir(c.compiled), Target: compiledDir})
	}
	return list
}

// prepare makes a sandbox with the ports that an environment listens on.
// The Runtime API's is among them only where a runtime may speak it.
func (l *Launcher) prepare(ctx context.Context, spec sandbox.Spec, runtimeAPI bool) (*prepared, error) {
	spec.TCP = l.cfg.tcpPorts(runtimeAPI)
	box, err := l.cfg.Host.New(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("make sandbox: %w", err)
	}
	p := &prepared{box: box}
	if p.ports, err = openPorts(&l.cfg, box, runtimeAPI); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// prepareKind makes a prepared sandbox of a kind.
func (l *Launcher) prepareKind(ctx context.Context, kind string) (*prepared, error) {
	p, err := l.prepare(ctx, l.preparedSpec(), kind == bare)
	if err != nil || kind == bare {
		return p, err
	}
	rt, _ := l.cfg.Runtimes.Lookup(kind)
	l.compile(ctx, rt)
	still := func() func() error { return l.pool.keepStill(kind, p.box) }
	if p.stem, err = l.stem(ctx, p.box, rt, still); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// stem boots a runtime in a sandbox: by a fork, or where none can be made by a
// start. still is for what need not boot at once; it may be nil.
func (l *Launcher) stem(ctx context.Context, box *sandbox.Sandbox, rt Runtime, still stillFunc) (*stem, error) {
	if !forkable(rt) {
		return startStem(ctx, box, rt, still)
	}
	st, err := l.zygote(rt).fork(ctx, box, still)
	switch {
	case err == nil || ctx.Err() != nil:
		return st, err
	case !errors.Is(err, errZygotePaused):
		l.cfg.Log.Warn("runtimes are started, and not forked", "runtime", rt.Name, "error", err)
	}
	return startStem(ctx, box, rt, still)
}

// fit makes a prepared sandbox into one for v.
func (p *prepared) fit(v *millicent.Version, code *packageCode) error {
	var shown []func() error
	for _, m := range code.mounts() { // the sandbox's first process does it meanwhile
		shown = append(shown, p.box.BeginAttach(m))
	}
	err := p.limit(v)
	for _, done := range shown {
		if failed := done(); failed != nil {
			err = errors.Join(err, fmt.Errorf("show code: %w", failed))
		}
	}
	return err
}

// limit gives a prepared sandbox the limits of v.
func (p *prepared) limit(v *millicent.Version) error {
	if v.MemoryMB != preparedMemoryMB {
		if err := p.box.SetMemory(int64(v.MemoryMB) << 20); err != nil {
			return fmt.Errorf("limit memory: %w", err)
		}
	}
	if err := p.box.SetBackground(false); err != nil {
		return fmt.Errorf("take CPU: %w", err)
	}
	if share := cpuShare(v.MemoryMB); share > initCPU {
		if err := p.box.SetCPU(share); err != nil {
			return fmt.Errorf("lend CPU: %w", err)
		}
	}
	if err := p.box.ResetPeak(); err != nil {
		return fmt.Errorf("measure memory: %w", err)
	}
	return nil
}

// ended implements pooled.
func (p *prepared) ended() bool {
	return isClosed(p.box.Done()) || p.stem != nil && p.stem.ended()
}

// size implements pooled.
func (p *prepared) size() int64 {
	if p.stem == nil {
		return bareMemory
	}
	peak, err := p.box.PeakMemory()
	if err != nil {
		return bareMemory // it has ended: then its size tells nothing
	}
	return bareMemory + peak
}

// close frees all that was prepared.
func (p *prepared) close() error {
	var errs []error
	if p.ports != nil {
		errs = append(errs, p.ports.close())
	}
	if p.stem != nil {
		errs = append(errs, p.stem.free())
	}
	return errors.Join(append(errs, p.box.Close())...)
}

// acquire returns a sandbox for v with its code in place: a prepared one, or
// where there is none, or v cannot have it, one that is made now. It fills in
// its part of rec.
func (l *Launcher) acquire(ctx context.Context, kind lifecycle.Initialization, v *millicent.Version, rt Runtime, code *packageCode, rec *millicent.StartRecord) (*prepared, error) {
	began := time.Now()
	take := l.takePrepared
	if kind == lifecycle.Provisioned {
		take = l.prepareAside
	}
	if p := take(ctx, v, rt); p != nil {
		rec.From, rec.Acquire = millicent.FromSandbox, time.Since(began)
		if p.stem != nil {
			rec.From = millicent.FromRuntime
		}
		began = time.Now()
		err := p.fit(v, code)
		if err == nil {
			rec.Attach = time.Since(began)
			return p, nil
		}
		l.cfg.Log.Warn("a prepared sandbox cannot be used", "function", v.Function, "error", errors.Join(err, p.close()))
	}
	p, err := l.prepare(ctx, l.specFor(v, code), !linked(v, rt))
	if err != nil && code.compiled != "" && ctx.Err() == nil {
		code.compiled = "" // it may be gone, and a start does without
		p, err = l.prepare(ctx, l.specFor(v, code), !linked(v, rt))
	}
	rec.From, rec.Acquire = millicent.FromNothing, time.Since(began)
	return p, err
}

// takePrepared takes what there is for v, the best first; nil when there is
// nothing.
func (l *Launcher) takePrepared(_ context.Context, v *millicent.Version, rt Runtime) *prepared {
	if !poolable(v) {
		return nil
	}
	kind := kindOf(v, rt)
	p, ok := l.pool.take(kind)
	if !ok && kind != bare {
		p, ok = l.pool.take(bare)
	}
	if !ok {
		return nil
	}
	return p
}
