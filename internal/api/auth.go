package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/api/scheduler"
	"github.com/millicent-run/millicent/internal/api/sqs"
)

// AuthConfig says how callers are known.
type AuthConfig struct {
	// Verified demands a valid signature of every call. Without it a
	// signature, if there is one, only names the tenant and is not checked.
	Verified bool

	Account string // the tenant of calls that name none
	Region  string // that signatures must be for

	Key          func(id string) (secret, tenant string, ok bool) // looks up an access key
	FunctionKeys FunctionKeys
	HasFunction  func(tenant, name string) bool // credentials of a deleted function are void
	Now          func() time.Time               // default time.Now
}

// Auth tells whom a request comes from.
type Auth struct {
	cfg    AuthConfig
	signer *v4.Signer
}

// NewAuth returns an Auth.
func NewAuth(cfg AuthConfig) *Auth {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Auth{
		cfg:    cfg,
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }),
	}
}

type operatorKey struct{}

func asOperator(ctx context.Context) context.Context {
	return context.WithValue(ctx, operatorKey{}, true)
}

func isOperator(ctx context.Context) bool { return ctx.Value(operatorKey{}) != nil }

// Identify returns whom an API call comes from. Where signatures are verified
// it may read the body, which stays readable.
func (a *Auth) Identify(r *http.Request) (millicent.Identity, error) {
	switch {
	case isOperator(r.Context()):
		return millicent.Identity{Tenant: a.cfg.Account, Operator: true}, nil
	case a.cfg.Verified:
		return a.Verify(r)
	}
	id, err := a.Verify(r)
	if err != nil { // no signature or a garbled one: here it does not matter
		return millicent.Identity{Tenant: a.cfg.Account}, nil
	}
	return id, nil
}

// Verify returns who signed a request; without a signature the error has the
// code MissingAuthenticationTokenException. It may read the body, which stays
// readable.
func (a *Auth) Verify(r *http.Request) (millicent.Identity, error) {
	if c, ok := millicent.CallerFrom(r.Context()); ok {
		return millicent.Identity{Tenant: c.Tenant, Function: c.Function}, nil
	}
	s, err := parseSignature(r)
	if err != nil {
		return millicent.Identity{}, err
	}
	id, secret, ok := a.lookup(s)
	if !a.cfg.Verified {
		if !ok {
			id = millicent.Identity{Tenant: a.cfg.Account, AccessKey: s.key}
		}
		id.Function = "" // an open server does not hold functions' keys to less than anyone's
		return id, nil
	}
	if !ok {
		return millicent.Identity{}, millicent.Errorf(codeUnknownClient, "The security token included in the request is invalid.")
	}
	if err := a.checkScope(s, serviceOf(r)); err != nil {
		return millicent.Identity{}, err
	}
	if err := checkHeaders(r, s); err != nil {
		return millicent.Identity{}, err
	}
	if err := a.checkSignature(r, s, secret); err != nil {
		return millicent.Identity{}, err
	}
	return id, nil
}

// lookup returns whose access key a signature names, and its secret.
func (a *Auth) lookup(s *signature) (id millicent.Identity, secret string, ok bool) {
	if s.token == "" {
		secret, tenant, ok := a.cfg.Key(s.key)
		return millicent.Identity{Tenant: tenant, AccessKey: s.key}, secret, ok
	}
	tenant, function, secret, ok := a.cfg.FunctionKeys.open(s.key, s.token)
	if !ok || !a.cfg.HasFunction(tenant, function) {
		return millicent.Identity{}, "", false
	}
	return millicent.Identity{Tenant: tenant, AccessKey: s.key, Function: function}, secret, true
}

// skew is how far a signature's time may be from ours.
const skew = 15 * time.Minute

// serviceOf returns the service that a request must be signed for.
func serviceOf(r *http.Request) string {
	switch {
	case sqs.Match(r):
		return "sqs"
	case scheduler.Match(r):
		return "scheduler"
	}
	return "lambda"
}

// checkScope checks what a signature is for: this region, service and time.
func (a *Auth) checkScope(s *signature, service string) error {
	switch {
	case s.region != a.cfg.Region:
		return badSignature("Credential should be scoped to a valid region, not '%.40s'. ", s.region)
	case s.service != service:
		return badSignature("Credential should be scoped to correct service: '%s'. ", service)
	case s.date != s.time.Format("20060102"):
		return badSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.40s' != '%s', from '%s'.",
			s.date, s.time.Format("20060102"), s.time.Format(timeForm))
	}
	now := a.cfg.Now().UTC()
	signed, life := s.time, skew
	if s.presigned {
		life = s.expires
	}
	switch {
	case signed.Before(now.Add(-life)):
		return badSignature("Signature expired: %s is now earlier than %s (%s - %d min.)",
			signed.Format(timeForm), now.Add(-life).Format(timeForm), now.Format(timeForm), int(life.Minutes()))
	case signed.After(now.Add(skew)):
		return badSignature("Signature not yet current: %s is still later than %s (%s + %d min.)",
			signed.Format(timeForm), now.Add(skew).Format(timeForm), now.Format(timeForm), int(skew.Minutes()))
	}
	return nil
}

// checkHeaders checks that what must be signed is.
func checkHeaders(r *http.Request, s *signature) error {
	if !slices.Contains(s.headers, "host") {
		return badSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) {
			return badSignature("'%.80s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

func badSignature(format string, args ...any) error {
	return millicent.Errorf(codeBadSignature, format, args...)
}
