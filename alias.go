package millicent

import "maps"

// An Alias names one version of a function, or two by weight.
type Alias struct {
	Name        string `json:"name"`
	Version     string `json:"version"` // Latest or a published number
	Description string `json:"description,omitempty"`
	Revision    string `json:"revision"`

	// Weights sends a share of the invocations, 0 to 1, to another version;
	// the rest goes to Version. It holds at most one entry.
	Weights map[string]float64 `json:"weights,omitempty"`
}

// Clone returns a deep copy, safe to modify.
func (a *Alias) Clone() *Alias {
	c := *a
	c.Weights = maps.Clone(a.Weights)
	return &c
}

// Pick returns the version that serves an invocation, given a number drawn
// evenly from [0, 1).
func (a *Alias) Pick(draw float64) string {
	for version, weight := range a.Weights {
		if draw < weight {
			return version
		}
	}
	return a.Version
}
