package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/millicent-run/millicent"
)

// An Invocation is a call of a function.
type Invocation struct {
	Function  string
	Qualifier string                   // version or alias; zero is the draft
	Payload   []byte                   // JSON, or empty
	Type      millicent.InvocationType // zero means RequestResponse
	Tail      bool                     // ask for the last 4 KB of the invocation's log
}

// A Result is what came of an Invocation.
type Result struct {
	Status        int    // 200, 202 for an Event, 204 for a DryRun
	Payload       []byte // the function's answer, or its error document
	FunctionError string // not empty when the function failed
	Version       string // that ran
	RequestID     string
	Log           string // with Invocation.Tail
}

// Invoke calls a function. A function that failed is a Result with a
// FunctionError, not an error.
func (c *Client) Invoke(ctx context.Context, inv Invocation) (*Result, error) {
	resp, res, err := c.begin(ctx, functionPath(inv.Function, "/invocations"), inv)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if res.Payload, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	log, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result"))
	if err != nil {
		return nil, fmt.Errorf("read the log's tail: %w", err)
	}
	res.Log = string(log)
	return res, nil
}

// begin sends a call, and returns its answer, of which the body is still to be
// read and closed, and what the headers say.
func (c *Client) begin(ctx context.Context, path string, inv Invocation) (*http.Response, *Result, error) {
	r := request{method: http.MethodPost, path: path, query: url.Values{}, header: http.Header{}, body: inv.Payload}
	if inv.Qualifier != "" {
		r.query.Set("Qualifier", inv.Qualifier)
	}
	if inv.Type != "" {
		r.header.Set("X-Amz-Invocation-Type", string(inv.Type))
	}
	if inv.Tail {
		r.header.Set("X-Amz-Log-Type", "Tail")
	}
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, nil, decodeError(resp)
	}
	return resp, &Result{
		Status:        resp.StatusCode,
		FunctionError: resp.Header.Get("X-Amz-Function-Error"),
		Version:       resp.Header.Get("X-Amz-Executed-Version"),
		RequestID:     resp.Header.Get("X-Amzn-Requestid"),
	}, nil
}
