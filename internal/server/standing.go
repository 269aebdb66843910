package server

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/durable"
)

// Between two looks, what stands is known on disk: a server that is killed, or
// loses its power, has its usage recorded by the next one, up to some seconds
// before its end.

const (
	standingFile  = "standing" // in usageDir
	standingEvery = 5 * time.Second

	// maxUnseen bounds the time that a look did not see: clocks may jump.
	maxUnseen = 2 * usageMinute
)

// A standingState is what a server has not recorded yet.
type standingState struct {
	Format   int             `json:"format"` // 1
	Life     string          `json:"life"`   // of the server
	Last     time.Time       `json:"last"`   // its last look
	Seen     time.Time       `json:"seen"`   // when this was written
	Span     time.Duration   `json:"span"`   // of what is stored, up to the last look
	Stored   []storedState   `json:"stored,omitempty"`
	Ready    []readyState    `json:"ready,omitempty"`
	Requests []requestsState `json:"requests,omitempty"`
}

type storedState struct {
	Tenant, Function, What string
	Tags                   map[string]string `json:",omitempty"`
	ByteSeconds            int64             // up to the last look
	Bytes                  int64             // that it saw
}

type readyState struct {
	Record  millicent.UsageRecord // but for its time and quantity
	PerMs   int64                 // MB
	IDStart string                // of the record's id, before the time
}

type requestsState struct {
	Tenant, Queue string
	Requests      int64
}

// state returns what is not recorded yet.
func (l *usageLook) state(now time.Time) standingState {
	st := standingState{Format: 1, Life: l.life, Last: l.last, Seen: now, Span: l.span, Ready: l.ready}
	for of, bytes := range l.held {
		st.Stored = append(st.Stored, storedState{of.tenant, of.function, of.what, l.tags[functionOf{of.tenant, of.function}], l.stored[of], bytes})
	}
	for of, n := range l.stored {
		if _, held := l.held[of]; !held { // deleted meanwhile
			st.Stored = append(st.Stored, storedState{of.tenant, of.function, of.what, l.tags[functionOf{of.tenant, of.function}], n, 0})
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, n := range l.requests {
		st.Requests = append(st.Requests, requestsState{of.tenant, of.queue, n})
	}
	return st
}

// records returns the records of a server that did not come to make them.
func (st *standingState) records(book string) (all []millicent.UsageRecord) {
	unseen := min(max(0, st.Seen.Sub(st.Last)), maxUnseen)
	minute := lookName(st.Last)
	keep := func(rec millicent.UsageRecord) {
		if rec.PriceBook = book; rec.Quantity > 0 {
			all = append(all, rec)
		}
	}
	for _, r := range st.Ready {
		rec := r.Record
		rec.ID, rec.Start, rec.Duration, rec.Quantity = r.IDStart+"/"+minute+"/"+st.Life, st.Last, unseen, r.PerMs*unseen.Milliseconds()
		keep(rec)
	}
	for _, s := range st.Stored {
		rec := standingRecord(millicent.UsageStorage, s.Tenant, s.Function, s.What, minute, st.Life)
		rec.Tags, rec.Start, rec.Duration = s.Tags, st.Last.Add(-st.Span), st.Span+unseen
		rec.Quantity = s.ByteSeconds + byteSeconds(s.Bytes, unseen)
		keep(rec)
	}
	for _, q := range st.Requests {
		rec := standingRecord(millicent.UsageQueue, q.Tenant, "", q.Queue, minute, st.Life)
		rec.Start, rec.Duration, rec.Quantity = st.Last, unseen, q.Requests
		keep(rec)
	}
	return all
}

// byteSeconds returns what bytes are in a time.
func byteSeconds(bytes int64, took time.Duration) int64 {
	seconds, rest := int64(took/time.Second), (took % time.Second).Milliseconds()
	return bytes*seconds + bytes/1000*rest + bytes%1000*rest/1000
}

// saveStanding writes the state, which is durable when it returns.
func saveStanding(dir string, st standingState) error {
	content, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, standingFile), content, 0o600)
}

// readStanding reads the state that a server left; the zero state where there
// is none.
func readStanding(dir string) (st standingState, err error) {
	content, err := os.ReadFile(filepath.Join(dir, standingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &st)
	}
	if err == nil && st.Format != 1 {
		err = errors.New("standing usage of a format that this millicent does not know")
	}
	return st, err
}
