package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// A UsageQuery selects usage. Zero values select all, of the last day.
type UsageQuery struct {
	Tenant   string // of the admin socket only: another account, or "all"
	Function string
	From, To time.Time
	Each     string   // minute, hour, day or month: such times apart
	By       []string // tenant, function, alias, key, memory, tag, book, tag:KEY: these apart
}

// A UsageRow is some usage.
type UsageRow struct {
	Time  time.Time `json:"time"`
	Names []string  `json:"names"` // of UsageQuery.By, in its order

	Invocations int64              `json:"invocations"`
	Errors      int64              `json:"errors"`
	Cold        int64              `json:"cold"`
	Duration    int64              `json:"duration"` // of all handlers, microseconds
	PeakMB      int64              `json:"peakMB"`
	In          int64              `json:"in"`  // bytes
	Out         int64              `json:"out"` // bytes
	Receipts    int64              `json:"receipts"`
	Charged     millicent.MoneySum `json:"charged"`    // the sum of the receipts
	Quantities  map[string]int64   `json:"quantities"` // by item of the price book
}

// Usage returns what was used, by time and names.
func (c *Client) Usage(ctx context.Context, q UsageQuery) (rows []UsageRow, currency string, err error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"tenant": q.Tenant, "function": q.Function, "each": q.Each, "by": strings.Join(q.By, ","), "from": wireTime(q.From), "to": wireTime(q.To),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var out struct {
		Currency string     `json:"currency"`
		Rows     []UsageRow `json:"rows"`
	}
	err = c.call(ctx, http.MethodGet, "/_millicent/usage", query, nil, &out)
	return out.Rows, out.Currency, err
}

func wireTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// An InvoiceLine is an item of an invoice: Amount is Price × Quantity ÷ Per.
type InvoiceLine struct {
	Item     string             `json:"item"`
	Quantity int64              `json:"quantity"`
	Unit     string             `json:"unit"`
	Price    millicent.Money    `json:"price"`
	Per      int64              `json:"per"`
	PerUnit  string             `json:"perUnit"`
	Amount   millicent.MoneySum `json:"amount"`
}

// A Charge is what a receipt charges.
type Charge struct {
	Book     string             `json:"book"`
	Currency string             `json:"currency"`
	Lines    []InvoiceLine      `json:"lines"`
	Total    millicent.MoneySum `json:"total"`
}

// An InvoiceCredit is what is not charged of an item.
type InvoiceCredit struct {
	Item     string             `json:"item"`
	Reason   string             `json:"reason"` // free or volume
	Quantity int64              `json:"quantity"`
	Unit     string             `json:"unit"`
	Amount   millicent.MoneySum `json:"amount"`
}

// An InvoiceSection is the part of an invoice that one price book rules.
type InvoiceSection struct {
	Book     string             `json:"book"`
	Lines    []InvoiceLine      `json:"lines"`
	Rounding millicent.MoneySum `json:"rounding"`
	Receipts int64              `json:"receipts"`
	Charged  millicent.MoneySum `json:"charged"`
	Credits  []InvoiceCredit    `json:"credits"`
}

// An Invoice is what a tenant owes for a month: Charged, which the receipts add
// up to, less Credited.
type Invoice struct {
	ID        string             `json:"id"`
	Tenant    string             `json:"tenant"`
	Currency  string             `json:"currency"`
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Final     bool               `json:"final"`
	Repriced  bool               `json:"repriced"`
	Sections  []InvoiceSection   `json:"sections"`
	Functions []InvoiceShare     `json:"functions"`
	Charged   millicent.MoneySum `json:"charged"`
	Credited  millicent.MoneySum `json:"credited"`
	Total     millicent.MoneySum `json:"total"`
}

// An InvoiceShare is a function's part of what the receipts add up to.
type InvoiceShare struct {
	Name     string             `json:"name"`
	Requests int64              `json:"requests"`
	Errors   int64              `json:"errors"`
	Amount   millicent.MoneySum `json:"amount"`
}

// Repriced is what a month cost, and what it would have by another price book.
type Repriced struct {
	Billed     Invoice            `json:"billed"`
	Repriced   Invoice            `json:"repriced"`
	Difference millicent.MoneySum `json:"difference"`
}

// Invoice returns the invoice of the month that a time is in, of the caller's
// account or, on the admin socket, of another.
func (c *Client) Invoice(ctx context.Context, tenant string, month time.Time) (*Invoice, error) {
	inv := new(Invoice)
	if err := c.call(ctx, http.MethodGet, invoicePath(month), ofTenant(tenant), nil, inv); err != nil {
		return nil, err
	}
	return inv, nil
}

// Reprice returns what a month cost, and what it would have by a price book
// that the server knows, by its id or name.
func (c *Client) Reprice(ctx context.Context, tenant string, month time.Time, book string) (*Repriced, error) {
	query := ofTenant(tenant)
	query.Set("book", book)
	out := new(Repriced)
	if err := c.call(ctx, http.MethodGet, invoicePath(month), query, nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

// RepriceBy is Reprice by a price book of the caller's own, as YAML.
func (c *Client) RepriceBy(ctx context.Context, tenant string, month time.Time, book []byte) (*Repriced, error) {
	out := new(Repriced)
	if err := c.roundTrip(ctx, request{method: http.MethodPost, path: invoicePath(month), query: ofTenant(tenant), body: book}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// WriteInvoice writes the invoice of a month in a format of the server's: csv,
// html or json.
func (c *Client) WriteInvoice(ctx context.Context, w io.Writer, tenant string, month time.Time, format string) error {
	query := ofTenant(tenant)
	query.Set("format", format)
	return c.download(ctx, w, invoicePath(month), query)
}

// download writes what a path answers.
func (c *Client) download(ctx context.Context, w io.Writer, path string, query url.Values) error {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return decodeError(resp)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// A PriceBook is a price book that a server knows.
type PriceBook struct {
	ID       string                     `json:"id"`
	Currency string                     `json:"currency"`
	InForce  bool                       `json:"inForce"`
	Prices   map[string]millicent.Money `json:"prices"` // by item
}

// PriceBooks returns the price books that a server knows.
func (c *Client) PriceBooks(ctx context.Context) ([]PriceBook, error) {
	var out struct {
		Books []PriceBook `json:"books"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/prices", nil, nil, &out)
	return out.Books, err
}

func invoicePath(month time.Time) string {
	return "/_millicent/invoices/" + month.UTC().Format("2006-01")
}

// WriteFocus writes a month as a FOCUS 1.2 dataset, in CSV.
func (c *Client) WriteFocus(ctx context.Context, w io.Writer, tenant string, month time.Time) error {
	return c.download(ctx, w, "/_millicent/export/focus/"+month.UTC().Format("2006-01"), ofTenant(tenant))
}
