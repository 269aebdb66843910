package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millicent-run/millicent"
)

// functionID names a function.
type functionID struct{ tenant, name string }

func (id functionID) key() string { return key("f", id.tenant, id.name) }

func (id functionID) versionKey(version string) string {
	return key("v", id.tenant, id.name, version)
}

// function is a stored function in memory; it never changes.
type function struct {
	value    *millicent.Function
	ids      map[string]string // id of the version record, by number
	keys     map[string]string // key of the version record, by number
	revision uint64
}

// version is a stored published version in memory; it never changes.
type version struct {
	versionRecord
	revision uint64
	created  time.Time
}

// index is what is known of functions and versions, in memory. Values in it
// are shared with every reader and never modified.
type index struct {
	mu        sync.RWMutex
	functions map[functionID]*function
	versions  map[string]*version // by bucket key; also those that no function refers to
	urls      map[string]urlRef   // by URL id
	tenants   map[string]*tenant
}

type urlRef struct {
	id        functionID
	qualifier string
}

// tenant lists a tenant's functions; sorted is nil when it must be made anew.
type tenant struct {
	functions map[string]*millicent.Function
	sorted    []*millicent.Function
}

func newIndex() *index {
	return &index{
		functions: make(map[functionID]*function),
		versions:  make(map[string]*version),
		urls:      make(map[string]urlRef),
		tenants:   make(map[string]*tenant),
	}
}

// function returns a function, nil when there is none.
func (x *index) function(id functionID) *function {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.functions[id]
}

func (x *index) each(f func(*millicent.Function)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, fn := range x.functions {
		f(fn.value)
	}
}

// version returns a published version of a function, nil when there is none.
func (x *index) version(id functionID, number string) *version {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := x.functions[id]
	if f == nil {
		return nil
	}
	return x.versions[f.keys[number]]
}

// versionAt returns the version record under a bucket key.
func (x *index) versionAt(key string) *version {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.versions[key]
}

// resolve returns the version that serves a qualifier.
func (x *index) resolve(id functionID, qualifier string, draw float64) *millicent.Version {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := x.functions[id]
	if f == nil {
		return nil
	}
	if a := f.value.Aliases[qualifier]; a != nil {
		qualifier = a.Pick(draw)
	}
	if qualifier == "" || qualifier == millicent.Latest {
		return f.value.Draft
	}
	if v := x.versions[f.keys[qualifier]]; v != nil {
		return v.Version
	}
	return nil
}

// url returns the function and the URL of a URL id.
func (x *index) url(id string) (*millicent.Function, *millicent.FunctionURL) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ref, ok := x.urls[id]
	if !ok {
		return nil, nil
	}
	f := x.functions[ref.id].value
	return f, f.URLs[ref.qualifier]
}

// list returns a tenant's functions, sorted by name.
func (x *index) list(name string) []*millicent.Function {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tenants[name]
	if t == nil {
		return nil
	}
	if t.sorted == nil {
		t.sorted = slices.SortedFunc(maps.Values(t.functions), func(a, b *millicent.Function) int {
			return strings.Compare(a.Name, b.Name)
		})
	}
	return t.sorted
}

// packages returns the digests of the packages of all functions and versions.
func (x *index) packages() map[string]bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	digests := make(map[string]bool)
	for _, f := range x.functions {
		digests[f.value.Draft.Package.SHA256] = true
	}
	for _, v := range x.versions {
		digests[v.Version.Package.SHA256] = true
	}
	return digests
}

// orphans returns the version records that no function refers to and that
// were written before a time.
func (x *index) orphans(before time.Time) map[string]*version {
	x.mu.RLock()
	defer x.mu.RUnlock()
	orphans := maps.Clone(x.versions)
	for _, f := range x.functions {
		for _, k := range f.keys {
			delete(orphans, k)
		}
	}
	maps.DeleteFunc(orphans, func(_ string, v *version) bool { return !v.created.Before(before) })
	return orphans
}

// setFunction takes in a state of a function and returns the one before and
// the one after, nil where there is none.
func (x *index) setFunction(e entry) (before, after *function, err error) {
	tenantName, name, ok := strings.Cut(strings.TrimPrefix(e.key, "f."), ".")
	if !ok {
		return nil, nil, fmt.Errorf("key %q is not a function's", e.key)
	}
	id := functionID{tenantName, name}
	if e.value != nil {
		value, ids, err := decodeFunction(e.value)
		if err != nil {
			return nil, nil, fmt.Errorf("value of %s: %w", e.key, err)
		}
		if got := (functionID{value.Tenant, value.Name}); got != id {
			return nil, nil, fmt.Errorf("value of %s belongs to %s", e.key, got.key())
		}
		after = &function{value: value, ids: ids, keys: make(map[string]string, len(ids)), revision: e.revision}
		for number, version := range ids {
			after.keys[number] = id.versionKey(version)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	before = x.functions[id]
	x.unlink(id, before)
	x.link(id, after)
	return before, after, nil
}

func (x *index) unlink(id functionID, f *function) {
	if f == nil {
		return
	}
	delete(x.functions, id)
	for _, u := range f.value.URLs {
		if x.urls[u.ID].id == id {
			delete(x.urls, u.ID)
		}
	}
	t := x.tenants[id.tenant]
	t.sorted = nil
	delete(t.functions, id.name)
	if len(t.functions) == 0 {
		delete(x.tenants, id.tenant)
	}
}

func (x *index) link(id functionID, f *function) {
	if f == nil {
		return
	}
	x.functions[id] = f
	for qualifier, u := range f.value.URLs {
		x.urls[u.ID] = urlRef{id, qualifier}
	}
	t := x.tenants[id.tenant]
	if t == nil {
		t = &tenant{functions: make(map[string]*millicent.Function)}
		x.tenants[id.tenant] = t
	}
	t.sorted = nil
	t.functions[id.name] = f.value
}

// setVersion takes in a state of a published version.
func (x *index) setVersion(e entry) (*version, error) {
	if e.value == nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.versions, e.key)
		return nil, nil
	}
	r, err := decodeVersion(e.value)
	if err != nil {
		return nil, fmt.Errorf("value of %s: %w", e.key, err)
	}
	v := &version{versionRecord: r, revision: e.revision, created: e.created}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.versions[e.key] = v
	return v, nil
}
