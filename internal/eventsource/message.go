package eventsource

import (
	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

// A received message of a queue, and what the function gets of it.
type received struct {
	sqs.Message
	encoded []byte
}

func (r received) encoding() []byte { return r.encoded }

// record is a message as a function gets it (AWS Lambda Developer Guide, "Using
// Lambda with Amazon SQS").
type record struct {
	MessageID         string                     `json:"messageId"`
	ReceiptHandle     string                     `json:"receiptHandle"`
	Body              string                     `json:"body"`
	Attributes        map[string]string          `json:"attributes"`
	MessageAttributes map[string]recordAttribute `json:"messageAttributes"`
	AttributesMD5     string                     `json:"md5OfMessageAttributes,omitempty"`
	BodyMD5           string                     `json:"md5OfBody"`
	EventSource       string                     `json:"eventSource"`
	EventSourceARN    string                     `json:"eventSourceARN"`
	Region            string                     `json:"awsRegion"`
}

type recordAttribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues []string `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// recordOf returns a message as a record.
func recordOf(m *sqs.Message, arn, region, tenant string) record {
	r := record{
		MessageID: m.ID, ReceiptHandle: m.Handle, Body: m.Body, BodyMD5: sqs.BodyMD5(m.Body),
		Attributes:        m.SystemAttributes(region, tenant),
		MessageAttributes: map[string]recordAttribute{},
		AttributesMD5:     sqs.AttributesMD5(&m.QueueMessage),
		EventSource:       "aws:sqs", EventSourceARN: arn, Region: region,
	}
	for name, a := range m.Attributes {
		ra := recordAttribute{DataType: a.Type, StringListValues: []string{}, BinaryListValues: []string{}}
		if a.IsBinary() {
			ra.BinaryValue = a.Binary
		} else {
			ra.StringValue = new(a.Text)
		}
		r.MessageAttributes[name] = ra
	}
	return r
}

// view is what a filter looks at, but for the body.
func (r *record) view() map[string]any {
	return map[string]any{
		"messageId": r.MessageID, "receiptHandle": r.ReceiptHandle, "md5OfBody": r.BodyMD5,
		"eventSource": r.EventSource, "eventSourceARN": r.EventSourceARN, "awsRegion": r.Region,
		"attributes": asAny(r.Attributes), "messageAttributes": asAny(r.MessageAttributes),
	}
}

func messageIDs(messages []received) []string {
	ids := make([]string, len(messages))
	for i := range messages {
		ids[i] = messages[i].ID
	}
	return ids
}

// done returns the handles of the messages that have not failed. A FIFO
// queue's group is over with its first failure: what comes after it must not
// be done before.
func done(messages []received, failed map[string]bool) (handles []string) {
	broken := map[string]bool{}
	for i := range messages {
		m := &messages[i].Message
		ordered := m.Sequence != ""
		if failed[m.ID] {
			if ordered {
				broken[m.Group] = true
			}
			continue
		}
		if ordered && broken[m.Group] {
			continue
		}
		handles = append(handles, m.Handle)
	}
	return handles
}

// lineageOf returns the lineage of an invocation with messages: of a loop
// among them, or of the longest chain.
func lineageOf(messages []received, tenant, function string) (l millicent.Lineage) {
	for i := range messages {
		switch of := messages[i].Lineage; {
		case of.Loops(tenant, function):
			return of
		case of.Hops > l.Hops:
			l = of
		}
	}
	return l
}
