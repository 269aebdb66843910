package millicent

import (
	"math"
	"time"
)

// Provisioned is a user's wish for provisioned concurrency: environments that
// are kept initialised for a published version, or for those that an alias
// names.
type Provisioned struct {
	Concurrency int       `json:"concurrency"` // environments, from 1
	Modified    time.Time `json:"modified"`    // by the user
}

// A Provision is what provisioned concurrency comes to for one version.
type Provision struct {
	Environments int       // to be kept initialised
	Modified     time.Time // the wish, by the user
	Leaving      bool      // an alias is on its way from this version to another
}

// ProvisionedTotal returns the sum of the function's provisioned concurrency.
func (f *Function) ProvisionedTotal() int {
	sum := 0
	for _, p := range f.Provisioned {
		sum += p.Concurrency
	}
	return sum
}

// Claimed returns how much of its tenant's concurrency the function takes
// from the others: what is reserved for it, or else provisioned.
func (f *Function) Claimed() int {
	if f.Reserved != nil {
		return *f.Reserved
	}
	return f.ProvisionedTotal()
}

// Provisions returns what the function's provisioned concurrency comes to, by
// version number. The versions of an alias share its concurrency by their
// weights, rounded up; those that it moves between have all of it each.
func (f *Function) Provisions() map[string]Provision {
	all := map[string]Provision{}
	for qualifier := range f.Provisioned {
		for number, p := range f.ProvisionsOf(qualifier) {
			p.Environments += all[number].Environments
			all[number] = p
		}
	}
	return all
}

// ProvisionsOf returns what the wish under one qualifier comes to, by version
// number.
func (f *Function) ProvisionsOf(qualifier string) map[string]Provision {
	p := f.Provisioned[qualifier]
	if p == nil {
		return nil
	}
	whole := Provision{Environments: p.Concurrency, Modified: p.Modified}
	a := f.Aliases[qualifier]
	if a == nil {
		return map[string]Provision{qualifier: whole}
	}
	shares := map[string]Provision{}
	left := 1.0
	for number, weight := range a.Weights {
		share := whole
		if a.Moving {
			share.Leaving = true
		} else {
			left -= weight
			share.Environments = shareOf(p.Concurrency, weight)
		}
		shares[number] = share
	}
	whole.Environments = shareOf(p.Concurrency, left)
	shares[a.Version] = whole
	for number, share := range shares {
		if share.Environments == 0 {
			delete(shares, number)
		}
	}
	return shares
}

// An Allocation is how far the provisioned environments of a version have
// come.
type Allocation struct {
	Allocated int // exist; those that are being initialised count
	Available int // are initialised: they serve, or wait for an invocation

	// Failure is why the latest attempt to start one failed, Waiting why there
	// is none under way; both are empty otherwise, and for the caller to read.
	Failure, Waiting string
}

// ReasonInitFailed is the Failure of an Allocation whose function fails in its
// Init phase, in the words of the Lambda API.
const ReasonInitFailed = "FUNCTION_ERROR_INIT_FAILURE"

// shareOf returns a share of n, rounded up; what floating point adds to it is
// not enough for one more.
func shareOf(n int, share float64) int { return int(math.Ceil(float64(n)*share - 1e-9)) }
