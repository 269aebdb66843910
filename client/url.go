package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// A FunctionURL is a function's HTTP endpoint.
type FunctionURL struct {
	FunctionURL string `json:"FunctionUrl"`
	FunctionArn string
	AuthType    string // NONE or AWS_IAM
	InvokeMode  string `json:",omitempty"`
}

// URL returns the URL of a function's draft, or of an alias.
func (c *Client) URL(ctx context.Context, name, qualifier string) (*FunctionURL, error) {
	return c.functionURL(ctx, http.MethodGet, name, qualifier, nil)
}

// CreateURL gives a function's draft, or an alias, a URL.
func (c *Client) CreateURL(ctx context.Context, name, qualifier, authType string) (*FunctionURL, error) {
	in := struct{ AuthType string }{authType}
	return c.functionURL(ctx, http.MethodPost, name, qualifier, in)
}

// SetURLMode has a URL answer with the whole response (millicent.Buffered), or
// while the function writes it (millicent.ResponseStream).
func (c *Client) SetURLMode(ctx context.Context, name, qualifier, mode string) (*FunctionURL, error) {
	in := struct{ InvokeMode string }{mode}
	return c.functionURL(ctx, http.MethodPut, name, qualifier, in)
}

func (c *Client) functionURL(ctx context.Context, method, name, qualifier string, in any) (*FunctionURL, error) {
	query := url.Values{}
	if qualifier != "" {
		query.Set("Qualifier", qualifier)
	}
	u := new(FunctionURL)
	err := c.call(ctx, method, "/2021-10-31/functions/"+url.PathEscape(name)+"/url", query, in, u)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// PathURL returns the same endpoint by path, for clients whose names end at
// localhost: http://HOST/_url/ID/.
func (c *Client) PathURL(u *FunctionURL) string {
	parsed, err := url.Parse(u.FunctionURL)
	if err != nil {
		return ""
	}
	id, _, _ := strings.Cut(parsed.Hostname(), ".")
	return strings.TrimRight(c.base.String(), "/") + "/_url/" + id + "/"
}
