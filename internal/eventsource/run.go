package eventsource

import (
	"context"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

const (
	pollWait = 20 * time.Second // for the first record, then again
	minPause = 200 * time.Millisecond
	maxPause = 30 * time.Second
)

// A run is what all enabled mappings at work have.
type run struct {
	service *Service
	mapping *millicent.Mapping
	filters []*Pattern
	ctx     context.Context // ends when nothing is taken any more
	stop    context.CancelFunc

	mu      sync.Mutex
	trouble string
}

func newRun(s *Service, m *millicent.Mapping) *run {
	r := &run{service: s, mapping: m}
	r.ctx, r.stop = context.WithCancel(s.life)
	r.filters, _ = parseFilters(m.Filters) // they were checked when they were stored
	return r
}

// A worker takes turns: in each it does something with what the source has, or
// waits for it. Turns end with the run's context.
type worker interface{ turn() error }

// work lets w take turns until the run is stopped.
func (r *run) work(w worker) {
	pause := minPause
	for r.ctx.Err() == nil {
		err := w.turn()
		r.note(err)
		if err == nil {
			pause = minPause
			continue
		}
		r.sleep(pause) // the source or the function is not there: they may come back
		pause = min(2*pause, maxPause)
	}
}

// sleep waits, or until the run is stopped.
func (r *run) sleep(d time.Duration) {
	select {
	case <-r.ctx.Done():
	case <-time.After(d):
	}
}

func (r *run) problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// note keeps what was wrong the last time.
func (r *run) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = ""
	if err != nil && r.ctx.Err() == nil {
		if r.trouble = "PROBLEM: " + err.Error(); millicent.ErrorCode(err) != millicent.CodeInternal {
			r.service.cfg.Log.Debug("event source mapping waits", "mapping", r.mapping.ID, "function", r.mapping.Function, "error", err)
		}
	}
}
