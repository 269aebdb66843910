package queue

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
)

// Bounds of one message and of one change.
const (
	MaxBody       = 8 << 20   // bytes of a body
	MaxAttributes = 256 << 10 // bytes of the attributes
	MaxChange     = 64        // messages put by one change
	maxID         = 256       // bytes of an id, group or deduplication id
	maxNamePart   = 512       // bytes of each part of a Name
)

// Codes of errors that this package raises, besides those of the root package.
const (
	CodeFull          = "QueueFull"              // a bound on messages or bytes is reached
	CodeInvalidHandle = "ReceiptHandleIsInvalid" // not a handle of this queue
	CodeStaleHandle   = "ReceiptHandleIsStale"   // the message was leased again since
	CodeGone          = "MessageGone"            // settled, purged or expired
	CodeOverLimit     = "OverLimit"              // too many messages of the queue are in flight
)

// A Name identifies a queue. Kind separates the users of this package, such as
// "async" or "sqs". A queue exists while it has messages, and needs no making.
type Name struct {
	Kind, Tenant, Name string
}

// String returns the parts joined by slashes, for logs.
func (n Name) String() string { return n.Kind + "/" + n.Tenant + "/" + n.Name }

// A Message is what a producer puts.
type Message struct {
	Queue      Name
	ID         string // unique among messages; "" lets Put choose a UUID
	Body       []byte
	Attributes []byte // opaque: in the producer's own encoding

	// Group orders: messages of a queue with the same non-empty group are
	// leased in the order of their Puts, and none while an earlier one is in
	// flight or delayed.
	Group string

	// Dedup, when not empty, makes a second Put of the same id to the same
	// queue within DedupWindow a duplicate, which is answered with the
	// first's Receipt and not kept. Also after the first was settled, and
	// after a restart.
	Dedup string

	Sent      time.Time // zero means now
	NotBefore time.Time // not leased earlier; zero means at once
	Expires   time.Time // dropped then; zero means never
	From      Name      // queue that it was moved from, if any

	// Progress is the consumer's: Release changes it.
	Progress Progress
}

// Progress is what a consumer keeps with a message over its attempts.
type Progress struct {
	Attempts  int // failed attempts that count, at most 65535
	Throttles int // of those that do not, in a row, at most 65535
}

// A Receipt says how a message was put.
type Receipt struct {
	ID        string
	Sequence  uint64 // grows with each message put to any queue
	Duplicate bool   // an earlier message with the same Dedup stands for it
}

// A Delivery is a leased message.
type Delivery struct {
	Message
	Handle        Handle
	Sequence      uint64
	Receives      int       // leases so far, this one included
	FirstReceived time.Time // of the first lease
}

// A Handle refers to a message as one lease received it. It is valid until the
// message is settled or leased again, also after its visibility has ended, as
// in SQS. It can't be guessed.
type Handle string

// makeHandle returns the handle of the message with a number and the random
// receipt of its lease.
func makeHandle(num, receipt uint64) Handle {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], num)
	binary.BigEndian.PutUint64(b[8:], receipt)
	return Handle(base64.RawURLEncoding.EncodeToString(b[:]))
}

// parse returns what makeHandle put in; ok is false for anything else.
func (h Handle) parse() (num, receipt uint64, ok bool) {
	var b [18]byte
	if len(h) != base64.RawURLEncoding.EncodedLen(16) {
		return 0, 0, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(h))
	if err != nil || n != 16 {
		return 0, 0, false
	}
	num, receipt = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:16])
	return num, receipt, num != 0 && receipt != 0
}

// check refuses a message that is beyond the bounds.
func (m *Message) check() error {
	if err := m.Queue.check(); err != nil {
		return err
	}
	if m.From != (Name{}) {
		if err := m.From.check(); err != nil {
			return err
		}
	}
	var problem string
	switch {
	case len(m.Body) > MaxBody:
		problem = fmt.Sprintf("The body has %d bytes; at most %d are allowed.", len(m.Body), MaxBody)
	case len(m.Attributes) > MaxAttributes:
		problem = fmt.Sprintf("The attributes have %d bytes; at most %d are allowed.", len(m.Attributes), MaxAttributes)
	case len(m.ID) > maxID || len(m.Group) > maxID || len(m.Dedup) > maxID:
		problem = fmt.Sprintf("An id has more than %d bytes.", maxID)
	}
	if problem != "" {
		return millicent.Errorf(millicent.CodeInvalid, "%s", problem)
	}
	return nil
}

func (n Name) check() error {
	if n.Kind == "" || n.Name == "" || len(n.Kind) > maxNamePart || len(n.Tenant) > maxNamePart || len(n.Name) > maxNamePart {
		return millicent.Errorf(millicent.CodeInvalid, "The queue's name is missing or too long.")
	}
	return nil
}

// size is what the message counts against the bounds on bytes.
func (m *Message) size() int64 { return int64(len(m.Body) + len(m.Attributes)) }

// millis returns t in milliseconds since 1970, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1)
}

// timeOf is the inverse of millis.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
