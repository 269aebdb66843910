package scheduler

import (
	"cmp"
	"container/heap"
	"iter"
	"time"
)

// Which idle environments go first when others need their room is decided by
// greedy dual (size, frequency), as caches do where objects differ in size and
// in what it costs to have them again: each has a priority, which is its worth
// (see worth) above the clock of the time when it settled, and the lowest goes.
// The clock is the priority of the last one that went; so what is not used for
// long is overtaken by what is, however much it was worth once.
//
// An environment gets its priority when it has been idle for settleTime. One
// that is used again sooner costs nothing here: the path of a warm invocation
// never sees the heap. Those that have not settled go last, the longest idle
// first, and only where nothing else will do.

// An idleList holds the idle environments that may be closed for others, the
// longest idle first.
type idleList struct {
	oldest, newest *environment

	fresh   *environment // the oldest that has not settled; nil: all have
	settled settledHeap
	clock   float64
	serial  uint64 // of the latest to settle
	total   room   // of all
}

// An evictionPlace is an environment's place among the settled.
type evictionPlace struct {
	at       int // in the heap, from 1; 0: it has not settled
	priority float64
	serial   uint64
}

func (l *idleList) push(e *environment) {
	e.older, e.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = e
	} else {
		l.oldest = e
	}
	l.newest = e
	if l.fresh == nil {
		l.fresh = e
	}
	l.total = l.total.plus(e.room())
}

func (l *idleList) remove(e *environment) {
	if l.fresh == e {
		l.fresh = e.newer
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		l.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		l.newest = e.older
	}
	e.older, e.newer = nil, nil
	l.total = l.total.minus(e.room())
	if e.place.at > 0 {
		heap.Remove(&l.settled, e.place.at-1)
		e.of.settled--
	}
}

// settle gives those their priorities that have been idle for settleTime.
func (s *Scheduler) settle(now time.Time) {
	l := &s.idle
	for e := l.fresh; e != nil && now.Sub(e.idleSince) >= settleTime; e = l.fresh {
		l.fresh = e.newer
		ver := e.of
		uses := ver.record.uses.until(now)
		start := s.starts.estimate(e.spec.Runtime, ver.record)
		rank := max(1, ver.environments()-ver.settled)
		ver.settled++
		l.serial++
		e.place.priority = l.clock + worth(start, uses, e.takes.memoryMB, rank)
		e.place.serial = l.serial
		heap.Push(&l.settled, e)
	}
}

// evicted moves the clock on to the priority of one that has to go.
func (l *idleList) evicted(e *environment) {
	if e.place.at > 0 {
		l.clock = max(l.clock, e.place.priority)
	}
}

// evictionOrder yields the idle environments that may be closed for others, in
// the order in which they go, up to those that have not been idle for settled.
// Here alone is decided which go first. The lock is held, and the list stays as
// it is meanwhile.
func (s *Scheduler) evictionOrder(now time.Time, settled time.Duration) iter.Seq[*environment] {
	s.settle(now)
	return func(yield func(*environment) bool) {
		for e := range s.idle.settled.inOrder() {
			if !yield(e) {
				return
			}
		}
		for e := s.idle.fresh; e != nil && now.Sub(e.idleSince) >= settled; e = e.newer {
			if !yield(e) {
				return
			}
		}
	}
}

// A settledHeap has the lowest priority first; of equals, the first to settle.
type settledHeap []*environment

func (h settledHeap) Len() int { return len(h) }

func (h settledHeap) Less(i, j int) bool {
	a, b := h[i].place, h[j].place
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.serial, b.serial)) < 0
}

func (h settledHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place.at, h[j].place.at = i+1, j+1
}

// Push implements heap.Interface.
func (h *settledHeap) Push(x any) {
	e := x.(*environment)
	*h = append(*h, e)
	e.place.at = len(*h)
}

// Pop implements heap.Interface.
func (h *settledHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.place.at = 0
	return e
}

// inOrder yields all from the lowest on, without changing the heap. The first
// n cost n log n.
func (h settledHeap) inOrder() iter.Seq[*environment] {
	return func(yield func(*environment) bool) {
		if len(h) == 0 {
			return
		}
		next := frontier{h, []int{0}} // whose parents have been yielded
		for len(next.at) > 0 {
			i := heap.Pop(&next).(int)
			if !yield(h[i]) {
				return
			}
			for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
				heap.Push(&next, child)
			}
		}
	}
}

// A frontier is a heap of places in another heap.
type frontier struct {
	of settledHeap
	at []int
}

func (f *frontier) Len() int           { return len(f.at) }
func (f *frontier) Less(i, j int) bool { return f.of.Less(f.at[i], f.at[j]) }
func (f *frontier) Swap(i, j int)      { f.at[i], f.at[j] = f.at[j], f.at[i] }

// Push implements heap.Interface.
func (f *frontier) Push(x any) { f.at = append(f.at, x.(int)) }

// Pop implements heap.Interface.
func (f *frontier) Pop() any {
	last := len(f.at) - 1
	i := f.at[last]
	f.at = f.at[:last]
	return i
}
