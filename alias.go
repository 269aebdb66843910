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

	// Moving says that Weights is the platform's: all invocations go to the
	// version that they went to before, until the provisioned environments of
	// Version are there.
	Moving bool `json:"moving,omitempty"`
}

// Clone returns a deep copy, safe to modify.
func (a *Alias) Clone() *Alias {
	c := *a
	c.Weights = maps.Clone(a.Weights)
	return &c
}

// Arrive ends a move: all invocations go to Version.
func (a *Alias) Arrive() {
	if a.Moving {
		a.Weights, a.Moving = nil, false
	}
}

// MoveTo makes version what the alias names, once its provisioned environments
// are there; the alias must not have weights of the user's.
func (a *Alias) MoveTo(version string) {
	serving := a.Version
	for number := range a.Weights {
		serving = number
	}
	a.Version, a.Weights, a.Moving = version, nil, false
	if serving != version {
		a.Weights, a.Moving = map[string]float64{serving: 1}, true
	}
}

// Names reports whether the alias names a version, be it by weight.
func (a *Alias) Names(version string) bool {
	_, weighted := a.Weights[version]
	return weighted || a.Version == version
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
