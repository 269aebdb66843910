package egress

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How long an answer opens its addresses for the name asked: its time to
// live, but at least as long as programs reuse an answer, and not for ever.
const (
	minLearned    = 2 * time.Minute
	maxLearnedTTL = time.Hour
)

// namesPerAddr bounds the names remembered for one address.
const namesPerAddr = 64

// learnedNames remembers which names a sandbox was given an address for.
// It is safe for concurrent use.
type learnedNames struct {
	limit int

	mu    sync.Mutex                          // guards what follows
	names map[netip.Addr]map[string]time.Time // until when
}

func newLearnedNames(limit int) *learnedNames {
	return &learnedNames{limit: limit, names: make(map[netip.Addr]map[string]time.Time)}
}

// learn remembers that name was answered with these addresses.
func (l *learnedNames) learn(now time.Time, name string, ttl time.Duration, addrs []netip.Addr) {
	until := now.Add(min(max(ttl, minLearned), maxLearnedTTL))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range addrs {
		byName := l.names[a]
		if byName == nil {
			l.makeRoom(now)
			byName = make(map[string]time.Time, 1)
			l.names[a] = byName
		}
		if _, known := byName[name]; known || len(byName) < namesPerAddr {
			byName[name] = until
		}
	}
}

// makeRoom forgets what has expired when the limit is reached, and any one
// address when nothing has.
func (l *learnedNames) makeRoom(now time.Time) {
	if len(l.names) < l.limit {
		return
	}
	for a, byName := range l.names {
		for name, until := range byName {
			if now.After(until) {
				delete(byName, name)
			}
		}
		if len(byName) == 0 {
			delete(l.names, a)
		}
	}
	for a := range l.names {
		if len(l.names) < l.limit {
			return
		}
		delete(l.names, a)
	}
}

// of returns the names that an address stands for, sorted.
func (l *learnedNames) of(now time.Time, a netip.Addr) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for name, until := range l.names[a] {
		if !now.After(until) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
