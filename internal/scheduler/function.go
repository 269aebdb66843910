package scheduler

import (
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// The books: what runs of which tenant, function and version. Entries exist
// as long as something refers to them.

type functionKey struct{ tenant, name string }

type tenant struct {
	name       string
	unreserved int // invocations of functions without a reservation
	functions  int
}

type function struct {
	key      functionKey
	tenant   *tenant
	active   int        // invocations, running or waiting
	versions []*version // few: those with environments or a line
}

// A version is one revision of a version of a function.
type version struct {
	function *function
	number   string
	record   *record

	count   [states]int    // environments
	idle    []*environment // a stack
	settled int            // of these, see idleList
	line    line           // requests; empty while there are idle environments
	lined   time.Time      // since when line is not empty, while it is not

	want *want          // nil when nothing is provisioned
	own  []*environment // those that are

	// What plan found out about the line the last time.
	why      reason
	promised int // launches that wait for room that is being made

	at   int // in Scheduler.lines, from 1; 0 when the line is empty
	refs int // environments, requests, and the want
}

// environments returns how many there are to use, now or soon.
func (ver *version) environments() int {
	return ver.count[launching] + ver.count[idle] + ver.count[busy]
}

func (ver *version) key() historyKey {
	return historyKey{ver.function.key, ver.number}
}

// A slot is a share of the concurrency, taken by one invocation.
type slot struct {
	function   *function
	unreserved bool
}

// functionOf finds a function's entry or makes it. The lock is held.
func (s *Scheduler) functionOf(v *millicent.Version) *function {
	key := functionKey{v.Tenant, v.Function}
	if f := s.functions[key]; f != nil {
		return f
	}
	t := s.tenants[v.Tenant]
	if t == nil {
		t = &tenant{name: v.Tenant}
		s.tenants[v.Tenant] = t
	}
	t.functions++
	f := &function{key: key, tenant: t}
	s.functions[key] = f
	return f
}

// find returns the entry of v, or nil.
func (f *function) find(v *millicent.Version) *version {
	for _, ver := range f.versions {
		if ver.number == v.Number && ver.record.revision == v.Revision {
			return ver
		}
	}
	return nil
}

// versionOf finds the entry of v or makes it. The caller refers to it. The
// lock is held.
func (s *Scheduler) versionOf(f *function, v *millicent.Version) *version {
	ver := f.find(v)
	if ver == nil {
		ver = &version{function: f, number: v.Number}
		past := s.history.take(ver.key())
		for _, o := range f.versions {
			if o.number == v.Number {
				past = o.record // what is still there is the latest
			}
		}
		ver.record = past.startOf(v.Revision)
		f.versions = append(f.versions, ver)
	}
	ver.refs++
	return ver
}

func (s *Scheduler) unref(ver *version) {
	ver.refs--
	if ver.refs > 0 {
		return
	}
	f := ver.function
	f.versions = slices.DeleteFunc(f.versions, func(o *version) bool { return o == ver })
	s.history.put(ver.key(), ver.record)
	s.forget(f)
}

// forget drops a function's entry when nothing is left of it.
func (s *Scheduler) forget(f *function) {
	if f.active > 0 || len(f.versions) > 0 {
		return
	}
	delete(s.functions, f.key)
	f.tenant.functions--
	if f.tenant.functions == 0 {
		delete(s.tenants, f.tenant.name)
	}
}

func (s *Scheduler) takeSlot(f *function, unreserved bool) slot {
	f.active++
	if unreserved {
		f.tenant.unreserved++
	}
	return slot{f, unreserved}
}

func (s *Scheduler) freeSlot(sl slot) {
	sl.function.active--
	if sl.unreserved {
		sl.function.tenant.unreserved--
	}
	s.forget(sl.function)
}
