package async

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// Kinds of the queues of this package, whose names are functions'.
const (
	KindEvent    = "async"
	KindDelivery = "delivery"
	KindDead     = "dead"
)

// MaxEvent bounds an event, and a record for a destination, in bytes.
const MaxEvent = 1 << 20

// formatVersion is the version of the attributes of the messages of all three
// kinds; see docs/formats/queue.md.
const formatVersion = 1

// attributes goes with a message of this package. Its body is an event or, of a
// message with a Target, the record for that destination.
type attributes struct {
	Format        int               `json:"format"`
	Qualifier     string            `json:"qualifier,omitempty"`
	ClientContext []byte            `json:"clientContext,omitempty"`
	TraceID       string            `json:"trace,omitempty"`
	Lineage       millicent.Lineage `json:"lineage,omitzero"`
	Key           string            `json:"key,omitempty"` // id of the caller's access key
	Received      time.Time         `json:"received"`

	// Before is how often the event had run when it was replayed last: no two
	// of its runs are the same attempt, each of which is billed once.
	Before int `json:"before,omitempty"`

	Target  string   `json:"target,omitempty"` // ARN
	Failure *failure `json:"failure,omitempty"`
}

// A failure says how an event, or the delivery of a record, came to be a dead
// letter.
type failure struct {
	Condition string    `json:"condition"`
	Code      string    `json:"code,omitempty"` // of the platform's error; empty when the function failed
	Message   string    `json:"message,omitempty"`
	Attempts  int       `json:"attempts,omitempty"`
	Time      time.Time `json:"time"`
}

// An event is an Event invocation on its way.
type event struct {
	id, tenant, function string
	attributes
	body []byte
}

func eventOf(inv *millicent.Invocation) *event {
	return &event{id: inv.ID, tenant: inv.Tenant, function: inv.Function, body: inv.Event, attributes: attributes{
		Qualifier: inv.Qualifier, ClientContext: inv.ClientContext, TraceID: inv.TraceID, Lineage: inv.Lineage, Key: inv.Key, Received: inv.Received,
	}}
}

// invocation returns the call to make. Each attempt has its own, from 1.
func (e *event) invocation(region string, attempt int) *millicent.Invocation {
	return &millicent.Invocation{
		ID: e.id, Tenant: e.tenant, Function: e.function, Qualifier: e.Qualifier,
		ARN:   millicent.ARN(region, e.tenant, e.function, e.Qualifier),
		Event: e.body, ClientContext: e.ClientContext, TraceID: e.TraceID, Lineage: e.Lineage, Key: e.Key, Attempt: attempt, Received: e.Received,
	}
}

func (e *event) queue(kind string) queue.Name {
	return queue.Name{Kind: kind, Tenant: e.tenant, Name: e.function}
}

// message returns the event as a message of a kind.
func (e *event) message(kind string) (queue.Message, error) {
	e.Format = formatVersion
	attrs, err := json.Marshal(e.attributes)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encode an event: %w", err)
	}
	return queue.Message{Queue: e.queue(kind), ID: e.id, Body: e.body, Attributes: attrs, Sent: e.Received}, nil
}

// decode is the inverse of message.
func decode(m *queue.Message) (*event, error) {
	e := &event{id: m.ID, tenant: m.Queue.Tenant, function: m.Queue.Name, body: m.Body}
	if err := json.Unmarshal(m.Attributes, &e.attributes); err != nil {
		return nil, fmt.Errorf("decode the event %s: %w", m.ID, err)
	}
	if e.Format < 1 || e.Format > formatVersion {
		return nil, fmt.Errorf("decode the event %s: format %d; this millicent knows formats up to %d", m.ID, e.Format, formatVersion)
	}
	return e, nil
}
