package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/millicent-run/millicent"
)

const functionsPath = "/2015-03-31/functions"

// A Configuration is a function's configuration as the Lambda API tells it.
type Configuration struct {
	FunctionName           string
	FunctionArn            string
	Runtime                string `json:",omitempty"`
	Role                   string `json:",omitempty"`
	Handler                string `json:",omitempty"`
	Description            string
	Timeout                int // seconds
	MemorySize             int // MB
	CodeSize               int64
	CodeSha256             string // Base64
	LastModified           string
	Version                string
	RevisionID             string       `json:"RevisionId,omitempty"`
	Environment            *Environment `json:",omitempty"`
	State                  string       `json:",omitempty"`
	StateReason            string       `json:",omitempty"`
	LastUpdateStatus       string       `json:",omitempty"`
	LastUpdateStatusReason string       `json:",omitempty"`
	Architectures          []string     `json:",omitempty"`
}

// Environment holds a function's environment variables.
type Environment struct {
	Variables map[string]string `json:",omitempty"`
}

// CreateFunction is a function to create.
type CreateFunction struct {
	FunctionName string
	Runtime      string
	Role         string
	Handler      string
	Code         Code
	Description  string       `json:",omitempty"`
	Timeout      int          `json:",omitempty"`
	MemorySize   int          `json:",omitempty"`
	Environment  *Environment `json:",omitempty"`

	Architectures []string `json:",omitempty"`
}

// Code is a deployment package.
type Code struct {
	ZipFile       []byte
	Architectures []string `json:",omitempty"` // with UpdateCode only
}

// UpdateConfiguration is a change of a function's configuration; what is zero
// stays as it is.
type UpdateConfiguration struct {
	Runtime     string       `json:",omitempty"`
	Role        string       `json:",omitempty"`
	Handler     string       `json:",omitempty"`
	Timeout     int          `json:",omitempty"`
	MemorySize  int          `json:",omitempty"`
	Environment *Environment `json:",omitempty"`
}

// Function returns a function's configuration.
func (c *Client) Function(ctx context.Context, name string) (*Configuration, error) {
	cfg := new(Configuration)
	err := c.call(ctx, http.MethodGet, functionPath(name, "/configuration"), nil, nil, cfg)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Functions returns all functions, page by page.
func (c *Client) Functions(ctx context.Context) ([]Configuration, error) {
	var all []Configuration
	query := url.Values{}
	for {
		var page struct {
			Functions  []Configuration
			NextMarker string
		}
		if err := c.call(ctx, http.MethodGet, functionsPath, query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Functions...)
		if page.NextMarker == "" || page.NextMarker == query.Get("Marker") {
			return all, nil
		}
		query.Set("Marker", page.NextMarker)
	}
}

// Create creates a function. report, unless nil, is told how many bytes of
// the call are sent, of how many.
func (c *Client) Create(ctx context.Context, in CreateFunction, report func(sent, total int64)) (*Configuration, error) {
	return c.upload(ctx, http.MethodPost, functionsPath, in, report)
}

// UpdateCode gives a function new code.
func (c *Client) UpdateCode(ctx context.Context, name string, code Code, report func(sent, total int64)) (*Configuration, error) {
	return c.upload(ctx, http.MethodPut, functionPath(name, "/code"), code, report)
}

func (c *Client) upload(ctx context.Context, method, path string, in any, report func(sent, total int64)) (*Configuration, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode the call: %w", err)
	}
	r := request{method: method, path: path, body: body, header: http.Header{"Content-Type": {"application/json"}}}
	if report != nil {
		r.report = func(sent int64) { report(sent, int64(len(body))) }
	}
	cfg := new(Configuration)
	if err := c.roundTrip(ctx, r, cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// UpdateConfiguration changes a function's configuration.
func (c *Client) UpdateConfiguration(ctx context.Context, name string, in UpdateConfiguration) (*Configuration, error) {
	cfg := new(Configuration)
	if err := c.call(ctx, http.MethodPut, functionPath(name, "/configuration"), nil, in, cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Delete deletes a function with all its versions.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, functionPath(name, ""), nil, nil, nil)
}

// WaitReady waits until a function is Active and its last update is over, and
// returns its configuration then. A creation or update that failed is an
// error; ctx bounds the wait.
func (c *Client) WaitReady(ctx context.Context, name string) (*Configuration, error) {
	for delay := 10 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		cfg, err := c.Function(ctx, name)
		if err != nil {
			return nil, err
		}
		if ready, err := cfg.ready(); ready || err != nil {
			return cfg, err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("function %s is still %s (%s)", name, cfg.State, cfg.StateReason)
			}
			return nil, ctx.Err()
		case <-time.After(delay):
		}
	}
}

// ready reports whether a function can be invoked with its newest code.
func (cfg *Configuration) ready() (bool, error) {
	if cfg.State == millicent.StateFailed {
		return false, fmt.Errorf("function %s: %s", cfg.FunctionName, orElse(cfg.StateReason, "its creation failed"))
	}
	if cfg.LastUpdateStatus == millicent.UpdateFailed {
		return false, fmt.Errorf("function %s: %s", cfg.FunctionName, orElse(cfg.LastUpdateStatusReason, "its update failed"))
	}
	return cfg.State == millicent.StateActive && cfg.LastUpdateStatus != millicent.UpdateInProgress, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// functionPath returns the path of a function's resource.
func functionPath(name, rest string) string {
	return functionsPath + "/" + url.PathEscape(name) + rest
}

// Equal reports whether two environments hold the same variables.
func (e *Environment) Equal(other *Environment) bool {
	var a, b map[string]string
	if e != nil {
		a = e.Variables
	}
	if other != nil {
		b = other.Variables
	}
	return maps.Equal(a, b)
}
