package lambda

import (
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
)

const publishedVersions = "PublishedVersions"

// firstSnapStart is the first minor version of Python 3 that SnapStart is for,
// as on Lambda.
const firstSnapStart = 12

// snapStart returns the part of a configuration that says whether a version
// starts from a snapshot.
func snapStart(v *millicent.Version) *SnapStartResponse {
	r := &SnapStartResponse{ApplyOn: new("None"), OptimizationStatus: new("Off")}
	if v.SnapStart {
		r.ApplyOn = new(publishedVersions)
	}
	if v.Optimized {
		r.OptimizationStatus = new("On")
	}
	return r
}

// apply changes whether v's published versions start from snapshots, and
// refuses what cannot be together with that, however it came about.
func (s *SnapStart) apply(v *millicent.Version) error {
	if s != nil && s.ApplyOn != nil {
		v.SnapStart = *s.ApplyOn == publishedVersions
		delete(v.Extra, "SnapStart") // where it was before it had an effect
	}
	switch {
	case !v.SnapStart:
		return nil
	case !snapStarts(v.Runtime):
		return invalid("%s is not supported for SnapStart enabled functions.", v.Runtime)
	case v.TmpMB > defaultTmp:
		return invalid("Ephemeral storage greater than 512 MB is not supported for SnapStart enabled functions.")
	}
	return nil
}

// snapStarts reports whether functions of a runtime can start from snapshots.
func snapStarts(runtime string) bool {
	minor, found := strings.CutPrefix(runtime, "python3.")
	n, err := strconv.Atoi(minor)
	return found && err == nil && n >= firstSnapStart
}
