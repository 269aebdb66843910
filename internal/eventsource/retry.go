package eventsource

import (
	"hash/fnv"
	"time"

	"github.com/millicent-run/millicent"
)

// A trial is records of a stream that are given to the function together, and
// how often that was done.
type trial struct {
	records []natsRecord
	retries int // that count
	runs    int // all, the first included
	vain    int // the latest ones in a row that did nothing
}

// after decides what becomes of a trial's records, of which the first done are
// done with: what is tried again, in order, or that they are given up. A batch
// is halved, or split where the function says, without that being a retry
// (AWS Lambda Developer Guide, "How Lambda processes records from stream and
// queue-based event sources").
func (t trial) after(o outcome, done int, s *millicent.StreamSettings) (again []trial, giveUp bool) {
	rest := trial{records: t.records[done:], retries: t.retries, runs: t.runs, vain: t.vain + 1}
	n := len(rest.records)
	switch {
	case n == 0:
		return nil, false
	case o == outcomeThrottled:
		return []trial{rest}, false
	case s.Bisect && done > 0:
		rest.vain = 0
		return []trial{rest}, false
	case s.Bisect && n > 1:
		first, second := rest, rest
		first.records, second.records = rest.records[:n/2], rest.records[n/2:]
		first.vain, second.vain = 0, 0
		return []trial{first, second}, false
	case s.Retries >= 0 && t.retries >= s.Retries:
		return nil, true
	}
	rest.retries++
	return []trial{rest}, false
}

// pause is how long to wait before the trial is made.
func (t trial) pause() time.Duration {
	if t.vain == 0 {
		return 0
	}
	return min(minPause<<min(t.vain-1, 10), maxPause)
}

// expired splits a trial's records into those that are too old and the others.
func (t trial) expired(now time.Time, s *millicent.StreamSettings) (old, rest []natsRecord) {
	if s.MaxAge < 0 {
		return nil, t.records
	}
	limit := now.Add(-time.Duration(s.MaxAge) * time.Second)
	for _, r := range t.records {
		if r.time.Before(limit) {
			old = append(old, r)
		} else {
			rest = append(rest, r)
		}
	}
	return old, rest
}

// lanes distributes records so that those of a subject stay in order: each
// lane's are done one batch after the other.
func lanes(records []natsRecord, n int) (all [][]natsRecord) {
	all = make([][]natsRecord, n)
	for _, r := range records {
		h := fnv.New32a()
		_, _ = h.Write([]byte(r.subject)) // never fails
		i := h.Sum32() % uint32(n)
		all[i] = append(all[i], r)
	}
	return all
}
