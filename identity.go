package millicent

import "context"

// An Identity is whom a call comes from, as the listener established it:
// handlers behind the listener take the tenant from here and from nowhere
// else.
type Identity struct {
	Tenant    string // account id
	AccessKey string // id of the access key that the call names; empty when none
	Function  string // name, when the credentials are a function's own

	// Operator says that the call came by the admin socket, whose user owns
	// the data directory: it may act for every tenant.
	Operator bool
}

// ARN returns the principal's resource name, as AWS's messages show it.
func (i Identity) ARN() string {
	switch {
	case i.Function != "":
		return "arn:aws:sts::" + i.Tenant + ":assumed-role/" + i.Function + "/" + i.Function
	case i.AccessKey != "":
		return "arn:aws:iam::" + i.Tenant + ":user/" + i.AccessKey
	}
	return "arn:aws:iam::" + i.Tenant + ":root"
}

// A Call is what the listener knows of the request that it serves.
type Call struct {
	// ID is a UUID: the answer's x-amzn-RequestId, and the invocation's ID for a
	// request that invokes.
	ID string

	Identity Identity // the zero value, which has no tenant, until the listener knows
}

type callKey struct{}

// WithCall returns ctx carrying c, which is the listener's to change until
// handlers behind it have it.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callFrom returns the call that ctx carries, an empty one for none.
func callFrom(ctx context.Context) Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return *c
	}
	return Call{}
}

// WithIdentity returns ctx carrying i.
func WithIdentity(ctx context.Context, i Identity) context.Context {
	c := callFrom(ctx)
	c.Identity = i
	return WithCall(ctx, &c)
}

// IdentityFrom returns whom the call comes from; the zero Identity, which has
// no tenant, when the listener did not say.
func IdentityFrom(ctx context.Context) Identity { return callFrom(ctx).Identity }

// WithRequestID returns ctx carrying the id of the request that it serves; see
// Call.
func WithRequestID(ctx context.Context, id string) context.Context {
	c := callFrom(ctx)
	c.ID = id
	return WithCall(ctx, &c)
}

// RequestIDFrom returns the id of the request that ctx serves, or "".
func RequestIDFrom(ctx context.Context) string { return callFrom(ctx).ID }
