package budget

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// What is usual for functions, and which of them are paused, outlives the
// server: one that is started after a storm must not let it go on, nor take a
// busy day for one.

// usualEvery is how often it is written, where it changes; pauses are at once.
const usualEvery = time.Minute

// A usual is what the breaker knows of a function. The time in which no server
// ran is not a part of it.
type usual struct {
	Tenant   string           `json:"tenant"`
	Function string           `json:"function"`
	Spent    millicent.Money  `json:"spent"`           // by the minute
	Hops     *float64         `json:"hops,omitempty"`  // nil when they are not known
	Storm    *millicent.Storm `json:"storm,omitempty"` // that it is paused for
}

// A usualFile is how it is written.
type usualFile struct {
	Format    int     `json:"format"` // 1
	Functions []usual `json:"functions"`
}

// usuals returns what is known of all functions that a breaker watches.
func (g *Gate) usuals() []usual {
	all := []usual{}
	now := g.cfg.Now()
	g.each("", func(t *tenant) {
		if !t.flowing {
			return
		}
		for name, f := range t.flows {
			f.advance(now)
			u := usual{Tenant: t.name, Function: name, Spent: f.usual, Storm: f.paused(now)}
			if hops := f.usualHops; f.known {
				u.Hops = &hops
			}
			if u.Spent > 0 || u.Hops != nil || u.Storm != nil {
				all = append(all, u)
			}
		}
	})
	slices.SortFunc(all, func(a, b usual) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Function, b.Function))
	})
	return all
}

// recall takes up what a server before this one knew.
func (g *Gate) recall(all []usual) {
	now := g.cfg.Now()
	for _, u := range all {
		t := g.tenant(u.Tenant)
		if t == nil {
			continue // it has no budgets any more
		}
		f := &flow{minute: now.Unix() / 60, usual: max(0, u.Spent), storm: u.Storm}
		if u.Hops != nil {
			f.usualHops, f.known = *u.Hops, true
		}
		t.mu.Lock()
		if t.flowing {
			t.flows[u.Function] = f
		}
		t.mu.Unlock()
	}
}

// forget makes room for other functions: those go that are not paused, and are
// learned again.
func (t *tenant) forget(now time.Time) {
	maps.DeleteFunc(t.flows, func(_ string, f *flow) bool { return f.paused(now) == nil })
	if len(t.flows) >= maxFlows {
		clear(t.flows)
	}
}

// recallUsual reads what a server before this one has written.
func (s *Service) recallUsual() {
	if len(s.cfg.Usual) == 0 {
		return
	}
	var file usualFile
	err := json.Unmarshal(s.cfg.Usual, &file)
	if err == nil && file.Format != 1 {
		err = errors.New("a format that this millicent does not know")
	}
	if err != nil {
		s.cfg.Log.Error("what is usual for functions is lost, and their pauses", "error", err)
		return
	}
	s.recall(file.Functions)
	s.saved = s.cfg.Usual
}

// keepUsual writes what is usual until the service ends, and once more then.
func (s *Service) keepUsual() {
	ticker := time.NewTicker(usualEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.life.Done():
			s.saveUsual()
			return
		case <-ticker.C:
		case <-s.paused:
		}
		s.saveUsual()
	}
}

// saveUsual writes what is usual, unless that is what was written last.
func (s *Service) saveUsual() {
	all := s.usuals()
	if len(all) == 0 && s.saved == nil {
		return
	}
	content, err := json.Marshal(usualFile{1, all})
	if err == nil && bytes.Equal(content, s.saved) {
		return
	}
	if err == nil {
		err = s.cfg.SaveUsual(content)
	}
	if err != nil {
		s.cfg.Log.Warn("what is usual for functions, and their pauses, are not saved", "error", err)
		return
	}
	s.saved = content
}
