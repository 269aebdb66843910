package millicent

import "slices"

// Bounds of a chain of invocations; see [Lineage.Loops].
const (
	// MaxVisits is how often one function runs in a chain, AWS's own number.
	MaxVisits = 16

	// MaxHops is how long a chain becomes of whichever functions.
	MaxHops = 1000

	maxVisited = 64 // functions that a Lineage knows
)

// A Lineage is the chain of invocations that led to one, in the order of
// cause, through the API, function URLs and whatever else carries it. It is
// the platform's own knowledge: no header is believed. Values are shared and
// never modified.
type Lineage struct {
	Root    string  `json:"root,omitempty"`    // id of the invocation that began the chain; its own id in that one
	Parent  string  `json:"parent,omitempty"`  // id of the invocation that caused this one; empty for the first of a chain
	Hops    int     `json:"hops,omitempty"`    // how many invocations lie before this one
	Visited []Visit `json:"visited,omitempty"` // the functions that ran before, the latest last
}

// A Visit says how often a function has run in a chain.
type Visit struct {
	Tenant   string `json:"tenant"`
	Function string `json:"function"`
	Times    int    `json:"times"`
}

// Next returns the lineage of what a function causes that ran as the last of
// l, in the invocation of an id. Of many functions those are forgotten that ran
// the longest ago.
func (l Lineage) Next(tenant, function, id string) Lineage {
	visit := Visit{tenant, function, 1}
	next := Lineage{Root: l.Root, Parent: id, Hops: l.Hops + 1, Visited: make([]Visit, 0, len(l.Visited)+1)}
	for _, v := range l.Visited {
		if v.Tenant == tenant && v.Function == function {
			visit.Times += v.Times
			continue
		}
		next.Visited = append(next.Visited, v)
	}
	if n := len(next.Visited) - (maxVisited - 1); n > 0 {
		next.Visited = slices.Delete(next.Visited, 0, n)
	}
	next.Visited = append(next.Visited, visit)
	return next
}

// Loops reports whether a function that is to run as the next of the chain
// runs in a loop: it ran MaxVisits times in it already, or the chain is as
// long as any may be.
func (l Lineage) Loops(tenant, function string) bool {
	if l.Hops >= MaxHops {
		return true
	}
	for _, v := range l.Visited {
		if v.Tenant == tenant && v.Function == function {
			return v.Times >= MaxVisits
		}
	}
	return false
}
