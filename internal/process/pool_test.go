package process

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeEntry is prepared in no time.
type fakeEntry struct {
	kind   string
	number int
	maker  *fakeMaker
	dead   bool
	closed bool
}

func (e *fakeEntry) ended() bool { e.maker.mu.Lock(); defer e.maker.mu.Unlock(); return e.dead }
func (e *fakeEntry) size() int64 { return e.maker.bytes }
func (e *fakeEntry) close() error {
	e.maker.mu.Lock()
	defer e.maker.mu.Unlock()
	if e.closed {
		e.maker.t.Errorf("%s %d was closed before", e.kind, e.number)
	}
	e.closed = true
	e.maker.open--
	return nil
}

func (e *fakeEntry) isClosed() bool { e.maker.mu.Lock(); defer e.maker.mu.Unlock(); return e.closed }

// ready lists what is on a shelf.
func (p *pool[E]) ready(kind string) (l []E) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.shelf(kind).ready {
		l = append(l, s.entry)
	}
	return l
}

// A fakeMaker prepares fakeEntries.
type fakeMaker struct {
	t     *testing.T
	takes time.Duration // to make one
	bytes int64         // of one

	mu       sync.Mutex
	fails    error
	made     int
	open     int
	atOnce   int // that are made now
	mostEver int
}

func (m *fakeMaker) prepare(ctx context.Context, kind string) (*fakeEntry, error) {
	m.mu.Lock()
	m.atOnce++
	m.mostEver = max(m.mostEver, m.atOnce)
	m.made++
	e := &fakeEntry{kind: kind, number: m.made, maker: m}
	m.mu.Unlock()
	select {
	case <-time.After(m.takes):
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.atOnce--
	if err := errors.Join(ctx.Err(), m.fails); err != nil {
		return nil, err
	}
	m.open++
	return e, nil
}

func (m *fakeMaker) counts() (made, open int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made, m.open
}

// poolTest runs f in a bubble with a pool that is closed at the end.
func poolTest(t *testing.T, cfg PoolConfig, m *fakeMaker, f func(p *pool[*fakeEntry])) {
	t.Helper()
	m.t = t
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // so that no time is near zero
		p := newPool(cfg, m.prepare, func(string, error) {})
		f(p)
		if err := p.close(); err != nil {
			t.Error(err)
		}
		if err := p.close(); err != nil {
			t.Error("again:", err)
		}
		if _, open := m.counts(); open != 0 {
			t.Errorf("%d entries are left", open)
		}
		if _, ok := p.take("a"); ok {
			t.Error("a closed pool gives something")
		}
	})
}

// mustTake takes an entry that has to be there, and closes it.
func mustTake(t *testing.T, p *pool[*fakeEntry], kind string) *fakeEntry {
	t.Helper()
	e, ok := p.take(kind)
	if !ok {
		t.Fatalf("nothing of %q is there", kind)
	}
	if e.kind != kind {
		t.Errorf("got a %q, want %q", e.kind, kind)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
	return e
}

func TestPoolFillsUpAfterStarts(t *testing.T) {
	m := &fakeMaker{takes: 10 * time.Millisecond}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		time.Sleep(time.Minute)
		if made, _ := m.counts(); made != 0 {
			t.Errorf("%d entries are made before anything was started", made)
		}
		if _, ok := p.take("a"); ok {
			t.Error("there is one at the beginning")
		}
		time.Sleep(100 * time.Millisecond)
		if _, open := m.counts(); open != 2 {
			t.Errorf("%d entries after a start, want 2", open)
		}
		first, second := mustTake(t, p, "a"), mustTake(t, p, "a")
		if first == second {
			t.Error("one entry is given away twice")
		}
		if _, ok := p.take("b"); ok {
			t.Error("an entry of another kind")
		}
		time.Sleep(200 * time.Millisecond)
		if _, open := m.counts(); open != 4+2 { // three starts of a, with headroom; one of b
			t.Errorf("%d entries, want 6", open)
		}
		if m.mostEver > fillers {
			t.Errorf("%d were made at a time, want %d at most", m.mostEver, fillers)
		}
		time.Sleep(2 * burstMemory)
		if _, open := m.counts(); open != 0 {
			t.Errorf("%d entries after a long time without starts, want none", open)
		}
	})
}

func TestPoolKeepsOneOfWhatIsExpected(t *testing.T) {
	m := &fakeMaker{}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.expect("a")
		time.Sleep(time.Hour)
		if _, open := m.counts(); open != 1 {
			t.Errorf("%d entries, want one", open)
		}
		mustTake(t, p, "a")
	})
}

