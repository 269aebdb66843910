package server

import (
	"context"

	"github.com/millicent-run/millicent"
)

// compileAhead has what is deployed compiled before it is called: in the
// background, once it is active. What was deployed when the server did not run
// is compiled after its first start.
func (s *server) compileAhead(context.Context) error {
	s.store.OnChange(func(before, after *millicent.Function) {
		if v := deployed(before, after); v != nil {
			s.launcher.CompileAhead(v)
		}
	})
	return nil
}

// deployed returns the draft if a change made its package one that is called.
// A published version has that of its draft, and with it what was compiled.
func deployed(before, after *millicent.Function) *millicent.Version {
	if after == nil || !callable(after.Draft) {
		return nil
	}
	if before != nil && callable(before.Draft) && before.Draft.Package == after.Draft.Package &&
		before.Draft.Runtime == after.Draft.Runtime {
		return nil
	}
	return after.Draft
}

// callable reports whether a version's package has been activated.
func callable(v *millicent.Version) bool {
	return v.State == millicent.StateActive && v.LastUpdate != millicent.UpdateInProgress
}
