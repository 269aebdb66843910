package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

func TestAverage(t *testing.T) {
	var a average
	steps := []struct{ add, want time.Duration }{
		{100, 100}, {200, 125}, {125, 125}, {0, 94},
	}
	for _, step := range steps {
		if a.add(step.add); time.Duration(a) != step.want {
			t.Errorf("after %d: got %d, want %d", step.add, a, step.want)
		}
	}
	var zero average
	zero.add(0)
	zero.add(-1)
	if zero == 0 {
		t.Error("what was measured as nothing counts as not measured")
	}
}

func TestStartEstimate(t *testing.T) {
	s := starts{runtimes: map[string]*average{}}
	known, other := &record{}, &record{}
	check := func(runtime string, of *record, want time.Duration) {
		t.Helper()
		if got := s.estimate(runtime, of); got != want {
			t.Errorf("%s: got %v, want %v", runtime, got, want)
		}
	}
	check("python3.13", known, unmeasured)
	s.measured("python3.13", known, 40*time.Millisecond)
	check("python3.13", known, 40*time.Millisecond)
	check("python3.13", other, 40*time.Millisecond) // as its runtime
	check("nodejs22.x", other, 40*time.Millisecond) // as all
	s.measured("python3.13", other, 80*time.Millisecond)
	check("python3.13", known, 40*time.Millisecond)
	check("python3.13", &record{}, 50*time.Millisecond)
}

func TestHistoryForgetsTheLongestUnused(t *testing.T) {
	h := newHistory()
	key := func(i int) historyKey { return historyKey{functionKey{"t", fmt.Sprint(i)}, millicent.Latest} }
	for i := range maxHistory {
		h.put(key(i), &record{revision: fmt.Sprint(i)})
	}
	h.put(key(0), h.take(key(0))) // used
	h.put(key(maxHistory), &record{})
	if h.take(key(1)) != nil {
		t.Error("the longest unused is remembered beyond the bound")
	}
	if r := h.take(key(0)); r == nil || r.revision != "0" {
		t.Errorf("got %+v, want the record just used", r)
	}
	if len(h.records) != h.order.Len() || h.order.Len() != maxHistory-1 {
		t.Errorf("%d records, %d in order", len(h.records), h.order.Len())
	}
}

func TestRecordOfARevision(t *testing.T) {
	var none *record
	if r := none.startOf("r1"); r.cause != millicent.StartFirst || r.revision != "r1" {
		t.Errorf("got %+v for the first", r)
	}
	old := &record{revision: "r1", cause: millicent.StartAfterExpiry, lease: 5, start: 7}
	if r := old.startOf("r1"); r != old {
		t.Errorf("got %+v for the same revision", r)
	}
	want := record{revision: "r2", cause: millicent.StartUpdated, lease: 5, start: 7}
	if r := old.startOf("r2"); *r != want {
		t.Errorf("got %+v, want %+v", *r, want)
	}
}

func TestMedian(t *testing.T) {
	var m median
	for i := range 1000 {
		d := time.Duration(100+i%10) * time.Microsecond
		if i%10 == 0 {
			d = time.Second
		}
		m.add(d)
	}
	if got := time.Duration(m); got < 90*time.Microsecond || got > 130*time.Microsecond {
		t.Errorf("got %v of nine in ten from 101 to 109 µs", got)
	}
	m = 1
	m.add(0)
	m.add(time.Nanosecond)
	if m < 1 {
		t.Errorf("got %d", m)
	}
}
