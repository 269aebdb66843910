package budget

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millicent-run/millicent"
)

// TestStormy: what is a storm, and what is a busy day.
func TestStormy(t *testing.T) {
	const cents = millicent.Cent
	for name, c := range map[string]struct {
		usual     millicent.Money // of each of the 120 minutes before
		usualHops int
		calls     int
		each      millicent.Money
		hops      int
		budget    millicent.Money
		want      bool
	}{
		"nothing happens":                      {cents, 0, 0, 0, 0, 100 * cents, false},
		"as usual":                             {cents, 0, 10, cents / 10, 0, 100 * cents, false},
		"five times as usual":                  {cents, 0, 50, cents / 10, 0, 100 * cents, false},
		"twelve times as usual":                {cents, 0, 120, cents / 10, 0, 100 * cents, true},
		"twelve times, of a large budget":      {cents, 0, 120, cents / 10, 0, 10_000 * cents, false},
		"a new function, a little":             {0, 0, 40, cents / 10, 0, 100 * cents, false},
		"a new function, a 20th of the budget": {0, 0, 50, cents / 10, 0, 100 * cents, true},
		"four times, much deeper":              {cents, 0, 40, cents / 10, 6, 100 * cents, true},
		"four times, as deep as ever":          {cents, 6, 40, cents / 10, 6, 100 * cents, false},
		"twice, much deeper":                   {cents, 0, 20, cents / 10, 6, 100 * cents, false},
	} {
		f := &flow{minute: noon.Unix() / 60}
		now := noon
		for range 120 {
			if c.usual > 0 {
				f.charge(c.usual, c.usualHops, now)
			}
			now = now.Add(time.Minute)
		}
		now = now.Add(59 * time.Second)
		for range c.calls {
			f.charge(c.each, c.hops, now)
		}
		got := f.stormy(c.budget, now)
		if (got != nil) != c.want {
			t.Errorf("%s: got %v", name, got)
		}
		if got != nil && (got.Hops < float64(c.hops) || !got.Until.Equal(now.Add(stormPause))) {
			t.Errorf("%s: the evidence is %+v", name, got)
		}
	}
}

// TestFlowForgets: what was usual a day ago is not any more.
func TestFlowForgets(t *testing.T) {
	f := &flow{minute: noon.Unix() / 60}
	now := noon
	for range 600 {
		f.charge(millicent.Cent, 0, now)
		now = now.Add(time.Minute)
	}
	if f.usual < millicent.Cent*99/100 {
		t.Errorf("after ten hours %v is usual", f.usual)
	}
	f.advance(now.Add(24 * time.Hour))
	if f.usual > millicent.Cent/1000 {
		t.Errorf("a day later %v is usual", f.usual)
	}
	f.advance(now.Add(100 * 365 * 24 * time.Hour)) // at once
}

// TestBreaker: a storm is paused, with the evidence in the refusal, in the
// news and in the list; the pause ends by itself, or when somebody says so.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.function("hello", 1024, time.Second)
		w.function("calm", 128, time.Second)
		w.set(millicent.Budget{Per: millicent.PerMonth, Amount: 400 * most(f.Draft), Breaker: true})
		storm := func() (n int, err error) {
			for ; n < 100; n++ {
				if _, err = w.call("hello", 100*time.Millisecond); err != nil {
					return n, err
				}
			}
			return n, nil
		}
		// Usual: a call each minute.
		for range 30 {
			if _, err := w.call("hello", 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n, err := storm(); err != nil || n != 100 {
			t.Fatalf("a hundred calls of little: %d, %v", n, err)
		}
		time.Sleep(time.Hour)
		w.function("hello", 10240, time.Second) // each call costs ten times as much
		n, err := storm()
		e := wantRefusal(t, err, "tenant/month")
		if n < 15 || n > 25 || !strings.Contains(e.Message, "The function is paused until 2000-01-01 01:35") || !strings.Contains(e.Message, "in a minute (usual: 0.0000") {
			t.Errorf("after %d calls: %v", n, e)
		}
		if _, err := w.call("calm", 0); err != nil {
			t.Errorf("another function is paused: %v", err)
		}
		storms := w.gate.Storms(account1)
		if len(storms) != 1 || storms[0].Function != "hello" || storms[0].LastMinute <= 10*storms[0].Usual {
			t.Errorf("the storms are %+v", storms)
		}
		if len(w.news) != 1 || w.news[0].Storm == nil || w.news[0].Status.ID != "tenant/month" {
			t.Errorf("the news are %+v", w.news)
		}
		time.Sleep(stormPause)
		if _, err := w.call("hello", 0); err != nil {
			t.Errorf("after the pause: %v", err)
		}
		if _, err := storm(); err == nil {
			t.Error("a storm that goes on is not paused again")
		}
		if !w.gate.Resume(account1, "hello") || w.gate.Resume(account1, "hello") || w.gate.Resume(account1, "calm") {
			t.Error("a pause does not end once")
		}
		if n, err := storm(); err != nil {
			t.Errorf("what was found usual is paused again after %d: %v", n, err)
		}
	})
}
