package launcher

import (
	"context"
	"sync"
)

// waiting is the context of an invocation: it ends with its caller's, and when
// the environment is closed. Only who wants to be told of that has it register
// with those, and most invocations are over before anybody does.
type waiting struct {
	context.Context // the caller's
	open            context.Context

	mu     sync.Mutex
	joined context.Context // with both; nil until somebody wants to be told
	end    func()          // of joined
}

// Err implements context.Context.
func (w *waiting) Err() error {
	if err := w.Context.Err(); err != nil {
		return err
	}
	return w.open.Err()
}

// Done implements context.Context.
func (w *waiting) Done() <-chan struct{} { return w.join().Done() }

// Value implements context.Context. It is joined's too, so that contexts which
// are derived of this one need no goroutine to end with it.
func (w *waiting) Value(key any) any {
	w.mu.Lock()
	from := w.joined
	w.mu.Unlock()
	if from == nil {
		from = w.Context
	}
	return from.Value(key)
}

func (w *waiting) join() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.joined == nil {
		joined, cancel := context.WithCancel(w.Context)
		stop := context.AfterFunc(w.open, cancel)
		w.joined, w.end = joined, func() { stop(); cancel() }
	}
	return w.joined
}

// over frees what was registered: nobody waits any more.
func (w *waiting) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end != nil {
		w.end()
	}
}
