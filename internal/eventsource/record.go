package eventsource

import (
	"bytes"
	"encoding/json"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

// maxPayload bounds the event of one invocation, as for every caller.
const maxPayload = 6 << 20

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

// A batch is messages that one invocation gets, with their event.
type batch struct {
	messages []sqs.Message
	event    []byte
}

// batches makes events of messages, each of at most maxPayload, in order.
func batches(messages []sqs.Message, arn, region, tenant string) ([]batch, error) {
	var all []batch
	var b batch
	var event bytes.Buffer
	end := func() {
		if len(b.messages) > 0 {
			event.WriteString("]}")
			b.event = bytes.Clone(event.Bytes())
			all = append(all, b)
		}
		b = batch{}
		event.Reset()
	}
	for i := range messages {
		encoded, err := json.Marshal(recordOf(&messages[i], arn, region, tenant))
		if err != nil {
			return nil, err
		}
		if event.Len()+len(encoded)+3 > maxPayload {
			end()
		}
		if event.Len() == 0 {
			event.WriteString(`{"Records":[`)
		} else {
			event.WriteByte(',')
		}
		event.Write(encoded)
		b.messages = append(b.messages, messages[i])
	}
	end()
	return all, nil
}

// filtered is what a filter looks at.
func filtered(r *record, filters []*Pattern) (keep bool) {
	if len(filters) == 0 {
		return true
	}
	view := map[string]any{
		"messageId": r.MessageID, "receiptHandle": r.ReceiptHandle, "md5OfBody": r.BodyMD5,
		"eventSource": r.EventSource, "eventSourceARN": r.EventSourceARN, "awsRegion": r.Region,
		"attributes": asAny(r.Attributes), "messageAttributes": asAny(r.MessageAttributes),
	}
	var parsed any
	_ = json.Unmarshal([]byte(r.Body), &parsed) // a text that is no JSON stays nil
	_, isObject := parsed.(map[string]any)
	for _, p := range filters {
		object, present := p.wants("body")
		switch {
		case !present:
		case object != isObject:
			continue // a body of another form than the pattern's: dropped, whatever else is asked for
		}
		view["body"] = r.Body
		if object {
			view["body"] = parsed
		}
		if p.Match(view) {
			return true
		}
	}
	return false
}

// asAny returns v as encoding/json decodes it.
func asAny(v any) (decoded any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &decoded)
	}
	if err != nil {
		return nil // texts and numbers always go there and back
	}
	return decoded
}

// failures returns which messages of a batch a function's answer says have
// failed: of an answer that is not understood, all. A FIFO queue's group is
// over with its first failure: what comes after it must not be done before.
func failures(messages []sqs.Message, payload []byte) (failed map[string]bool) {
	all := map[string]bool{}
	for i := range messages {
		all[messages[i].ID] = true
	}
	var text string
	if len(bytes.TrimSpace(payload)) == 0 || json.Unmarshal(payload, &text) == nil {
		if text == "" {
			return nil // nothing, null, or an empty text
		}
		return all
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(payload, &answer); err != nil {
		return all
	}
	list, ok := answer["batchItemFailures"]
	if !ok {
		return nil
	}
	var items []map[string]any
	if err := json.Unmarshal(list, &items); err != nil {
		return all
	}
	failed = map[string]bool{}
	for _, item := range items {
		id, ok := item["itemIdentifier"].(string)
		if !ok || !all[id] {
			return all
		}
		failed[id] = true
	}
	return failed
}

// done returns the handles of the messages that have not failed. In a group,
// what follows a failure has failed, too.
func done(messages []sqs.Message, failed map[string]bool) (handles []string) {
	broken := map[string]bool{}
	for i := range messages {
		m := &messages[i]
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
func lineageOf(messages []sqs.Message, tenant, function string) (l millicent.Lineage) {
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
