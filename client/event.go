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

// Letters says whose dead letters are meant.
type Letters struct {
	Name  string // of a function, or of a queue; empty for all
	Queue bool   // Name is a queue's
}

// DeadLetters returns up to limit dead letters, at most 1000, whose numbers are
// above after, by number, without bodies.
func (c *Client) DeadLetters(ctx context.Context, of Letters, after uint64, limit int) ([]millicent.DeadLetter, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	switch {
	case of.Queue:
		query.Set("queue", of.Name)
	case of.Name != "":
		query.Set("function", of.Name)
	}
	var out deadLetters
	err := c.call(ctx, http.MethodGet, "/_millicent/deadletters", query, nil, &out)
	return out.DeadLetters, err
}

// DeadLetter returns a dead letter with its body.
func (c *Client) DeadLetter(ctx context.Context, of Letters, number uint64) (*millicent.DeadLetter, error) {
	out := new(millicent.DeadLetter)
	err := c.call(ctx, http.MethodGet, of.path()+"/"+strconv.FormatUint(number, 10), nil, nil, out)
	return out, err
}

// ActOnDeadLetters replays or removes dead letters and returns those that it
// was, or would be, done with.
func (c *Client) ActOnDeadLetters(ctx context.Context, a millicent.DeadLetterAction) ([]millicent.DeadLetter, error) {
	of := Letters{Name: a.Function}
	if a.Queue != "" {
		of = Letters{Name: a.Queue, Queue: true}
	}
	var out deadLetters
	err := c.call(ctx, http.MethodPost, of.path(), nil, a, &out)
	return out.DeadLetters, err
}

type deadLetters struct {
	DeadLetters []millicent.DeadLetter `json:"deadLetters"`
}

func (of Letters) path() string {
	kind := "functions"
	if of.Queue {
		kind = "queues"
	}
	return "/_millicent/" + kind + "/" + url.PathEscape(of.Name) + "/deadletters"
}
