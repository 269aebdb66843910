package process

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// PoolConfig bounds what is prepared ahead of its use: as much as recent
// starts ask for, within these limits. The zero value prepares nothing.
type PoolConfig struct {
	Max      int // sandboxes of one runtime
	MemoryMB int // of all together; zero means 512
}

// DefaultPool is what suits most machines.
var DefaultPool = PoolConfig{Max: 64, MemoryMB: defaultPoolMemoryMB}

const (
	defaultPoolMemoryMB = 512

	poolLife    = 10 * time.Minute // of an entry, and up to a fifth more
	poolTick    = time.Second      // entries that died or expired are found so soon
	prepareTime = 30 * time.Second // bounds the making of an entry

	// fillers is how many entries are made at a time. While starts come one
	// after another it is one, which leaves a processor to them. While they are
	// in flight, or were just now, that one waits for a while, so long as there
	// is something left to take.
	fillers = 2
	holdOff = 40 * time.Millisecond
	lull    = 5 * time.Millisecond   // since the last start, in which its invocation runs
	calm    = 200 * time.Millisecond // since the last start, after which none is about to come

	// bareMemory is about what an empty sandbox takes, in bytes.
	bareMemory = 2 << 20

	maxFillPause = time.Minute // after failures
)

// pooled is what a pool keeps.
type pooled interface {
	ended() bool // cannot be used any more
	size() int64 // bytes of memory that it takes
	close() error
}

// A pool keeps entries that were prepared ahead on shelves, one for each kind,
// and fills them up off the path of those who take from them. How many,
// poolSizes decides.
type pool[E pooled] struct {
	limit   poolLimit
	cores   int // so many starts in flight leave none to prepare with
	prepare func(ctx context.Context, kind string) (E, error)
	warn    func(kind string, err error)

	ctx    context.Context // ends when close is called
	cancel context.CancelFunc
	wake   chan struct{}  // something changed
	work   sync.WaitGroup // the loop, and what it has begun

	mu       sync.Mutex
	closed   bool
	shelves  map[string]*shelf[E]
	inFlight int           // starts
	last     time.Time     // end of the last one
	making   int           // entries
	leaving  int           // entries that are being closed
	lacking  time.Time     // since when something is; zero when nothing is
	turned   chan struct{} // closed by turn; nil while nobody waits
}

// A shelf is what a pool knows of one kind.
type shelf[E pooled] struct {
	demand
	ready    []slot[E] // the last one is the next to be taken
	making   int
	failures int
	paused   time.Time // until when nothing is made, after a failure
}

// A slot holds an entry.
type slot[E pooled] struct {
	entry   E
	expires time.Time
}

func (s slot[E]) usable(now time.Time) bool { return now.Before(s.expires) && !s.entry.ended() }

func newPool[E pooled](cfg PoolConfig, prepare func(context.Context, string) (E, error), warn func(string, error)) *pool[E] {
	p := &pool[E]{
		limit: poolLimit{
			each:   cfg.Max,
			memory: int64(cmp.Or(cfg.MemoryMB, defaultPoolMemoryMB)) << 20,
		},
		cores:   runtime.GOMAXPROCS(0),
		prepare: prepare,
		warn:    warn,
		wake:    make(chan struct{}, 1),
		closed:  cfg.Max <= 0,
		shelves: map[string]*shelf[E]{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if cfg.Max > 0 {
		p.work.Go(p.run)
	}
	return p
}

// expect tells that starts of a kind are to be expected from now on.
func (p *pool[E]) expect(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shelf(kind).expected = true
	p.poke()
}

// take returns an entry, which is the caller's from then on; ok is false when
// there is none. Either way it counts as a start.
func (p *pool[E]) take(kind string) (e E, ok bool) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return e, false
	}
	s := p.shelf(kind)
	if len(s.starts) == maxStarts {
		s.starts = slices.Delete(s.starts, 0, maxStarts/2)
	}
	s.starts = append(s.starts, now)
	p.poke()
	for i := len(s.ready) - 1; i >= 0; i-- {
		if s.ready[i].usable(now) {
			e = s.ready[i].entry
			s.ready = slices.Delete(s.ready, i, i+1)
			p.turn()
			return e, true
		}
	}
	return e, false
}

// begin says that a start is in flight, until done is called.
func (p *pool[E]) begin() (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight++
	p.turn()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.inFlight--
		p.last = time.Now()
		p.turn()
		p.poke()
	}
}

// busy reports whether starts are in flight, or were just now.
func (p *pool[E]) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight > 0 || time.Since(p.last) < lull
}

// shelf returns a kind's shelf. The lock is held.
func (p *pool[E]) shelf(kind string) *shelf[E] {
	s := p.shelves[kind]
	if s == nil {
		s = &shelf[E]{demand: demand{kind: kind, memory: bareMemory}}
		p.shelves[kind] = s
	}
	return s
}

