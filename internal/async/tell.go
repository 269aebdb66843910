package async

import (
	"log/slog"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/queue"
)

const (
	// tellPause is how long nothing more is said of a function's events once
	// something was: they may be as many as the function's owner likes.
	tellPause = 10 * time.Second

	// maxTold bounds how many functions are kept in mind for that.
	maxTold = 1000
)

// A teller writes warnings about events to the operator's log: of each kind
// the first of a function, and how many more there were when the next is told.
// The metrics count them all.
type teller struct {
	mu   sync.Mutex
	told map[told]*telling
}

type told struct {
	function queue.Name
	kind     string
}

type telling struct {
	at     time.Time // of the last
	untold int       // since then
}

// due reports whether something is to be told now, and how many were not told
// before it.
func (t *teller) due(key told, now time.Time) (untold int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.told[key]
	switch {
	case last == nil:
		if len(t.told) >= maxTold || t.told == nil {
			t.told = make(map[told]*telling)
		}
		t.told[key] = &telling{at: now}
		return 0, true
	case now.Sub(last.at) < tellPause:
		last.untold++
		return 0, false
	}
	untold = last.untold
	*last = telling{at: now}
	return untold, true
}

// tell returns the log to tell the operator of an event in: one that says
// nothing when enough of the kind was told.
func (e *Events) tell(ev *event, kind string) *slog.Logger {
	untold, ok := e.teller.due(told{ev.queue(KindEvent), kind}, e.cfg.Now())
	if !ok {
		return slog.New(slog.DiscardHandler)
	}
	log := e.cfg.Log.With("tenant", ev.tenant, "function", ev.function, "id", ev.id)
	if untold > 0 {
		log = log.With("untold", untold)
	}
	return log
}
