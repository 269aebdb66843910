package async

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
)

// A record tells a destination of the end of an event, as AWS's do.
type record struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  requestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// recordTime is the form of the time in records.
const recordTime = "2006-01-02T15:04:05.000Z"

// newRecord returns the record of an event's end, which is of at most MaxEvent
// bytes: of one that is larger the response is left out.
func newRecord(ev *event, a attempt, v verdict, region string, now time.Time) ([]byte, error) {
	qualifier := ev.Qualifier
	if qualifier == "" {
		qualifier = millicent.Latest
	}
	r := record{
		Version: "1.0", Timestamp: now.UTC().Format(recordTime), RequestPayload: payload(ev.body),
		RequestContext: requestContext{ev.id, millicent.ARN(region, ev.tenant, ev.function, qualifier), v.condition, v.progress.Attempts},
	}
	if res := a.result; res != nil {
		r.ResponseContext = &responseContext{200, res.Version, res.FunctionError}
		r.ResponsePayload = payload(res.Payload)
	}
	b, err := encode(r)
	if err == nil && len(b) > MaxEvent && r.ResponsePayload != nil {
		r.ResponsePayload = nil
		b, err = encode(r)
	}
	if err == nil && len(b) > MaxEvent {
		err = millicent.Errorf(millicent.CodeInvalid, "The record has %d bytes; at most %d can be sent.", len(b), MaxEvent)
	}
	return b, err
}

// encode returns a record as JSON, payloads with the characters they have.
func encode(r record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// payload returns bytes as the JSON that they are, and otherwise as a string.
func payload(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(b) {
		return b
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(b), "\uFFFD"))
	if err != nil {
		return json.RawMessage("null") // no string is that
	}
	return text
}

// recordFor returns the message that takes the record of an event's end to a
// destination.
func (e *Events) recordFor(arn string, ev *event, a attempt, v verdict) (queue.Message, error) {
	if v.condition == conditionLoop && e.loops(arn, ev) {
		return queue.Message{}, millicent.Errorf(millicent.CodeRecursive, "The destination %s runs in the same loop.", arn)
	}
	body, err := newRecord(ev, a, v, e.cfg.Region, e.cfg.Now())
	if err != nil {
		return queue.Message{}, err
	}
	return e.messageTo(arn, ev, body)
}

// loops reports whether a destination is a function that would be refused as
// well: two that are told of each other's failures would go on for ever.
func (e *Events) loops(arn string, ev *event) bool {
	to, ok := millicent.ParseDestination(arn)
	if !ok || to.Kind != millicent.ToFunction {
		return false
	}
	f, err := e.cfg.Store.Function(ev.tenant, to.Name)
	return err == nil && !f.Recursive && ev.Lineage.Next(ev.tenant, ev.function, ev.id).Loops(ev.tenant, to.Name)
}

// messageTo returns the message that takes a record to a destination.
func (e *Events) messageTo(arn string, ev *event, body []byte) (queue.Message, error) {
	to, ok := millicent.ParseDestination(arn)
	if !ok {
		return queue.Message{}, millicent.Errorf(millicent.CodeInvalid, "The destination %s is none.", arn)
	}
	caused := ev.Lineage.Next(ev.tenant, ev.function, ev.id)
	switch to.Kind {
	case millicent.ToFunction:
		if _, err := e.cfg.Store.Function(ev.tenant, to.Name); err != nil {
			return queue.Message{}, fmt.Errorf("destination %s: %w", arn, err)
		}
		next := &event{id: newID(), tenant: ev.tenant, function: to.Name, body: body, attributes: attributes{
			Qualifier: to.Qualifier, TraceID: ev.TraceID, Lineage: caused, Received: e.cfg.Now(),
		}}
		return next.message(KindEvent)
	case millicent.ToQueue:
		return e.toQueue(ev.tenant, to.Name, sqs.Outgoing{Body: string(body), QueueMessage: millicent.QueueMessage{
			Sender: ev.function, TraceHeader: ev.TraceID, Lineage: caused,
		}})
	}
	delivery := *ev
	delivery.body, delivery.Target = body, arn
	return delivery.message(KindDelivery)
}

func (e *Events) toQueue(tenant, name string, out sqs.Outgoing) (queue.Message, error) {
	q, err := e.cfg.SQS.Queue(tenant, name)
	if err != nil {
		return queue.Message{}, fmt.Errorf("queue %s: %w", name, err)
	}
	return e.cfg.SQS.Compose(q, out)
}

// maxErrorMessage bounds the error message that goes with a dead letter.
const maxErrorMessage = 1024

// deadLetterFor returns the message that takes an event that failed to the
// dead-letter queue of its function.
func (e *Events) deadLetterFor(arn string, ev *event, a attempt) (queue.Message, error) {
	to, ok := millicent.ParseDestination(arn)
	if !ok || to.Kind != millicent.ToQueue || to.Tenant != ev.tenant || to.Region != e.cfg.Region {
		return queue.Message{}, millicent.Errorf(millicent.CodeInvalid, "The dead letter target %s is no queue of this account.", arn)
	}
	code, message := a.told()
	body := string(ev.body)
	if body == "" {
		body = "null" // SQS has no empty messages
	}
	return e.toQueue(ev.tenant, to.Name, sqs.Outgoing{Body: body, QueueMessage: millicent.QueueMessage{
		Sender: ev.function, TraceHeader: ev.TraceID, Lineage: ev.Lineage.Next(ev.tenant, ev.function, ev.id),
		Attributes: map[string]millicent.MessageAttribute{
			"RequestID":    {Type: "String", Text: ev.id},
			"ErrorCode":    {Type: "Number", Text: code},
			"ErrorMessage": {Type: "String", Text: message},
		},
	}})
}

// told returns how an attempt failed, as a dead-letter queue is told: the
// status that a caller would have got, and the message.
func (a attempt) told() (code, message string) {
	code = "200"
	switch {
	case a.result != nil:
		message = errorMessage(a.result.Payload)
	case a.err != nil:
		code, message = statusOf(a.err), messageOf(a.err)
	}
	if message == "" {
		message = "Unknown"
	}
	return code, message
}

// errorMessage returns the message of a function's error document.
func errorMessage(document []byte) string {
	var d struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(document, &d) != nil || d.Message == "" {
		d.Message = string(document)
	}
	return clip(d.Message)
}

// clip makes a text one that SQS takes as an attribute.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), maxErrorMessage)], "")
}

func statusOf(err error) string {
	switch millicent.ErrorCode(err) {
	case millicent.CodeThrottled:
		return "429"
	case millicent.CodeRecursive:
		return "400"
	case millicent.CodeNotFound:
		return "404"
	}
	return "500"
}