// poke wakes the loop.
func (p *pool[E]) poke() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run fills the shelves until the pool is closed.
func (p *pool[E]) run() {
	for p.ctx.Err() == nil {
		next := p.step(time.Now())
		timer := time.NewTimer(next)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-p.ctx.Done():
		}
		timer.Stop()
	}
}

// step does what is to be done now, and returns in how long to look again at
// the latest.
func (p *pool[E]) step(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	sizes := poolSizes(p.demands(), p.limit, now)
	var lacking []*shelf[E]
	for _, s := range p.shelves {
		p.tidy(s, sizes[s.kind], now)
		if len(s.ready)+s.making < sizes[s.kind] && !now.Before(s.paused) {
			lacking = append(lacking, s)
		}
	}
	if len(lacking) == 0 {
		p.lacking = time.Time{}
		return poolTick
	}
	if p.lacking.IsZero() {
		p.lacking = now
	}
	// The emptiest first.
	slices.SortFunc(lacking, func(a, b *shelf[E]) int {
		return cmp.Or(cmp.Compare(len(a.ready)+a.making, len(b.ready)+b.making), cmp.Compare(a.kind, b.kind))
	})
	limit, wait := fillers, time.Duration(0)
	switch since := now.Sub(p.last); {
	case p.inFlight >= p.cores && since < calm:
		return lull // to prepare takes more than to start, and there is no time for both
	case p.inFlight > 0 || since < lull:
		limit, wait = 1, holdOff-now.Sub(p.lacking)
	case since < calm:
		limit = 1
	}
	for _, s := range lacking {
		if wait > 0 && len(s.ready) > 0 {
			return min(wait, lull)
		}
		for p.making < limit && len(s.ready)+s.making < sizes[s.kind] {
			p.making++
			s.making++
			p.work.Go(func() { p.fill(s) })
		}
	}
	return poolTick
}

// demands lists what is known of the kinds' starts. The lock is held.
func (p *pool[E]) demands() []demand {
	var list []demand
	for _, s := range p.shelves {
		list = append(list, s.demand)
	}
	slices.SortFunc(list, func(a, b demand) int { return cmp.Compare(a.kind, b.kind) })
	return list
}

// tidy takes from a shelf what cannot be used, and what is too much, the
// oldest first. The lock is held.
func (p *pool[E]) tidy(s *shelf[E], size int, now time.Time) {
	keep := s.ready[:0]
	var gone []E
	for i, e := range s.ready {
		if left := len(s.ready) - i; !e.usable(now) || len(keep)+left > size {
			gone = append(gone, e.entry)
			continue
		}
		keep = append(keep, e)
	}
	clear(s.ready[len(keep):])
	s.ready = keep
	for len(s.starts) > 0 && now.Sub(s.starts[0]) > burstMemory {
		s.starts = s.starts[1:]
	}
	if len(gone) > 0 {
		p.leaving += len(gone)
		p.work.Go(func() {
			p.discard(s.kind, gone)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.leaving -= len(gone)
		})
	}
}

func (p *pool[E]) discard(kind string, gone []E) {
	var errs []error
	for _, e := range gone {
		errs = append(errs, e.close())
	}
	if err := errors.Join(errs...); err != nil {
		p.warn(kind, err)
	}
}

// fill makes one entry and puts it on its shelf.
func (p *pool[E]) fill(s *shelf[E]) {
	ctx, cancel := context.WithTimeout(p.ctx, prepareTime)
	defer cancel()
	e, err := p.prepare(ctx, s.kind)
	kept := p.shelve(s, e, err)
	switch {
	case err == nil && !kept:
		p.discard(s.kind, []E{e})
	case err != nil && p.ctx.Err() == nil:
		p.warn(s.kind, err)
	}
}

// shelve notes what came of the making of an entry, and reports whether it
// is kept.
func (p *pool[E]) shelve(s *shelf[E], e E, err error) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
	s.making--
	p.poke()
	if err != nil {
		s.paused = now.Add(min(maxFillPause, time.Second<<min(s.failures, 6)))
		s.failures++
		return false
	}
	s.failures, s.memory = 0, e.size()
	if p.closed {
		return false
	}
	s.ready = append(s.ready, slot[E]{e, now.Add(poolLife + rand.N(poolLife/5))})
	return true
}

// close gives up all that is prepared, and returns once nothing is left.
func (p *pool[E]) close() error {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	var gone []E
	for _, s := range p.shelves {
		for _, e := range s.ready {
			gone = append(gone, e.entry)
		}
		s.ready = nil
	}
	p.mu.Unlock()
	errs := make([]error, len(gone))
	var wg sync.WaitGroup
	for i, e := range gone {
		wg.Go(func() { errs[i] = e.close() })
	}
	wg.Wait()
	p.work.Wait()
	return errors.Join(errs...)
}
