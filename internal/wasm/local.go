package wasm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// LocalConfig says how a Local works.
type LocalConfig struct {
	EngineConfig

	// Keep is how long a program stays loaded that has no session; default a
	// minute.
	Keep time.Duration

	// Rest is how long an instance stays that serves nothing; default 2 s. A
	// request that finds none makes another. Rested, unless it is nil, is
	// called after some were given up, to give memory back to the machine.
	Rest   time.Duration
	Rested func()
}

// A Local is a Host that runs programs in its own process.
type Local struct {
	cfg    LocalConfig
	engine *Engine
	ctx    context.Context // of what is loaded; ends when Close is called
	stop   context.CancelFunc
	work   sync.WaitGroup // on programs

	mu       sync.Mutex
	closed   bool
	programs map[programKey]*loaded
	sessions map[*LocalSession]bool
}

// NewLocal returns a Local. Close it.
func NewLocal(cfg LocalConfig) (*Local, error) {
	if cfg.Keep == 0 {
		cfg.Keep = time.Minute
	}
	if cfg.Rest == 0 {
		cfg.Rest = 2 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	engine, err := NewEngine(ctx, cfg.EngineConfig)
	if err != nil {
		stop()
		return nil, err
	}
	l := &Local{
		cfg: cfg, engine: engine, ctx: ctx, stop: stop,
		programs: map[programKey]*loaded{}, sessions: map[*LocalSession]bool{},
	}
	l.work.Go(l.rest)
	return l, nil
}

// Expect starts what many programs need, behind the caller's back, if it was
// compiled before: the JavaScript engine. It must not be called after Close.
func (l *Local) Expect() {
	l.work.Go(func() { l.engine.expectScripts(l.ctx) })
}

// restedEvery is how often Rested is called at most.
const restedEvery = 5 * time.Second

// rest gives up instances that serve nothing, until Close is called.
func (l *Local) rest() {
	tick := time.NewTicker(l.cfg.Rest / 2)
	defer tick.Stop()
	var last time.Time
	resting := false
	for {
		var now time.Time
		select {
		case <-l.ctx.Done():
			return
		case now = <-tick.C:
		}
		for _, p := range l.all() {
			resting = p.rest(now.Add(-l.cfg.Rest)) || resting
		}
		if resting && l.cfg.Rested != nil && now.Sub(last) >= restedEvery {
			l.cfg.Rested()
			last, resting = now, false
		}
	}
}

// open returns the sessions that there are.
func (l *Local) open() []*LocalSession {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.sessions))
}

// all returns the programs that are loaded, or being loaded.
func (l *Local) all() []*loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.programs))
}

// ErrClosed means that a host was closed.
var ErrClosed = errors.New("the host of programs is closed")

// Open implements Host. The Session is a *LocalSession.
func (l *Local) Open(ctx context.Context, spec *Spec) (Session, error) {
	p, first, err := l.take(ctx, spec)
	if err != nil {
		return nil, err
	}
	i, err := p.spare(ctx, spec.Log)
	if err != nil {
		l.release(p)
		return nil, err
	}
	s := &LocalSession{local: l, loaded: p}
	if s.instance = i; p.program.image != nil {
		p.keep(i)
		s.instance = nil
	}
	s.opened = Opening{Loaded: !first, Compiled: !first || p.compiled, Ready: p.program.image != nil, Idle: p.program.idle()}
	if first {
		s.opened.Load, s.opened.Init = p.load, p.init
	}
	l.mu.Lock()
	l.sessions[s] = true
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, errors.Join(ErrClosed, s.Close())
	}
	return s, nil
}

// Prepare implements Host.
func (l *Local) Prepare(ctx context.Context, spec *Spec) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.work.Add(1)
	l.mu.Unlock()
	defer l.work.Done()
	if spec.Module == "" {
		return l.engine.prepareScript(ctx, spec)
	}
	file, err := spec.module()
	if err != nil {
		return err
	}
	return asFailure(l.engine.Prepare(ctx, file, spec.MemoryMB))
}

// Close implements Host. What runs is stopped, and waited for.
func (l *Local) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.engine.End()

	l.work.Wait() // nothing is loaded any more
	var errs []error
	for _, s := range l.open() {
		errs = append(errs, s.Close())
	}
	l.mu.Lock()
	idle := l.programs
	l.programs = nil
	l.mu.Unlock()
	for _, p := range idle {
		if p.drop != nil {
			p.drop.Stop()
		}
		errs = append(errs, p.close())
	}
	return errors.Join(append(errs, l.engine.Close(context.Background()))...)
}

// module reads a program's module.
func (s *Spec) module() ([]byte, error) {
	if name := path.Clean("/" + s.Module); name != "/"+s.Module || strings.ContainsRune(name, 0) {
		return nil, fmt.Errorf("%.100q is no file of the package", s.Module)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("open a package: %w", err)
	}
	defer root.Close()
	name := filepath.FromSlash(s.Module)
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the module: %w", err)
	case !info.Mode().IsRegular() || info.Size() > module.MaxSize:
		return nil, fmt.Errorf("read the module: %s is no file of at most %d bytes", s.Module, module.MaxSize)
	}
	return root.ReadFile(name)
}
