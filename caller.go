package millicent

import "context"

// A Caller is a function that calls the platform from within its sandbox. The
// platform knows it by the listener that the call came in by, which only that
// sandbox can reach; no header is believed.
type Caller struct {
	Tenant   string
	Function string

	Invocation string // id of the one that was running when the call was made; empty when none was
	Lineage           // of that invocation
}

// Causes returns the lineage of what the call causes; the zero Lineage when
// no invocation was running.
func (c Caller) Causes() Lineage {
	if c.Root == "" {
		return Lineage{}
	}
	return c.Next(c.Tenant, c.Function, c.Invocation)
}

type callerKey struct{}

// WithCaller returns ctx carrying c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the function that the call came from; ok is false for a
// call from outside the sandboxes.
func CallerFrom(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}
