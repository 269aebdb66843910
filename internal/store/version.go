package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// Publish stores the draft as a new numbered version, unless it equals the
// newest one, which is returned then. A description that is not empty replaces
// the draft's in the version. check, which may be nil, runs first, on the
// current value; its error is returned as it is. The draft gets a new
// revision. CodeNotFound when there is no such function.
func (s *Store) Publish(ctx context.Context, tenant, name, description string, check func(*millicent.Function) error) (*millicent.Version, error) {
	id := functionID{tenant, name}
	var result *millicent.Version
	_, err := s.update(ctx, id, func(f *function) (*millicent.Function, map[string]string, error) {
		if check != nil {
			if err := check(f.value); err != nil {
				return nil, nil, err
			}
		}
		newest := s.index.versionAt(f.keys[strconv.Itoa(f.value.LastVersion)])
		if newest != nil && sameAsDraft(newest, f.value.Draft) {
			result = newest.Version
			return f.value.Clone(), f.ids, nil
		}
		next := f.value.Clone()
		next.LastVersion++
		next.Draft.Revision = NewRevision()
		result = numbered(f.value.Draft, next.LastVersion, description)
		version, err := s.writeVersion(ctx, id, result, f.value.Draft.Description)
		if err != nil {
			return nil, nil, err
		}
		ids := maps.Clone(f.ids)
		if ids == nil {
			ids = make(map[string]string)
		}
		ids[result.Number] = version
		return next, ids, nil
	})
	if err != nil {
		return nil, err // a record that was written is an orphan, and swept
	}
	return result, nil
}

// sameAsDraft reports whether a draft has the code and the configuration that
// a version was published from.
func sameAsDraft(v *version, draft *millicent.Version) bool {
	a, b := neutral(v.Version), neutral(draft)
	a.Description = v.DraftDescription
	return reflect.DeepEqual(a, b)
}

// neutral returns a copy without what differs between any two versions.
func neutral(v *millicent.Version) *millicent.Version {
	c := v.Clone()
	c.Number, c.Revision, c.Modified = "", "", time.Time{}
	c.State, c.StateReason, c.StateReasonCode = "", "", ""
	c.Optimized = false
	c.LastUpdate, c.LastUpdateReason, c.LastUpdateReasonCode = "", "", ""
	if len(c.Environment) == 0 {
		c.Environment = nil
	}
	if len(c.Extra) == 0 {
		c.Extra = nil
	}
	return c
}

// writeVersion stores a version under a new id, which it returns. The version
// does not count until a function refers to the id.
func (s *Store) writeVersion(ctx context.Context, id functionID, v *millicent.Version, draftDescription string) (string, error) {
	value, err := encode(versionRecord{Format: formatVersion, DraftDescription: draftDescription, Version: v})
	if err != nil {
		return "", err
	}
	name := strings.ToLower(rand.Text()[:16])
	if err := s.functions.create(ctx, id.versionKey(name), value); err != nil {
		return "", fmt.Errorf("publish version: %w", err)
	}
	return name, nil
}

// DeleteVersion deletes a published version; a number that does not exist is
// deleted already. CodeConflict when an alias names it, CodeNotFound when
// there is no such function.
func (s *Store) DeleteVersion(ctx context.Context, tenant, name, number string) error {
	var gone string
	_, err := s.update(ctx, functionID{tenant, name}, func(f *function) (*millicent.Function, map[string]string, error) {
		if names := aliasesOf(f.value, number); len(names) > 0 {
			return nil, nil, millicent.Errorf(millicent.CodeConflict,
				"Unable to delete version because the following aliases reference it: [%s]", strings.Join(names, ", "))
		}
		gone = f.keys[number]
		ids := maps.Clone(f.ids)
		delete(ids, number)
		next := f.value.Clone()
		delete(next.Provisioned, number)
		delete(next.Events, number)
		return next, ids, nil
	})
	if err != nil {
		return err
	}
	if gone != "" {
		s.discard(ctx, []string{gone})
	}
	return nil
}

// aliasesOf returns the names of the aliases that name a version, sorted.
func aliasesOf(f *millicent.Function, number string) []string {
	var names []string
	for name, a := range f.Aliases {
		if a.Names(number) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
