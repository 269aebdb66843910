package server

import (
	"context"
	"errors"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/wasm"
)

// initialise has the snapshot of a version made, or WebAssembly compiled, once
// the server can: the store goes on with what it has not finished as soon as it
// is open.
func (s *server) initialise(ctx context.Context, v *millicent.Version) (ok bool, err error) {
	is, err := s.isWasm(ctx, v)
	switch {
	case err != nil:
		return false, err
	case is:
		return v.FromSnapshot(), s.prepare(ctx, v) // has an image of its own, snapshot or not
	}
	return s.launcher.Initialise(ctx, v)
}

// compiles reports whether a version is WebAssembly.
func (s *server) compiles(ctx context.Context, v *millicent.Version) bool {
	is, err := s.isWasm(ctx, v)
	return err == nil && is // of an error the first invocation tells
}

// isWasm is launchers.isWasm, once there are launchers.
func (s *server) isWasm(ctx context.Context, v *millicent.Version) (bool, error) {
	if !strings.HasPrefix(v.Runtime, "provided") && !wasmRuntime(v.Runtime) {
		return false, nil
	}
	select {
	case <-s.launches:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return s.launchers.isWasm(ctx, v)
}

// prepare compiles a version. What is not the version's own fault is not held
// against it: its first invocation tries again.
func (s *server) prepare(ctx context.Context, v *millicent.Version) error {
	err := s.launchers.wasm.Prepare(ctx, v)
	var own *millicent.Error
	if err == nil || errors.As(err, &own) || errors.Is(err, wasm.ErrClosed) || ctx.Err() != nil {
		return err
	}
	s.log.Warn("WebAssembly not compiled ahead", "tenant", v.Tenant, "function", v.Function, "error", err)
	return nil
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
