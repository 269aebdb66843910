package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/queue"
)

// An Outgoing is a message to send.
type Outgoing struct {
	Body  string
	Delay *time.Duration // nil: the queue's
	millicent.QueueMessage
}

// A Sent tells of a message that was sent.
type Sent struct {
	ID       string
	Sequence string // of a FIFO queue, else empty
}

// Send sends a message to q and returns when it is durable.
func (s *Service) Send(ctx context.Context, q *millicent.Queue, out Outgoing) (Sent, error) {
	sent, errs := s.SendAll(ctx, q, []Outgoing{out})
	return sent[0], errs[0]
}

// Follow sends a message to q and settles what it follows from, in one step,
// and returns when that is durable. Errors are those of Send, and those of
// settling: see [queue.Queues.Settle].
func (s *Service) Follow(ctx context.Context, q *millicent.Queue, out Outgoing, from queue.Settled) error {
	m, err := s.message(q, out)
	if err != nil {
		return err
	}
	_, err = s.cfg.Messages.Apply(ctx, queue.Change{Put: []queue.Message{m}, Settle: []queue.Settled{from}})
	return refusal(err)
}

// Compose checks a message to q and returns it for package queue, so that it
// can be put in one change with others.
func (s *Service) Compose(q *millicent.Queue, out Outgoing) (queue.Message, error) {
	return s.message(q, out)
}

// SendAll sends messages to q, each by itself, with one write to disk for all,
// and returns when they are durable. It returns one Sent or error for each.
func (s *Service) SendAll(ctx context.Context, q *millicent.Queue, all []Outgoing) ([]Sent, []error) {
	sent, errs := make([]Sent, len(all)), make([]error, len(all))
	var messages []queue.Message
	var places []int
	for i, out := range all {
		m, err := s.message(q, out)
		if err != nil {
			errs[i] = err
			continue
		}
		messages, places = append(messages, m), append(places, i)
	}
	if len(messages) == 0 {
		return sent, errs
	}
	receipts, err := s.cfg.Messages.Put(ctx, messages...)
	for n, i := range places {
		if err != nil {
			errs[i] = refusal(err)
			continue
		}
		sent[i].ID = receipts[n].ID
		if q.FIFO() {
			sent[i].Sequence = sequence(receipts[n].Sequence)
		}
	}
	return sent, errs
}

// refusal is an error of package queue as the API has it.
func refusal(err error) error {
	if millicent.ErrorCode(err) == queue.CodeFull {
		return &millicent.Error{Code: CodeOverLimit, Message: "The queue has as many messages as it may have.", Err: err}
	}
	return err
}

// sequence is a sequence number as SQS has them: twenty digits.
func sequence(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	return strings.Repeat("0", max(0, 20-len(digits))) + digits
}

// message checks a message and returns it for package queue.
func (s *Service) message(q *millicent.Queue, out Outgoing) (m queue.Message, err error) {
	if err := checkBody(out.Body); err != nil {
		return m, err
	}
	if err := checkAttributes(out.Attributes); err != nil {
		return m, err
	}
	if size(out) > q.MaxBytes {
		return m, invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", q.MaxBytes)
	}
	delay, err := delayOf(q, out)
	if err != nil {
		return m, err
	}
	if err := order(q, &out); err != nil {
		return m, err
	}
	now := s.cfg.Now()
	m = queue.Message{Queue: nameOf(q), ID: uuid.NewString(), Body: []byte(out.Body), Sent: now, Expires: now.Add(q.Retention)}
	if delay > 0 {
		m.NotBefore = now.Add(delay)
	}
	if q.FIFO() {
		m.Group, m.Dedup = out.Group, out.Dedup
		if q.GroupDedup {
			sum := sha256.Sum256([]byte(out.Group + "\x00" + out.Dedup))
			m.Dedup = hex.EncodeToString(sum[:])
		}
	}
	m.Attributes, err = out.Encode()
	return m, err
}

func delayOf(q *millicent.Queue, out Outgoing) (time.Duration, error) {
	if out.Delay == nil {
		return q.Delay, nil
	}
	d := *out.Delay
	n := int(d / time.Second)
	switch {
	case n < 0 || n > 900:
		return 0, invalidParameter(n, attrDelay, "DelaySeconds must be >= 0 and <= 900.")
	case n > 0 && q.FIFO():
		return 0, invalidParameter(n, attrDelay, "The request include parameter that is not valid for this queue type.")
	}
	return d, nil
}

// order checks and completes what orders a message.
func order(q *millicent.Queue, out *Outgoing) error {
	if !token(out.Group) {
		return invalidParameter(out.Group, "MessageGroupId", idForm)
	}
	if !token(out.Dedup) {
		return invalidParameter(out.Dedup, "MessageDeduplicationId", idForm)
	}
	if !q.FIFO() {
		if out.Dedup != "" {
			return invalidParameter(out.Dedup, "MessageDeduplicationId", "The request includes a parameter that is not valid for this queue type.")
		}
		return nil
	}
	if out.Group == "" {
		return missing("MessageGroupId")
	}
	if out.Dedup == "" {
		if !q.ContentDedup {
			return invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
		sum := sha256.Sum256([]byte(out.Body))
		out.Dedup = hex.EncodeToString(sum[:])
	}
	return nil
}

const idForm = "Can only include alphanumeric and punctuation characters. 1 to 128 in length."

// token reports whether s is made of at most 128 printable ASCII characters.
func token(s string) bool {
	return len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

func checkBody(body string) error {
	if body == "" {
		return missing("MessageBody")
	}
	return checkText(body)
}

// checkText allows the characters of XML 1.0, as SQS does.
func checkText(text string) error {
	bad := strings.IndexFunc(text, func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
	if bad >= 0 || !utf8.ValidString(text) {
		return millicent.Errorf(CodeInvalidContents, "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.")
	}
	return nil
}

const maxAttributes = 10

func checkAttributes(all map[string]millicent.MessageAttribute) error {
	if len(all) > maxAttributes {
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(all), maxAttributes)
	}
	for name, a := range all {
		if err := checkAttribute(name, a); err != nil {
			return err
		}
	}
	return nil
}

func checkAttribute(name string, a millicent.MessageAttribute) error {
	kind, _, _ := strings.Cut(a.Type, ".")
	switch {
	case !attributeName(name):
		return invalid("Message (user) attribute name %.300q is invalid: it can contain alphanumeric characters, underscores, hyphens and single periods, and is at most 256 long.", name)
	case kind != "String" && kind != "Number" && kind != "Binary":
		return invalid("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case a.IsBinary() && len(a.Binary) == 0, !a.IsBinary() && a.Text == "":
		return invalid("The message attribute '%s' must contain a non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	case len(a.Type) > 256:
		return invalid("The message attribute '%s' has a type of more than 256 characters.", name)
	case kind == "Number":
		if _, err := strconv.ParseFloat(a.Text, 64); err != nil {
			return invalid("Can't cast the value of message (user) attribute '%s' to a number.", name)
		}
	}
	return checkText(a.Text)
}

var attributeForm = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)

func attributeName(name string) bool {
	if name == "" || len(name) > 256 || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return false
	}
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
		return false
	}
	return attributeForm.MatchString(name)
}

// size is what a message counts: its body and its attributes with their names
// and types.
func size(out Outgoing) int {
	n := len(out.Body)
	for name, a := range out.Attributes {
		n += len(name) + len(a.Type) + len(a.Text) + len(a.Binary)
	}
	return n
}

// Size returns how many bytes a message counts.
func (out Outgoing) Size() int { return size(out) }