func TestPoolReplacesEntries(t *testing.T) {
	m := &fakeMaker{}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.expect("a")
		time.Sleep(time.Second)
		first := p.ready("a")[0]
		m.mu.Lock()
		first.dead = true
		m.mu.Unlock()
		time.Sleep(2 * poolTick)
		if !first.isClosed() {
			t.Error("one that ended is not given up")
		}
		second := p.ready("a")[0]
		time.Sleep(poolLife - 3*poolTick)
		if second.isClosed() {
			t.Error("one is given up before its time")
		}
		time.Sleep(poolLife/5 + 5*poolTick)
		if !second.isClosed() {
			t.Error("an old one is kept")
		}
		third := p.ready("a")[0]
		m.mu.Lock()
		third.dead = true
		m.mu.Unlock()
		if _, ok := p.take("a"); ok {
			t.Error("one that ended is given away")
		}
	})
}

func TestPoolIsBounded(t *testing.T) {
	m := &fakeMaker{bytes: 100 << 20}
	poolTest(t, PoolConfig{Max: 3, MemoryMB: 450}, m, func(p *pool[*fakeEntry]) {
		for _, kind := range []string{"a", "b"} {
			for range 20 {
				if e, ok := p.take(kind); ok { // made meanwhile
					if err := e.close(); err != nil {
						t.Error(err)
					}
				}
			}
		}
		time.Sleep(5 * time.Second)
		if _, open := m.counts(); open != 4 {
			t.Errorf("%d entries of 100 MB, want 4", open)
		}
		if n := len(p.ready("a")); n > 3 {
			t.Errorf("%d entries of one kind, want 3 at most", n)
		}
	})
}

func TestStartsHoldOffTheFilling(t *testing.T) {
	m := &fakeMaker{takes: time.Millisecond}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.cores = 2
		p.take("a")
		time.Sleep(time.Second)
		done := p.begin()
		mustTake(t, p, "a")
		time.Sleep(holdOff / 2)
		if made, _ := m.counts(); made != 2 {
			t.Errorf("%d entries made while a start is in flight, want the first 2", made)
		}
		done()
		time.Sleep(2*lull + 2*m.takes)
		if _, open := m.counts(); open < 2 {
			t.Errorf("%d entries after the start's end", open)
		}

		done = p.begin() // it never ends
		defer done()
		mustTake(t, p, "a")
		time.Sleep(2 * holdOff)
		if n := len(p.ready("a")); n < 2 {
			t.Errorf("%d entries: a start that lasts holds off the filling for ever", n)
		}
		synctest.Wait()
		made, _ := m.counts()
		for e, ok := p.take("a"); ok; e, ok = p.take("a") { // with nothing left, nothing is held off
			if err := e.close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * m.takes)
		if now, _ := m.counts(); now == made {
			t.Error("an empty shelf is not filled during a start")
		}
	})
}

// TestNothingIsPreparedInAStorm: starts follow one another on every processor.
func TestNothingIsPreparedInAStorm(t *testing.T) {
	m := &fakeMaker{takes: time.Millisecond}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.cores = 2
		p.begin()() // a storm has starts that ended just now
		lasting, ending := p.begin(), p.begin()
		for range 100 {
			p.take("a")
			next := p.begin()
			ending()
			ending = next
			time.Sleep(10 * time.Millisecond)
		}
		if made, _ := m.counts(); made > 0 {
			t.Errorf("%d entries are made meanwhile", made)
		}
		time.Sleep(calm + time.Second) // both of them last
		if _, open := m.counts(); open != DefaultPool.Max {
			t.Errorf("%d entries afterwards, want %d", open, DefaultPool.Max)
		}
		lasting()
		ending()
	})
}

func TestPoolPausesAfterFailures(t *testing.T) {
	m := &fakeMaker{fails: errors.New("no")}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.expect("a")
		time.Sleep(10 * time.Minute)
		made, _ := m.counts()
		if made < 5 || made > 20 {
			t.Errorf("%d tries in ten minutes", made)
		}
		m.mu.Lock()
		m.fails = nil
		m.mu.Unlock()
		time.Sleep(2 * maxFillPause)
		mustTake(t, p, "a")
	})
}

func TestPoolThatIsOff(t *testing.T) {
	m := &fakeMaker{}
	poolTest(t, PoolConfig{}, m, func(p *pool[*fakeEntry]) {
		p.expect("a")
		p.take("a")
		time.Sleep(time.Minute)
		if made, _ := m.counts(); made != 0 {
			t.Errorf("%d entries are made", made)
		}
	})
}

func TestPoolClosesWhileItFills(t *testing.T) {
	m := &fakeMaker{takes: time.Hour}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.expect("a")
		time.Sleep(time.Second)
	})
}
