package process

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeFreezer stands still or does not.
type fakeFreezer struct {
	refuses, stuck error

	mu      sync.Mutex
	still   bool
	freezes int
}

func (f *fakeFreezer) Freeze(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.still = f.refuses == nil
	f.freezes++
	return f.refuses
}

func (f *fakeFreezer) Thaw() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.still = f.stuck != nil
	return f.stuck
}

func (f *fakeFreezer) isStill() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.still }

// stillTest runs f in a bubble with a pool that has two entries of "a" and
// something that boots for it.
func stillTest(t *testing.T, box *fakeFreezer, f func(p *pool[*fakeEntry], is func(what string, still bool), done func() error)) {
	t.Helper()
	m := &fakeMaker{}
	poolTest(t, DefaultPool, m, func(p *pool[*fakeEntry]) {
		p.take("a")
		time.Sleep(time.Second)
		if n := len(p.ready("a")); n != 2 {
			t.Fatalf("%d entries are ready, want 2", n)
		}
		m.mu.Lock()
		m.takes = time.Hour
		m.mu.Unlock()
		f(p, func(what string, still bool) {
			t.Helper()
			synctest.Wait()
			if box.isStill() != still {
				t.Errorf("%s: stands still: %v, want %v", what, !still, still)
			}
		}, p.keepStill("a", box))
	})
}

func TestBootsStandStillForStarts(t *testing.T) {
	stillTest(t, &fakeFreezer{}, func(p *pool[*fakeEntry], is func(string, bool), done func() error) {
		is("before", false)
		first, second := p.begin(), p.begin()
		is("while two start", true)
		first()
		time.Sleep(2 * lull)
		is("while one starts", true)
		second()
		is("while the invocation runs", true)
		time.Sleep(lull)
		is("afterwards", false)
		p.begin()()
		is("just after another one", true)
		time.Sleep(lull)
		is("after another one", false)
		defer p.begin()()
		is("while a third starts", true)
		if err := done(); err != nil {
			t.Error(err)
		}
		is("when it has booted", false)
	})
}

func TestBootsGoOnWhereNothingIsLeft(t *testing.T) {
	stillTest(t, &fakeFreezer{}, func(p *pool[*fakeEntry], is func(string, bool), done func() error) {
		defer p.begin()()
		is("with two left", true)
		mustTake(t, p, "a")
		is("with one left", true)
		mustTake(t, p, "a")
		is("with none left", false)
		if err := done(); err != nil {
			t.Error(err)
		}
	})
}

func TestBootsStandStillForAWhileOnly(t *testing.T) {
	stillTest(t, &fakeFreezer{}, func(p *pool[*fakeEntry], is func(string, bool), done func() error) {
		end := p.begin()
		time.Sleep(standstill / 2)
		is("for half of it", true)
		end()
		time.Sleep(poolTick)
		is("between", false)
		defer p.begin()()
		is("for the rest", true)
		time.Sleep(standstill / 2)
		is("for too long", false)
		if err := done(); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatCannotStandStillBoots(t *testing.T) {
	stuck := errors.New("stuck")
	for _, tt := range []struct {
		box  *fakeFreezer
		want error
	}{
		{&fakeFreezer{refuses: errors.ErrUnsupported}, nil},
		{&fakeFreezer{stuck: stuck}, stuck},
		{&fakeFreezer{refuses: context.Canceled, stuck: stuck}, stuck},
	} {
		stillTest(t, tt.box, func(p *pool[*fakeEntry], _ func(string, bool), done func() error) {
			p.begin()()
			time.Sleep(time.Second)
			p.begin()()
			time.Sleep(time.Second)
			if err := done(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
		if tt.box.freezes != 1 {
			t.Errorf("it was frozen %d times", tt.box.freezes)
		}
	}
}

// TestStemThatStoodStill: a runtime that is frozen while it boots is as any.
func TestStemThatStoodStill(t *testing.T) {
	for _, runtime := range []string{"python3.12", "nodejs20.x"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			l, v := languageProbe(t, runtime, nil)
			v.MemoryMB = preparedMemoryMB
			rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
			p, err := l.prepare(t.Context(), l.preparedSpec(), false)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := p.close(); err != nil {
					t.Error(err)
				}
			})
			p.stem, err = l.stem(t.Context(), p.box, rt, func() func() error {
				froze := p.box.Freeze(t.Context())
				thawed := make(chan error, 1)
				time.AfterFunc(10*time.Millisecond, func() { thawed <- p.box.Thaw() })
				return func() error { return errors.Join(froze, <-thawed) }
			})
			if err != nil {
				t.Fatal(err)
			}
			if p.ended() {
				t.Error("it has ended")
			}
		})
	}
}
