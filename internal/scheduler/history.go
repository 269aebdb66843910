package scheduler

import (
	"container/list"
	"time"

	"github.com/millicent-run/millicent"
)

// maxHistory is how many versions are remembered of which nothing is left.
const maxHistory = 10_000

// A record is what is remembered of a version, also after its last
// environment: how long things take, and why there would have to be a cold
// start now.
type record struct {
	revision string
	cause    millicent.StartCause
	ended    time.Time // when the last environment was closed; zero where none was
	evictor  string    // what it was closed for; see StartRecord.For
	lease    average   // that an invocation holds an environment
	typical  median    // of the same
	start    average   // that a launch takes
	uses     frequency // of its environments
	light    bool      // another environment beside those that there are is there at once
}

// startOf returns the record for a revision that follows old, which may be
// nil. The estimates stay: new code is likelier to be alike than not.
func (old *record) startOf(revision string) *record {
	switch {
	case old == nil:
		return &record{revision: revision, cause: millicent.StartFirst}
	case old.revision == revision:
		return old
	}
	return &record{revision: revision, cause: millicent.StartUpdated, ended: old.ended, lease: old.lease, typical: old.typical, start: old.start, uses: old.uses}
}

// nextStart returns what is known of a start that begins now, of a version that has
// others.
func nextStart(r *record, others int, now time.Time) millicent.StartRecord {
	if others > 0 {
		return millicent.StartRecord{Cause: millicent.StartScaleOut, Others: others}
	}
	start := millicent.StartRecord{Cause: r.cause}
	if !r.ended.IsZero() {
		start.Gone = now.Sub(r.ended)
	}
	if r.cause == millicent.StartAfterEviction {
		start.For = r.evictor
	}
	return start
}

type historyKey struct {
	functionKey
	number string
}

// A history holds the records of versions of which nothing is left, the
// longest unused first. It forgets these when it is full.
type history struct {
	order   list.List // of historyEntry
	records map[historyKey]*list.Element
}

type historyEntry struct {
	key    historyKey
	record *record
}

func newHistory() *history {
	return &history{records: make(map[historyKey]*list.Element)}
}

// take removes a record and returns it, nil when there is none.
func (h *history) take(key historyKey) *record {
	el := h.records[key]
	if el == nil {
		return nil
	}
	delete(h.records, key)
	return h.order.Remove(el).(historyEntry).record
}

func (h *history) put(key historyKey, r *record) {
	h.take(key)
	h.records[key] = h.order.PushBack(historyEntry{key, r})
	if h.order.Len() > maxHistory {
		h.take(h.order.Front().Value.(historyEntry).key)
	}
}
