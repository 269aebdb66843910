package eventsource

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// natsSource is the eventSource of records from NATS.
const natsSource = "millicent:nats"

// A natsRecord is a message of a subject or stream, and what the function gets
// of it.
type natsRecord struct {
	encoded []byte
	subject string
	time    time.Time

	sequence uint64 // in the stream, 0 without one
	msg      jetstream.Msg
}

func (r natsRecord) encoding() []byte { return r.encoded }

func (r natsRecord) id() string { return strconv.FormatUint(r.sequence, 10) }

// natsEvent is a message as a function gets it; see docs/events.md.
type natsEvent struct {
	EventSource string      `json:"eventSource"`
	ARN         string      `json:"eventSourceARN"`
	Region      string      `json:"awsRegion"`
	ID          string      `json:"eventID,omitempty"` // STREAM:SEQUENCE
	NATS        natsContent `json:"nats"`
}

type natsContent struct {
	Subject   string      `json:"subject"`
	Stream    string      `json:"stream,omitempty"`
	Sequence  string      `json:"sequenceNumber,omitempty"`
	Timestamp int64       `json:"timestamp"` // milliseconds since 1970: when the stream, or else this server, got it
	Headers   nats.Header `json:"headers,omitempty"`
	Data      []byte      `json:"data"` // base64
}

// view is what a filter looks at, but for the data.
func (c *natsContent) view() map[string]any {
	return map[string]any{
		"subject": c.Subject, "stream": c.Stream, "sequenceNumber": c.Sequence, "timestamp": float64(c.Timestamp),
		"headers": asAny(c.Headers),
	}
}

// lineageHeader carries the lineage of what functions send to the platform's
// own subjects, which nobody else can publish to.
const lineageHeader = "Millicent-Lineage"

// LineageHeader returns what is to be published with a message to one of the
// platform's own subjects.
func LineageHeader(l millicent.Lineage) (nats.Header, error) {
	encoded, err := json.Marshal(l)
	return nats.Header{lineageHeader: {string(encoded)}}, err
}

// takeLineage returns the lineage of a message of the platform's own subjects,
// whose header it removes.
func takeLineage(h nats.Header) (l millicent.Lineage) {
	if text := h.Get(lineageHeader); text != "" && json.Unmarshal([]byte(text), &l) != nil {
		l = millicent.Lineage{}
	}
	delete(h, lineageHeader)
	return l
}

// record returns a message as a record; ok is false when no filter wants it.
func (r *run) record(c natsContent) (rec natsRecord, ok bool, err error) {
	if c.Data == nil {
		c.Data = []byte{} // a text, not null
	}
	if len(r.filters) > 0 && !wanted(r.filters, c.view(), "data", string(c.Data)) {
		return natsRecord{}, false, nil
	}
	e := natsEvent{EventSource: natsSource, ARN: r.mapping.Source, Region: r.service.cfg.Region, NATS: c}
	if c.Stream != "" {
		e.ID = c.Stream + ":" + c.Sequence
	}
	encoded, err := json.Marshal(e)
	return natsRecord{encoded: encoded, subject: c.Subject, time: time.UnixMilli(c.Timestamp)}, true, err
}
