package client

import (
	"context"
	"net/http"
	"net/url"
)

// Where provisioned concurrency stands.
const (
	ProvisionedInProgress = "IN_PROGRESS"
	ProvisionedReady      = "READY"
	ProvisionedFailed     = "FAILED"
)

// Provisioned is the provisioned concurrency of a version or an alias.
type Provisioned struct {
	Function  string `json:"function"`
	Qualifier string `json:"qualifier"`
	Requested int    `json:"requested"` // environments
	Allocated int    `json:"allocated"` // of these, that exist
	Available int    `json:"available"` // of these, that are initialised
	Status    string `json:"status"`
	Reason    string `json:"reason,omitempty"` // of a failure, or why it takes long
}

// Provisioned returns all provisioned concurrency, by function and qualifier.
func (c *Client) Provisioned(ctx context.Context) ([]Provisioned, error) {
	var out struct {
		Provisioned []Provisioned `json:"provisioned"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/provisioned", nil, nil, &out)
	return out.Provisioned, err
}

// PutProvisioned has environments of a version or an alias kept initialised.
// It does not wait for them.
func (c *Client) PutProvisioned(ctx context.Context, name, qualifier string, environments int) error {
	in := struct{ ProvisionedConcurrentExecutions int }{environments}
	return c.call(ctx, http.MethodPut, provisionedPath(name), url.Values{"Qualifier": {qualifier}}, in, nil)
}

// DeleteProvisioned ends the provisioned concurrency of a version or an alias.
func (c *Client) DeleteProvisioned(ctx context.Context, name, qualifier string) error {
	return c.call(ctx, http.MethodDelete, provisionedPath(name), url.Values{"Qualifier": {qualifier}}, nil, nil)
}

// Publish publishes a function's draft as a version, unless it is what the
// latest version is, and returns that version's number.
func (c *Client) Publish(ctx context.Context, name string) (string, error) {
	var out struct{ Version string }
	err := c.call(ctx, http.MethodPost, functionPath(name, "/versions"), nil, struct{}{}, &out)
	return out.Version, err
}

func provisionedPath(name string) string {
	return "/2019-09-30/functions/" + url.PathEscape(name) + "/provisioned-concurrency"
}
