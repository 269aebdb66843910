package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// maxRecord bounds one line of a log stream: a message of 256 KB and the rest.
const maxRecord = 2 << 20

// Info says what a server is.
type Info struct {
	Version string `json:"version"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Auth    string `json:"auth"`   // none or sigv4
	Egress  string `json:"egress"` // none, public or all

	Started     time.Time `json:"started"`
	Limitations []string  `json:"limitations,omitempty"` // what its machine cannot enforce
}

// Info asks a server what it is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.call(ctx, http.MethodGet, "/_millicent/info", nil, nil, &info)
	return info, err
}

// A Runtime is a language runtime that a server knows.
type Runtime struct {
	Name        string `json:"name"`
	Interpreter string `json:"interpreter"` // empty when none serves it
	Version     string `json:"version"`     // the interpreter's own
	Exact       bool   `json:"exact"`       // the interpreter has the version that the name asks for
	Note        string `json:"note,omitempty"`
}

// Runtimes returns the runtimes that a server knows, served or not.
func (c *Client) Runtimes(ctx context.Context) ([]Runtime, error) {
	var out struct {
		Runtimes []Runtime `json:"runtimes"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/runtimes", nil, nil, &out)
	return out.Runtimes, err
}

// A Key signs calls. Its secret is told when it is made and never again.
type Key struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"`
	Tenant  string    `json:"tenant"`
	Created time.Time `json:"created"`
}

// CreateKey makes an access key for a tenant, zero for the caller's own.
func (c *Client) CreateKey(ctx context.Context, tenant string) (Key, error) {
	in := struct {
		Tenant string `json:"tenant,omitempty"`
	}{tenant}
	var key Key
	err := c.call(ctx, http.MethodPost, "/_millicent/keys", nil, in, &key)
	return key, err
}

// Keys returns the access keys, without their secrets.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var out struct {
		Keys []Key `json:"keys"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/keys", nil, nil, &out)
	return out.Keys, err
}

// DeleteKey deletes an access key.
func (c *Client) DeleteKey(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/_millicent/keys/"+url.PathEscape(id), nil, nil, nil)
}

// An egress allow-list as it travels.
type allowList struct {
	Allow []string `json:"allow"`
}

// Egress returns a function's allow-list; empty allows what the server does.
func (c *Client) Egress(ctx context.Context, function string) ([]string, error) {
	var out allowList
	err := c.call(ctx, http.MethodGet, egressPath(function), nil, nil, &out)
	return out.Allow, err
}

// SetEgress replaces a function's allow-list and returns what is stored.
func (c *Client) SetEgress(ctx context.Context, function string, allow []string) ([]string, error) {
	in := allowList{Allow: allow}
	if in.Allow == nil {
		in.Allow = []string{}
	}
	var out allowList
	err := c.call(ctx, http.MethodPut, egressPath(function), nil, in, &out)
	return out.Allow, err
}

func egressPath(function string) string {
	return "/_millicent/functions/" + url.PathEscape(function) + "/egress"
}

// Explain returns how an invocation went. The function may be empty; to name
// it finds an old invocation sooner.
func (c *Client) Explain(ctx context.Context, invocation, function string) (*millicent.Explanation, error) {
	out := new(millicent.Explanation)
	err := c.call(ctx, http.MethodGet, "/_millicent/invocations/"+url.PathEscape(invocation), named(function), nil, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Starts returns the latest invocations that something had to be started for,
// of a function unless that is empty, at most limit; zero is the server's
// default.
func (c *Client) Starts(ctx context.Context, function string, limit int) ([]millicent.Explanation, error) {
	query := named(function)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var out struct {
		Starts []millicent.Explanation `json:"starts"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/starts", query, nil, &out)
	return out.Starts, err
}

func named(function string) url.Values {
	query := url.Values{}
	if function != "" {
		query.Set("function", function)
	}
	return query
}

// LogQuery selects log records.
type LogQuery struct {
	Function string
	Since    time.Time // zero means from the beginning
	Limit    int       // newest so many; zero is the server's default
	Follow   bool      // go on with new records until ctx ends
}

// Logs calls emit for each record, oldest first, until the server has no
// more, or with Follow until ctx ends or emit returns an error, which is
// returned.
func (c *Client) Logs(ctx context.Context, q LogQuery, emit func(millicent.LogRecord) error) error {
	query := url.Values{"function": {q.Function}}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Follow {
		query.Set("follow", "1")
	}
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/_millicent/logs", query: query})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return decodeError(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxRecord)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var rec millicent.LogRecord
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return fmt.Errorf("read a log record: %w", err)
		}
		if err := emit(rec); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}
