package millicent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Queue is a message queue as the SQS API defines it.
//
// Values handed out by a catalog are shared and must not be modified.
type Queue struct {
	Tenant string `json:"tenant"` // account id
	Name   string `json:"name"`   // 1 to 80 of [a-zA-Z0-9-_]; a FIFO queue's ends with .fifo

	Delay      time.Duration `json:"delay,omitempty"`   // whole seconds, at most 15 minutes
	Visibility time.Duration `json:"visibility"`        // whole seconds, at most 12 hours
	Wait       time.Duration `json:"wait,omitempty"`    // of a receiver, whole seconds, at most 20
	Retention  time.Duration `json:"retention"`         // whole seconds, 1 minute to 14 days
	MaxBytes   int           `json:"maxBytes"`          // of a message, 1 KiB to 1 MiB
	Redrive    *Redrive      `json:"redrive,omitempty"` // nil: messages are received for ever

	ContentDedup bool `json:"contentDedup,omitempty"` // FIFO: the body's hash is the deduplication id
	GroupDedup   bool `json:"groupDedup,omitempty"`   // FIFO: deduplication ids are each group's own

	// Extra holds attributes that millicent stores and answers but does not
	// act upon (Policy, KmsMasterKeyId, …), by name.
	Extra map[string]string `json:"extra,omitempty"`
	Tags  map[string]string `json:"tags,omitempty"`

	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// A Redrive says where messages go that were received too often.
type Redrive struct {
	DeadLetter  string `json:"deadLetter"`  // name of a queue of the same tenant
	MaxReceives int    `json:"maxReceives"` // from 1
}

// FIFO reports whether the queue keeps the order of each message group.
func (q *Queue) FIFO() bool { return strings.HasSuffix(q.Name, ".fifo") }

// ARN returns the queue's resource name.
func (q *Queue) ARN(region string) string { return QueueARN(region, q.Tenant, q.Name) }

// QueueARN returns a queue's resource name.
func QueueARN(region, tenant, name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", region, tenant, name)
}

// ParseQueueARN returns the parts of a queue's resource name; ok is false for
// anything else.
func ParseQueueARN(arn string) (region, tenant, name string, ok bool) {
	p := strings.Split(arn, ":")
	if len(p) != 6 || p[0] != "arn" || p[2] != "sqs" || p[5] == "" {
		return "", "", "", false
	}
	return p[3], p[4], p[5], true
}

// A QueueMessage is what a message in a queue has besides its body and what
// the queue itself keeps.
type QueueMessage struct {
	Sender      string                      `json:"sender,omitempty"` // id of who sent it
	Attributes  map[string]MessageAttribute `json:"attributes,omitempty"`
	TraceHeader string                      `json:"traceHeader,omitempty"`
	Group       string                      `json:"group,omitempty"` // MessageGroupId
	Dedup       string                      `json:"dedup,omitempty"` // MessageDeduplicationId
	Lineage     Lineage                     `json:"lineage,omitzero"`
}

// A MessageAttribute is a typed value that goes with a message.
type MessageAttribute struct {
	Type   string `json:"type"` // String, Number or Binary, and maybe a dot and the sender's own part
	Text   string `json:"text,omitempty"`
	Binary []byte `json:"binary,omitempty"` // of the type Binary
}

// IsBinary reports whether the value is Binary.
func (a MessageAttribute) IsBinary() bool { return strings.HasPrefix(a.Type, "Binary") }

// Encode returns m as it is stored: JSON.
func (m *QueueMessage) Encode() ([]byte, error) { return json.Marshal(m) }

// DecodeQueueMessage is the inverse of Encode.
func DecodeQueueMessage(b []byte) (*QueueMessage, error) {
	m := new(QueueMessage)
	if len(b) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode a message's attributes: %w", err)
	}
	return m, nil
}

// AttributeNames returns the names of the message's attributes, sorted.
func (m *QueueMessage) AttributeNames() []string { return slices.Sorted(maps.Keys(m.Attributes)) }
