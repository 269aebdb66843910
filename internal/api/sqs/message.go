package sqs

import (
	"context"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

// message returns what the wire says as a message to send.
func (o *outgoing) message(req *request) (sqs.Outgoing, error) {
	out := sqs.Outgoing{Body: o.Body}
	out.Sender, out.Lineage = sender(req.identity), req.lineage
	out.Group, out.Dedup = o.Group, o.Dedup
	if o.Delay != nil {
		out.Delay = new(time.Duration(*o.Delay) * time.Second)
	}
	for name, a := range o.SystemAttributes {
		if name != sqs.TraceHeader || a.DataType != "String" || a.StringValue == nil {
			return out, malformed("Message system attribute name '%.80s' is invalid: AWSTraceHeader of type String is the only one there is.", name)
		}
		out.TraceHeader = *a.StringValue
	}
	for name, a := range o.Attributes {
		if a.DataType == "" {
			return out, malformed("The message attribute '%.256s' must contain a non-empty message attribute type.", name)
		}
		if len(a.StringListValues) > 0 || len(a.BinaryListValues) > 0 {
			return out, millicent.Errorf(sqs.CodeUnsupported, "Message attribute list values in SendMessage operation are not supported.")
		}
		m := millicent.MessageAttribute{Type: a.DataType, Binary: a.BinaryValue}
		if a.StringValue != nil {
			m.Text = *a.StringValue
		}
		if out.Attributes == nil {
			out.Attributes = map[string]millicent.MessageAttribute{}
		}
		out.Attributes[name] = m
	}
	return out, nil
}

// sender is the SenderId of who asks.
func sender(id millicent.Identity) string {
	if id.AccessKey != "" {
		return id.AccessKey
	}
	return id.Tenant
}

func sentOf(out sqs.Outgoing, s sqs.Sent) sent {
	answer := sent{
		BodyMD5: sqs.BodyMD5(out.Body), AttributesMD5: sqs.AttributesMD5(&out.QueueMessage),
		MessageID: s.ID, Sequence: s.Sequence,
	}
	if out.TraceHeader != "" {
		answer.SystemMD5 = sqs.AttributesMD5(&millicent.QueueMessage{
			Attributes: map[string]millicent.MessageAttribute{sqs.TraceHeader: {Type: "String", Text: out.TraceHeader}},
		})
	}
	return answer
}

func (h *Handler) sendMessage(ctx context.Context, req *request, in *sendMessageRequest) (*sent, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	out, err := in.message(req)
	if err != nil {
		return nil, err
	}
	s, err := h.cfg.Queues.Send(ctx, q, out)
	if err != nil {
		return nil, err
	}
	return new(sentOf(out, s)), nil
}

func (h *Handler) sendMessageBatch(ctx context.Context, req *request, in *sendMessageBatchRequest) (*sendMessageBatchResponse, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(ids(in.Entries, func(e sendEntry) string { return e.ID }), "SendMessageBatchRequestEntry"); err != nil {
		return nil, err
	}
	answer := &sendMessageBatchResponse{Successful: []sentEntry{}}
	var all []sqs.Outgoing
	var entries []string
	total := 0
	for _, e := range in.Entries {
		out, err := e.message(req)
		if err != nil {
			answer.Failed = append(answer.Failed, failed(e.ID, err))
			continue
		}
		total += out.Size()
		all, entries = append(all, out), append(entries, e.ID)
	}
	if total > maxBatchBytes {
		return nil, millicent.Errorf(sqs.CodeBatchTooLong, "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatchBytes, total)
	}
	results, errs := h.cfg.Queues.SendAll(ctx, q, all)
	for i, id := range entries {
		if errs[i] != nil {
			answer.Failed = append(answer.Failed, failed(id, errs[i]))
			continue
		}
		answer.Successful = append(answer.Successful, sentEntry{id, sentOf(all[i], results[i])})
	}
	return answer, nil
}

func (h *Handler) receiveMessage(ctx context.Context, req *request, in *receiveMessageRequest) (*receiveMessageResponse, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	r := sqs.Receive{Max: 1}
	if in.Max != nil {
		if r.Max = *in.Max; r.Max < 1 || r.Max > 10 {
			return nil, malformed("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", r.Max)
		}
	}
	if r.Visibility, err = within(in.Visibility, "VisibilityTimeout", 43_200); err != nil {
		return nil, err
	}
	if r.Wait, err = within(in.Wait, "WaitTimeSeconds", 20); err != nil {
		return nil, err
	}
	messages, err := h.cfg.Queues.Receive(ctx, q, r)
	if err != nil {
		return nil, err
	}
	answer := &receiveMessageResponse{}
	for i := range messages {
		answer.Messages = append(answer.Messages, in.show(h.cfg.Region, q, &messages[i]))
	}
	return answer, nil
}

// within returns a number of seconds, nil for none.
func within(n *int, name string, most int) (*time.Duration, error) {
	if n == nil {
		return nil, nil
	}
	if *n < 0 || *n > most {
		return nil, malformed("Value %d for parameter %s is invalid. Reason: Must be >= 0 and <= %d, if provided.", *n, name, most)
	}
	return new(time.Duration(*n) * time.Second), nil
}

// show returns a message with what the request asks for of it.
func (in *receiveMessageRequest) show(region string, q *millicent.Queue, m *sqs.Message) message {
	shown := message{MessageID: m.ID, ReceiptHandle: m.Handle, BodyMD5: sqs.BodyMD5(m.Body), Body: m.Body}
	wanted := append(append([]string{}, in.AttributeNames...), in.SystemAttributeNames...)
	for name, value := range m.SystemAttributes(region, q.Tenant) {
		for _, w := range wanted {
			if w == "All" || w == name {
				if shown.Attributes == nil {
					shown.Attributes = map[string]string{}
				}
				shown.Attributes[name] = value
			}
		}
	}
	part := millicent.QueueMessage{Attributes: map[string]millicent.MessageAttribute{}}
	for name, a := range m.Attributes {
		if !asked(name, in.MessageAttributeNames) {
			continue
		}
		part.Attributes[name] = a
		if shown.MessageAttributes == nil {
			shown.MessageAttributes = map[string]attribute{}
		}
		if a.IsBinary() {
			shown.MessageAttributes[name] = attribute{DataType: a.Type, BinaryValue: a.Binary}
		} else {
			shown.MessageAttributes[name] = attribute{DataType: a.Type, StringValue: new(a.Text)}
		}
	}
	shown.AttributesMD5 = sqs.AttributesMD5(&part)
	return shown
}

// asked reports whether a message attribute is among the names, which may be
// All, or a prefix that ends with .* itself.
func asked(name string, names []string) bool {
	for _, n := range names {
		prefix, some := strings.CutSuffix(n, ".*")
		if n == "All" || n == name || some && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (h *Handler) deleteMessage(ctx context.Context, req *request, in *deleteMessageRequest) (*none, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	if in.ReceiptHandle == "" {
		return nil, millicent.Errorf(sqs.CodeMissing, "The request must contain the parameter ReceiptHandle.")
	}
	return &none{}, h.cfg.Queues.Done(ctx, q, []string{in.ReceiptHandle})[0]
}

func (h *Handler) deleteMessageBatch(ctx context.Context, req *request, in *deleteMessageBatchRequest) (*deleteMessageBatchResponse, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	all := ids(in.Entries, func(e deleteEntry) string { return e.ID })
	if err := checkBatch(all, "DeleteMessageBatchRequestEntry"); err != nil {
		return nil, err
	}
	handles := ids(in.Entries, func(e deleteEntry) string { return e.ReceiptHandle })
	done, bad := results(all, h.cfg.Queues.Done(ctx, q, handles))
	return &deleteMessageBatchResponse{done, bad}, nil
}

func (h *Handler) changeVisibility(_ context.Context, req *request, in *changeVisibilityRequest) (*none, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	return &none{}, h.hide(q, in.ReceiptHandle, in.Visibility)
}

func (h *Handler) changeVisibilityBatch(_ context.Context, req *request, in *changeVisibilityBatchRequest) (*changeVisibilityBatchResponse, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	all := ids(in.Entries, func(e visibilityEntry) string { return e.ID })
	if err := checkBatch(all, "ChangeMessageVisibilityBatchRequestEntry"); err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range in.Entries {
		errs = append(errs, h.hide(q, e.ReceiptHandle, e.Visibility))
	}
	done, bad := results(all, errs)
	return &changeVisibilityBatchResponse{done, bad}, nil
}

func (h *Handler) hide(q *millicent.Queue, handle string, visibility *int) error {
	switch {
	case handle == "":
		return millicent.Errorf(sqs.CodeMissing, "The request must contain the parameter ReceiptHandle.")
	case visibility == nil:
		return millicent.Errorf(sqs.CodeMissing, "The request must contain the parameter VisibilityTimeout.")
	}
	d, err := within(visibility, "VisibilityTimeout", 43_200)
	if err != nil {
		return err
	}
	return h.cfg.Queues.Hide(q, handle, *d)
}
