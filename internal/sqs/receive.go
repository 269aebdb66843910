package sqs

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// A Receive says how to receive.
type Receive struct {
	Max        int            // 1 to 10; more from inside
	Visibility *time.Duration // nil: the queue's
	Wait       *time.Duration // for the first message; nil: the queue's
	Bound      bool           // the messages come back when this server ends, see queue.LeaseRequest
}

// A Message is a received message.
type Message struct {
	ID            string
	Handle        string
	Body          string
	Sent          time.Time
	FirstReceived time.Time
	Receives      int
	Sequence      string // of a FIFO queue, else empty
	Source        string // name of the queue whose dead letter it is, else empty
	millicent.QueueMessage
}

// TraceHeader is the one system attribute that may be sent.
const TraceHeader = "AWSTraceHeader"

// SystemAttributes returns what the queue itself knows of the message, by the
// names of the API; region and tenant are the queue's.
func (m *Message) SystemAttributes(region, tenant string) map[string]string {
	all := map[string]string{
		"SenderId":                         m.Sender,
		"SentTimestamp":                    strconv.FormatInt(m.Sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.Receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.FirstReceived.UnixMilli(), 10),
		TraceHeader:                        m.TraceHeader,
		"MessageGroupId":                   m.Group,
		"MessageDeduplicationId":           m.Dedup,
		"SequenceNumber":                   m.Sequence,
	}
	if m.Source != "" {
		all["DeadLetterQueueSourceArn"] = millicent.QueueARN(region, tenant, m.Source)
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// Receive takes messages of q, which are hidden from others meanwhile, and
// waits for the first if there is none. Without a message it returns none and
// no error.
func (s *Service) Receive(ctx context.Context, q *millicent.Queue, r Receive) ([]Message, error) {
	lease := queue.LeaseRequest{Queue: nameOf(q), Max: r.Max, Visibility: q.Visibility, Wait: q.Wait, Bound: r.Bound}
	if r.Visibility != nil {
		lease.Visibility = *r.Visibility
	}
	if r.Wait != nil {
		lease.Wait = *r.Wait
	}
	if q.Redrive != nil && s.exists(q.Tenant)(q.Redrive.DeadLetter) {
		lease.MaxReceives = q.Redrive.MaxReceives
		lease.DeadLetter = queue.Name{Kind: Kind, Tenant: q.Tenant, Name: q.Redrive.DeadLetter}
	}
	deliveries, err := s.cfg.Messages.Lease(ctx, lease)
	if err != nil {
		return nil, err
	}
	var messages []Message
	for _, d := range deliveries {
		m, err := received(q, d)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func received(q *millicent.Queue, d queue.Delivery) (Message, error) {
	more, err := millicent.DecodeQueueMessage(d.Attributes)
	if err != nil {
		return Message{}, err
	}
	m := Message{
		ID: d.ID, Handle: string(d.Handle), Body: string(d.Body), Sent: d.Sent, FirstReceived: d.FirstReceived,
		Receives: d.Receives, QueueMessage: *more,
	}
	if q.FIFO() {
		m.Sequence = sequence(d.Sequence)
	}
	if d.From != (queue.Name{}) {
		m.Source = d.From.Name
	}
	return m, nil
}

// Done deletes received messages, each by itself, and returns when that is
// durable; the errors are by handle. A message that is gone already is no
// error, nor is, of a standard queue, one that was received again since: that
// one stays.
func (s *Service) Done(ctx context.Context, q *millicent.Queue, handles []string) []error {
	errs := make([]error, len(handles))
	list := make([]queue.Handle, len(handles))
	for i, h := range handles {
		list[i] = queue.Handle(h)
	}
	for i, err := range s.cfg.Messages.Settle(ctx, nameOf(q), list...) {
		switch millicent.ErrorCode(err) {
		case queue.CodeGone:
		case queue.CodeStaleHandle:
			if q.FIFO() {
				errs[i] = invalidParameter(handles[i], "ReceiptHandle", "The receipt handle has expired.")
			}
		default:
			errs[i] = handleError(handles[i], err)
		}
	}
	return errs
}

// Hide changes for how long a received message stays hidden, from now on.
func (s *Service) Hide(q *millicent.Queue, handle string, d time.Duration) error {
	if d < 0 || d > maxVisibility {
		return invalidParameter(int(d/time.Second), attrVisibility, "Must be between 0 and 43200.")
	}
	if d == 0 {
		return handleError(handle, s.cfg.Messages.Release(nameOf(q), queue.Handle(handle), time.Time{}, queue.Progress{}))
	}
	return handleError(handle, s.cfg.Messages.Extend(nameOf(q), queue.Handle(handle), d))
}

const maxVisibility = 12 * time.Hour

// handleError is an error of package queue about a handle as the API has it.
func handleError(handle string, err error) error {
	switch millicent.ErrorCode(err) {
	case queue.CodeInvalidHandle:
		return &millicent.Error{Code: CodeInvalidHandle, Message: "The input receipt handle is invalid.", Err: err}
	case queue.CodeNotInFlight:
		return &millicent.Error{Code: CodeNotInFlight, Message: "The message referred to isn't in flight.", Err: err}
	case queue.CodeGone, queue.CodeStaleHandle:
		return invalidParameter(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	}
	return err
}
