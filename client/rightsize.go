package client

import (
	"context"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
)

// A SizeReport says what a function's invocations would cost at other memory
// sizes, and on a server.
type SizeReport struct {
	Function    string             `json:"function"`
	From        time.Time          `json:"from"`
	To          time.Time          `json:"to"`
	Currency    string             `json:"currency"`
	Invocations int64              `json:"invocations"`
	MemoryMB    int                `json:"memoryMB"` // that most of them had
	PeakMB      int64              `json:"peakMB"`
	Cost        millicent.MoneySum `json:"cost"`
	Sizes       []Size             `json:"sizes"`
	Best        int                `json:"best"` // MemoryMB; 0 when none is large enough
	Server      string             `json:"server,omitempty"`
	Servers     int64              `json:"servers,omitempty"`
	ServerCost  millicent.MoneySum `json:"serverCost"` // in the same time
}

// A Size is a memory size with what invocations take and cost there.
type Size struct {
	MemoryMB     int                `json:"memoryMB"`
	Measured     int64              `json:"measured"`    // invocations that ran at this size; 0: estimated
	Fits         bool               `json:"fits"`        // has the memory that was held
	DurationLow  int64              `json:"durationLow"` // microseconds, of a mean handler
	DurationHigh int64              `json:"durationHigh"`
	CostLow      millicent.MoneySum `json:"costLow"` // of all the invocations
	CostHigh     millicent.MoneySum `json:"costHigh"`
}

// RightSize returns reports on the functions that were invoked in the last 30
// days, of one unless name is empty.
func (c *Client) RightSize(ctx context.Context, name string) ([]SizeReport, error) {
	var out struct {
		Reports []SizeReport `json:"reports"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/rightsize", named(name), nil, &out)
	return out.Reports, err
}
