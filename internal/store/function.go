package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/millicent-run/millicent"
)

// Create stores a new function and starts its activation: the draft is
// Pending unless the caller has set another state. When Published is [1], the
// draft is published as version 1 in the same step. CodeConflict when the
// function exists. Durable on return, like every change below; the value
// returned is the one stored, before activation.
func (s *Store) Create(ctx context.Context, f *millicent.Function) (*millicent.Function, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	id := functionID{f.Tenant, f.Name}
	if !validName(f.Tenant) || !validName(f.Name) || f.Draft == nil {
		return nil, millicent.Errorf(millicent.CodeInvalid, "A function needs a tenant, a name and a draft.")
	}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	exists := millicent.Errorf(millicent.CodeConflict, "Function already exist: %s", f.Name)
	if s.index.function(id) != nil {
		return nil, exists
	}
	next, ids, err := s.prepare(ctx, id, f)
	if err != nil {
		return nil, err
	}
	value, err := encodeFunction(next, ids)
	if err != nil {
		return nil, err
	}
	err = s.functions.create(ctx, id.key(), value)
	if errors.Is(err, errExists) {
		return nil, exists
	}
	if err != nil {
		return nil, fmt.Errorf("create function: %w", err)
	}
	return written(value)
}

// prepare completes a new function, and stores its version 1 if it is to have
// one.
func (s *Store) prepare(ctx context.Context, id functionID, f *millicent.Function) (*millicent.Function, map[string]string, error) {
	next := f.Clone()
	d := next.Draft
	d.Tenant, d.Function, d.Number = id.tenant, id.name, millicent.Latest
	if d.Revision == "" {
		d.Revision = NewRevision()
	}
	if d.State == "" {
		setPending(d)
	}
	if next.Created.IsZero() {
		next.Created = s.cfg.Now().UTC()
	}
	next.LastVersion = 0
	if len(f.Published) == 0 {
		return next, nil, nil
	}
	if !slices.Equal(f.Published, []int{1}) {
		return nil, nil, millicent.Errorf(millicent.CodeInvalid, "A new function can have version 1 published and no other.")
	}
	version, err := s.writeVersion(ctx, id, numbered(d, 1, ""), d.Description)
	if err != nil {
		return nil, nil, err
	}
	next.LastVersion = 1
	return next, map[string]string{"1": version}, nil
}

// Update changes a function: change gets a copy that it may modify and is
// called again when another change came between. An error from change is
// returned as it is and nothing is stored. When change leaves the function as
// it was, nothing is written. A draft that change leaves with LastUpdate
// InProgress or State Pending is activated. The name, the published versions
// and their numbers are not change's to set. CodeNotFound when there is no
// such function.
func (s *Store) Update(ctx context.Context, tenant, name string, change func(*millicent.Function) error) (*millicent.Function, error) {
	return s.update(ctx, functionID{tenant, name}, func(f *function) (*millicent.Function, map[string]string, error) {
		next := f.value.Clone()
		if err := change(next); err != nil {
			return nil, nil, err
		}
		return next, f.ids, nil
	})
}

// update is the compare-and-set loop of every change of a function: change
// returns the next value with the ids of its versions.
func (s *Store) update(ctx context.Context, id functionID, change func(*function) (*millicent.Function, map[string]string, error)) (*millicent.Function, error) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range maxAttempts {
		current := s.index.function(id)
		if current == nil {
			return nil, s.notFound(id.tenant, id.name, "")
		}
		next, err := s.tryUpdate(ctx, id, current, change)
		if !errors.Is(err, errConflict) {
			return next, err
		}
		if err := s.functions.awaitChange(ctx); err != nil {
			return nil, fmt.Errorf("update function: %w", err)
		}
	}
	return nil, fmt.Errorf("update function %s: %w, %d times", id.name, errConflict, maxAttempts)
}

func (s *Store) tryUpdate(ctx context.Context, id functionID, current *function, change func(*function) (*millicent.Function, map[string]string, error)) (*millicent.Function, error) {
	next, ids, err := change(current)
	if err != nil {
		return nil, err
	}
	if next.Draft == nil {
		return nil, fmt.Errorf("update function %s: the change removed the draft", id.name)
	}
	next.Tenant, next.Name = id.tenant, id.name
	next.Draft.Tenant, next.Draft.Function, next.Draft.Number = id.tenant, id.name, millicent.Latest
	next.LastVersion = max(next.LastVersion, current.value.LastVersion)
	value, err := encodeFunction(next, ids)
	if err != nil {
		return nil, err
	}
	before, err := encodeFunction(current.value, current.ids)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(before, value) {
		return current.value, nil
	}
	if err := s.functions.update(ctx, id.key(), value, current.revision); err != nil {
		return nil, fmt.Errorf("update function: %w", err)
	}
	return written(value)
}

// written returns the value that was stored, which need not be the current
// one any more: activation may have changed it since.
func written(value []byte) (*millicent.Function, error) {
	f, _, err := decodeFunction(value)
	return f, err
}

// Delete deletes a function with all its versions, aliases and URLs.
// CodeNotFound when there is none.
func (s *Store) Delete(ctx context.Context, tenant, name string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	id := functionID{tenant, name}
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	for range maxAttempts {
		current := s.index.function(id)
		if current == nil {
			return s.notFound(tenant, name, "")
		}
		err := s.functions.remove(ctx, id.key(), current.revision)
		if err == nil {
			s.discard(ctx, slices.Collect(maps.Values(current.keys)))
			return nil
		}
		if !errors.Is(err, errConflict) {
			return fmt.Errorf("delete function: %w", err)
		}
		if err := s.functions.awaitChange(ctx); err != nil {
			return fmt.Errorf("delete function: %w", err)
		}
	}
	return fmt.Errorf("delete function %s: %w, %d times", name, errConflict, maxAttempts)
}

// setPending puts a version into the state of one that was just created.
func setPending(v *millicent.Version) {
	v.State = millicent.StatePending
	v.StateReason = "The function is being created."
	v.StateReasonCode = "Creating"
}

// numbered returns a copy of a draft as a published version. It is active if
// the draft is; a draft that is being activated gives a version that is, too.
func numbered(draft *millicent.Version, number int, description string) *millicent.Version {
	v := draft.Clone()
	v.Number = strconv.Itoa(number)
	v.Revision = NewRevision()
	if description != "" {
		v.Description = description
	}
	if unsettled(draft) || v.FromSnapshot() && v.State == millicent.StateActive {
		setPending(v)
		v.LastUpdate, v.LastUpdateReason, v.LastUpdateReasonCode = "", "", ""
	} else if v.State == millicent.StateActive {
		v.LastUpdate = millicent.UpdateSuccessful
	}
	return v
}
