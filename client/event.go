package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/millicent-run/millicent"
)

// EventQueues returns what there is of Event invocations, by function.
func (c *Client) EventQueues(ctx context.Context) ([]millicent.EventQueue, error) {
	var out struct {
		Queues []millicent.EventQueue `json:"queues"`
	}
	err := c.call(ctx, http.MethodGet, "/_millicent/queues", nil, nil, &out)
	return out.Queues, err
}

// DeadLetters returns up to limit dead letters of a function ("" for all), at
// most 1000, whose numbers are above after, by number, without bodies.
func (c *Client) DeadLetters(ctx context.Context, function string, after uint64, limit int) ([]millicent.DeadLetter, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	if function != "" {
		query.Set("function", function)
	}
	var out deadLetters
	err := c.call(ctx, http.MethodGet, "/_millicent/deadletters", query, nil, &out)
	return out.DeadLetters, err
}

// DeadLetter returns a dead letter with its body.
func (c *Client) DeadLetter(ctx context.Context, function string, number uint64) (*millicent.DeadLetter, error) {
	out := new(millicent.DeadLetter)
	err := c.call(ctx, http.MethodGet, deadLetterPath(function)+"/"+strconv.FormatUint(number, 10), nil, nil, out)
	return out, err
}

// ActOnDeadLetters replays or removes dead letters and returns those that it
// was, or would be, done with.
func (c *Client) ActOnDeadLetters(ctx context.Context, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error) {
	var out deadLetters
	err := c.call(ctx, http.MethodPost, deadLetterPath(a.Function), nil, a, &out)
	return out.DeadLetters, err
}

type deadLetters struct {
	DeadLetters []millicent.DeadLetter `json:"deadLetters"`
}

func deadLetterPath(function string) string {
	return "/_millicent/functions/" + url.PathEscape(function) + "/deadletters"
}
