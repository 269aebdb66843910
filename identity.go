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

type (
	identityKey  struct{}
	requestIDKey struct{}
)

// WithIdentity returns ctx carrying i.
func WithIdentity(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// IdentityFrom returns whom the call comes from; the zero Identity, which has
// no tenant, when the listener did not say.
func IdentityFrom(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity)
	return i
}

// WithRequestID returns ctx carrying the id of the request that it serves, a
// UUID: the answer's x-amzn-RequestId, and the invocation's ID for a request
// that invokes.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestIDFrom returns the id of the request that ctx serves, or "".
func RequestIDFrom(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
