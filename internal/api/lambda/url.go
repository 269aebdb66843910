package lambda

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// noFunction and noURL are the two answers of these operations to what is not
// there.
var (
	noFunction = notFound("Function does not exist")
	noURL      = notFound("The resource you requested does not exist.")
)

func (h *Handler) createURLConfig(ctx context.Context, req *request, in *CreateFunctionUrlConfigRequest) (*CreateFunctionUrlConfigResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	now := h.cfg.Now().UTC()
	u := &millicent.FunctionURL{
		ID:         newURLID(),
		Qualifier:  n.qualifier,
		AuthType:   *in.AuthType,
		InvokeMode: value(in.InvokeMode),
		CORS:       in.Cors.cors(),
		Created:    now,
		Modified:   now,
	}
	_, err = h.update(ctx, n, noFunction, func(f *millicent.Function) error {
		if n.qualifier != "" && f.Aliases[n.qualifier] == nil {
			return noFunction
		}
		if f.URLs[n.qualifier] != nil {
			return conflict("Failed to create function url config for [functionArn = %s]. Error message:  "+
				"FunctionUrlConfig exists for this Lambda function", n.arn())
		}
		if f.URLs == nil {
			f.URLs = map[string]*millicent.FunctionURL{}
		}
		f.URLs[n.qualifier] = u
		return nil
	})
	if err != nil {
		return nil, err
	}
	c := h.urlConfig(n, u)
	return &CreateFunctionUrlConfigResponse{
		FunctionUrl: c.FunctionUrl, FunctionArn: c.FunctionArn, AuthType: c.AuthType, Cors: c.Cors,
		CreationTime: c.CreationTime, InvokeMode: in.InvokeMode,
	}, nil
}

func (h *Handler) getURLConfig(_ context.Context, req *request, in *GetFunctionUrlConfigRequest) (*GetFunctionUrlConfigResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, noURL)
	if err != nil {
		return nil, err
	}
	u := f.URLs[n.qualifier]
	if u == nil {
		return nil, noURL
	}
	return (*GetFunctionUrlConfigResponse)(h.urlConfig(n, u)), nil
}

func (h *Handler) updateURLConfig(ctx context.Context, req *request, in *UpdateFunctionUrlConfigRequest) (*UpdateFunctionUrlConfigResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	var changed *millicent.FunctionURL
	_, err = h.update(ctx, n, noFunction, func(f *millicent.Function) error {
		changed = f.URLs[n.qualifier]
		if changed == nil {
			return noURL
		}
		set(&changed.AuthType, in.AuthType)
		set(&changed.InvokeMode, in.InvokeMode)
		if in.Cors != nil {
			changed.CORS = in.Cors.cors()
		}
		changed.Modified = h.cfg.Now().UTC()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return (*UpdateFunctionUrlConfigResponse)(h.urlConfig(n, changed)), nil
}

func (h *Handler) deleteURLConfig(ctx context.Context, req *request, in *DeleteFunctionUrlConfigRequest) (*none, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, noURL, func(f *millicent.Function) error {
		if f.URLs[n.qualifier] == nil {
			return noURL
		}
		delete(f.URLs, n.qualifier)
		return nil
	})
	return &none{}, err
}

func (h *Handler) listURLConfigs(_ context.Context, req *request, in *ListFunctionUrlConfigsRequest) (*ListFunctionUrlConfigsResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	f, err := h.function(n, noFunction)
	if err != nil {
		return nil, err
	}
	qualifiers := slices.Sorted(maps.Keys(f.URLs))
	page, next, err := paginate(qualifiers, in.Marker, in.MaxItems, defaultPage, func(q string) string { return "=" + q })
	if err != nil {
		return nil, err
	}
	out := &ListFunctionUrlConfigsResponse{FunctionUrlConfigs: []FunctionUrlConfig{}, NextMarker: next}
	for _, q := range page {
		c := h.urlConfig(n.with(q), f.URLs[q])
		out.FunctionUrlConfigs = append(out.FunctionUrlConfigs, FunctionUrlConfig{
			FunctionUrl: c.FunctionUrl, FunctionArn: c.FunctionArn, AuthType: c.AuthType, Cors: c.Cors,
			CreationTime: c.CreationTime, LastModifiedTime: c.LastModifiedTime, InvokeMode: c.InvokeMode,
		})
	}
	return out, nil
}

// A urlConfig is what getting and updating answer alike.
type urlConfig = struct {
	FunctionUrl      *string `json:"FunctionUrl,omitzero"` //nolint:revive // as the generated types have it
	FunctionArn      *string `json:"FunctionArn,omitzero"`
	AuthType         *string `json:"AuthType,omitzero"`
	Cors             *Cors   `json:"Cors,omitzero"`
	CreationTime     *string `json:"CreationTime,omitzero"`
	LastModifiedTime *string `json:"LastModifiedTime,omitzero"`
	InvokeMode       *string `json:"InvokeMode,omitzero"`
}

func (h *Handler) urlConfig(n name, u *millicent.FunctionURL) *urlConfig {
	mode := u.InvokeMode
	if mode == "" {
		mode = millicent.Buffered
	}
	return &urlConfig{
		FunctionUrl:      new(h.cfg.URL(u.ID)),
		FunctionArn:      new(n.arn()),
		AuthType:         &u.AuthType,
		Cors:             showCORS(u.CORS),
		CreationTime:     new(u.Created.Format(time.RFC3339Nano)),
		LastModifiedTime: new(u.Modified.Format(time.RFC3339Nano)),
		InvokeMode:       &mode,
	}
}

// cors returns the policy to store; an empty one is none.
func (c *Cors) cors() *millicent.CORS {
	if c == nil {
		return nil
	}
	policy := &millicent.CORS{
		AllowCredentials: c.AllowCredentials, AllowHeaders: c.AllowHeaders, AllowMethods: c.AllowMethods,
		AllowOrigins: c.AllowOrigins, ExposeHeaders: c.ExposeHeaders, MaxAge: c.MaxAge,
	}
	if policy.AllowCredentials == nil && policy.MaxAge == nil &&
		len(policy.AllowHeaders)+len(policy.AllowMethods)+len(policy.AllowOrigins)+len(policy.ExposeHeaders) == 0 {
		return nil
	}
	return policy
}

func showCORS(c *millicent.CORS) *Cors {
	if c == nil {
		return nil
	}
	return &Cors{
		AllowCredentials: c.AllowCredentials, AllowHeaders: c.AllowHeaders, AllowMethods: c.AllowMethods,
		AllowOrigins: c.AllowOrigins, ExposeHeaders: c.ExposeHeaders, MaxAge: c.MaxAge,
	}
}

// newURLID returns a random label of 32 lower-case letters and digits: who
// knows it may call the function, where its URL asks for no more.
func newURLID() string {
	return strings.ToLower((rand.Text() + rand.Text())[:32])
}
