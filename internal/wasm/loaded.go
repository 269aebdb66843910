package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// programKey names a program: what of a Spec makes a difference for it.
type programKey [sha256.Size]byte

// key returns the name of s's program.
func (s *Spec) key() programKey {
	text, err := json.Marshal([]any{s.Digest, s.Module, s.Handler, s.MemoryMB, s.Environ})
	if err != nil {
		panic(fmt.Sprintf("wasm: name a program: %v", err)) // strings and numbers
	}
	return sha256.Sum256(text)
}

// loaded is a program of a Local, with who uses it. What is above uses does not
// change once ready is closed.
type loaded struct {
	key        programKey
	ready      chan struct{}
	program    *Program // nil when it could not be loaded
	files      *Files
	err        error
	compiled   bool // when it was loaded
	load, init time.Duration

	mu     sync.Mutex
	spares []spare // the last one served last; none where there is no image

	uses int         // guarded by the Local's mu
	drop *time.Timer // while there are none
}

// A spare is an instance that serves nothing.
type spare struct {
	*Instance
	since time.Time
}

// spare returns an instance that is as the image: the one that was used last,
// of which the processors' caches have most, or else a new one. Where there is
// no image it is a new one, whose initialisation log gets.
func (p *loaded) spare(ctx context.Context, log Log) (*Instance, error) {
	p.mu.Lock()
	if n := len(p.spares) - 1; n >= 0 {
		i := p.spares[n].Instance
		p.spares[n] = spare{}
		p.spares = p.spares[:n]
		p.mu.Unlock()
		return i, nil
	}
	p.mu.Unlock()
	return p.program.another(ctx, log)
}

// keep takes an instance back that is as the image.
func (p *loaded) keep(i *Instance) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spares = append(p.spares, spare{i, now})
}

// rest gives up the spares that have served nothing since a time, and reports
// whether there were any: the image has all that another one needs.
func (p *loaded) rest(since time.Time) (some bool) {
	for p.restOldest(since) {
		some = true
	}
	return some
}

// restOldest gives up one spare: a request waits for no more than that.
func (p *loaded) restOldest(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spares) == 0 || !p.spares[0].since.Before(since) {
		return false
	}
	p.spares[0].Close()
	p.spares = slices.Delete(p.spares, 0, 1)
	return true
}

// take returns the program of a spec and counts a use of it; first says that
// it was loaded for this.
func (l *Local) take(ctx context.Context, spec *Spec) (p *loaded, first bool, err error) {
	key := spec.key()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, false, ErrClosed
	}
	if p = l.programs[key]; p == nil {
		added := &loaded{key: key, ready: make(chan struct{})}
		l.programs[key] = added
		p, first = added, true
		log := &gate{log: spec.Log}
		defer log.close()
		l.work.Go(func() { l.load(added, spec, log) })
	}
	if p.uses++; p.drop != nil {
		p.drop.Stop()
		p.drop = nil
	}
	l.mu.Unlock()

	select {
	case <-p.ready:
		err = p.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		l.release(p)
		return nil, false, err
	}
	return p, first, nil
}

// release counts a use less. A program that nobody uses is kept for a while,
// one that could not be loaded for no longer than that.
func (l *Local) release(p *loaded) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.uses--; p.uses > 0 || l.closed {
		return
	}
	p.drop = time.AfterFunc(l.cfg.Keep, func() { l.forget(p) })
}

// forget drops a program that nobody uses.
func (l *Local) forget(p *loaded) {
	l.mu.Lock()
	if p.uses > 0 || l.closed {
		l.mu.Unlock()
		return
	}
	if l.programs[p.key] == p {
		delete(l.programs, p.key)
	}
	l.work.Add(1)
	l.mu.Unlock()
	defer l.work.Done()
	<-p.ready
	_ = p.close() // fails for nothing that anyone could do something about
}

// load loads a program for all who wait for it.
func (l *Local) load(p *loaded, spec *Spec, log Log) {
	defer close(p.ready)
	began := time.Now()
	if p.err = p.read(l, spec, log); p.err != nil {
		p.err = errors.Join(p.err, p.close())
		l.mu.Lock()
		delete(l.programs, p.key) // whoever wants it next tries again
		l.mu.Unlock()
		return
	}
	p.init = p.program.initTime
	p.load = time.Since(began) - p.init
}

// read loads what spec describes.
func (p *loaded) read(l *Local, spec *Spec, log Log) error {
	cfg := ProgramConfig{MemoryMB: spec.MemoryMB, Environ: spec.Environ, InitTime: spec.InitTime, Log: log}
	if spec.Module == "" {
		bundle, kept, err := l.engine.bundle(l.ctx, spec)
		if err != nil {
			return err
		}
		p.compiled = kept
		p.program, err = l.engine.LoadScript(l.ctx, bundle, spec.Handler, cfg)
		return err
	}
	file, err := spec.module()
	if err != nil {
		return err
	}
	if p.files, err = OpenFiles(spec.Dir); err != nil {
		return err
	}
	cfg.Files = p.files
	if p.program, err = l.engine.Load(l.ctx, file, cfg); err != nil {
		return asFailure(err)
	}
	p.compiled = p.program.before
	return nil
}

// close frees the program.
func (p *loaded) close() error {
	var errs []error
	p.rest(time.Now().Add(time.Hour)) // nobody uses the program: all of them
	if p.program != nil {
		errs = append(errs, p.program.Close(context.Background()))
	}
	if p.files != nil {
		errs = append(errs, p.files.Close())
	}
	return errors.Join(errs...)
}

// gate is a Log that can be closed: what comes later goes nowhere.
type gate struct {
	mu  sync.Mutex
	log Log // nil when it is closed
}

// Write implements Log.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.log == nil {
		return len(b), nil
	}
	return g.log.Write(b)
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = nil
}
