package eventsource

import (
	"context"
	"errors"
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
	source  millicent.Source
	filters []*Pattern
	ctx     context.Context // ends when nothing is taken any more
	stop    context.CancelFunc
	ended   chan struct{} // the last turn has ended

	mu      sync.Mutex
	trouble string
	did     string // without trouble; empty of queues
}

func newRun(s *Service, m *millicent.Mapping) *run {
	r := &run{service: s, mapping: m, ended: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(s.life)
	r.filters, _ = parseFilters(m.Filters)        // they were checked when they were stored,
	r.source, _ = millicent.ParseSource(m.Source) // and so was this
	if r.source.Kind != millicent.FromQueue {
		r.did = nothingYet
	}
	return r
}

// A worker takes turns: in each it does something with what the source has, or
// waits for it. Turns end soon when the run is stopped; close follows the last.
type worker interface {
	turn() error
	close()
}

// worker returns what does the run's work.
func (r *run) worker() worker {
	switch r.source.Kind {
	case millicent.FromStream:
		return &streamRun{run: r, settings: r.mapping.Stream}
	case millicent.FromSubject:
		return &subjectRun{run: r}
	default:
		return newQueueRun(r)
	}
}

// work takes turns until the run is stopped. It begins when the run before it,
// if there was one, has ended: two must not take from a stream.
func (r *run) work(before *run) {
	defer close(r.ended)
	if before != nil {
		<-before.ended
	}
	w := r.worker()
	defer w.close()
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
	if d <= 0 {
		return
	}
	select {
	case <-r.ctx.Done():
	case <-time.After(d):
	}
}

// What mappings of NATS say of their latest records; see run.result.
const (
	nothingYet = "No records processed"
	allWell    = "OK"
)

// errCall is what is said of a function that failed.
var errCall = errors.New("Function call failed") //nolint:revive,staticcheck // the API's own words

// result says how the run goes; of queues nothing when all is well.
func (r *run) result() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != "" {
		return r.trouble
	}
	return r.did
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

// ran keeps how the latest records went.
func (r *run) ran(err error) {
	r.note(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = allWell
}
