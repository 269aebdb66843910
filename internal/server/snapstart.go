package server

import (
	"context"

	"github.com/millicent-run/millicent"
)

// initialise has the snapshot of a version made, once the server can: the
// store goes on with what it has not finished as soon as it is open.
func (s *server) initialise(ctx context.Context, v *millicent.Version) (ok bool, err error) {
	select {
	case <-s.launches:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	switch is, err := s.launchers.isWasm(ctx, v); {
	case err != nil:
		return false, err
	case is: // has an image of its own, snapshot or not
		err := s.launchers.wasm.Prepare(ctx, v)
		return err == nil, err
	}
	return s.launcher.Initialise(ctx, v)
}

// retain has the launcher give up the snapshots of versions that are gone.
func (s *server) retain(before, after *millicent.Function) {
	if before == nil {
		return
	}
	s.launcher.Retain(before.Tenant, before.Name, func(number string) bool {
		if after == nil {
			return false
		}
		_, err := s.store.Version(after.Tenant, after.Name, number)
		return err == nil
	})
}
