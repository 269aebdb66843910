package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// A LedgerHead is the end of a server's ledger of usage: whoever notes it can
// tell later that nothing before it was changed.
type LedgerHead struct {
	Seq     uint64 `json:"seq"`     // of the last group of records
	Records uint64 `json:"records"` // of all groups
	Hash    string `json:"hash"`    // of the last group, in hexadecimal digits
}

// LedgerHead returns the end of the ledger.
func (c *Client) LedgerHead(ctx context.Context) (LedgerHead, error) {
	var out LedgerHead
	err := c.call(ctx, http.MethodGet, "/_millicent/ledger/head", nil, nil, &out)
	return out, err
}

// A LedgerReport is what a verification of the ledger found.
type LedgerReport struct {
	OK      bool       `json:"ok"`
	Groups  uint64     `json:"groups"`  // that were checked
	Records uint64     `json:"records"` // in these
	First   uint64     `json:"first"`   // group that is kept
	Head    LedgerHead `json:"head"`    // the end of what was checked

	Problem   string `json:"problem,omitempty"`   // the first that is wrong
	BadGroup  uint64 `json:"badGroup,omitempty"`  // where
	BadRecord uint64 `json:"badRecord,omitempty"` // likewise: the first record that is in doubt
}

// VerifyLedger has a server verify its whole ledger, and that it has the heads
// that were noted, each as the group's number, a colon and its hash.
func (c *Client) VerifyLedger(ctx context.Context, anchors ...string) (LedgerReport, error) {
	var out LedgerReport
	err := c.call(ctx, http.MethodGet, "/_millicent/ledger/verify", url.Values{"anchor": anchors}, nil, &out)
	return out, err
}

// SkipGroups has the damaged groups of the ledger from one to another left out
// of all sums, and returns them. Only an admin socket takes that.
func (c *Client) SkipGroups(ctx context.Context, from, to uint64) ([]uint64, error) {
	var out struct{ Groups []uint64 }
	query := url.Values{"group": {strconv.FormatUint(from, 10)}, "to": {strconv.FormatUint(to, 10)}}
	err := c.call(ctx, http.MethodPost, "/_millicent/ledger/skip", query, nil, &out)
	return out.Groups, err
}

// Receipt returns the receipt of an invocation, by its request id: of an attempt
// of an asynchronous one, or of the latest for zero. Of another account than the
// caller's, an admin socket gives it.
func (c *Client) Receipt(ctx context.Context, id string, attempt int, tenant string) (json.RawMessage, error) {
	query := url.Values{}
	if attempt > 0 {
		query.Set("attempt", strconv.Itoa(attempt))
	}
	if tenant != "" {
		query.Set("tenant", tenant)
	}
	var out json.RawMessage
	err := c.call(ctx, http.MethodGet, "/_millicent/receipts/"+url.PathEscape(id), query, nil, &out)
	return out, err
}

// LedgerRecords writes the records after a group to w, up to the end of the
// ledger, one line of JSON each: the caller's, or on an admin socket those of
// all accounts.
func (c *Client) LedgerRecords(ctx context.Context, after uint64, all bool, w io.Writer) error {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}}
	if all {
		query.Set("all", "1")
	}
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/_millicent/ledger/records", query: query})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return decodeError(resp)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}
