package process

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The link is what the platform's own bootstraps speak instead of HTTP: two
// pipes that the runtime inherits. A message is a 4-byte length of
// what follows, big-endian, a byte that says which it is, and its body.
//
// From the server:
//
//	W  to a stem: an assignment to rehearse with
//	A  to a stem: its assignment, JSON
//	S  to a stem, in place of A: become what a snapshot holds
//	I  an invocation: a 4-byte length, so much JSON about it, the event
//
// From the runtime, where an id is a byte of length and the request id, and a
// type is a byte of length and an error type:
//
//	B  a stem has started and waits for A
//	G  the answer to S: a byte is to come, with the snapshot's descriptor, and A
//	O  restored from it; what follows until N is the function's
//	P  a part of a snapshot, before the first N
//	N  initialised, or ready for the next invocation
//	R  id, content type as a type, payload: the response
//	E  id, type, document: the invocation failed
//	S  id, content type as a type: a response begins that comes in parts
//	C  a part of it
//	T  type, document: its end; a type says that it broke off
//	F  type, document: Init failed
//	D  what the code was compiled to is of no use
const (
	linkRehearse  = 'W'
	linkAssign    = 'A'
	linkSnapshot  = 'S'
	linkInvoke    = 'I'
	linkBooted    = 'B'
	linkGive      = 'G'
	linkRestored  = 'O'
	linkPart      = 'P'
	linkNext      = 'N'
	linkResponse  = 'R'
	linkError     = 'E'
	linkStream    = 'S'
	linkChunk     = 'C'
	linkTrailer   = 'T'
	linkInitError = 'F'
	linkRefused   = 'D'
)

const mediaJSON = "application/json"

const (
	linkHeader = 5 // length and kind

	// maxLinkBody is room for a payload that is one byte too large, which is
	// as much as a bootstrap sends of any, behind an id and a type.
	maxLinkBody = maxPayload + 1 + 2*256

	linkBuffer = 4 << 10
	maxSpare   = 16 * linkBuffer // what is kept for the next body
)

// errViolation means that a runtime does not keep to the link's protocol.
var errViolation = errors.New("the runtime violates the link's protocol")

// maxBody returns the longest body of a message of that kind, negative for
// what is no kind that a runtime sends.
func maxBody(kind byte) int {
	switch kind {
	case linkBooted, linkGive, linkRestored, linkNext, linkRefused:
		return 0
	case linkResponse, linkError, linkChunk, linkTrailer, linkInitError, linkPart:
		return maxLinkBody
	case linkStream:
		return 2 * 256
	default:
		return -1
	}
}

// A linkReader cuts what a runtime sends into messages. An error of its source
// loses nothing: next goes on where it was. It holds a message at most, and
// memory for no more of it than has arrived, twice over.
type linkReader struct {
	src  io.Reader
	buf  [linkBuffer]byte
	r, w int // what is unread of buf

	in    bool // within a message
	kind  byte
	want  int    // length of its body
	body  []byte // what has come of it
	spare []byte // for a body to come; see reuse
}

// next returns the next message. Its body is the caller's.
func (d *linkReader) next() (kind byte, body []byte, err error) {
	if !d.in {
		if err := d.header(); err != nil {
			return 0, nil, err
		}
	}
	for len(d.body) < d.want {
		if err := d.more(); err != nil {
			return 0, nil, err
		}
	}
	body, d.body, d.in = d.body, nil, false
	return d.kind, body, nil
}

// takes takes a message of a kind that has no body, if that has come already.
func (d *linkReader) takes(kind byte) bool {
	if d.in || d.w-d.r < linkHeader || [linkHeader]byte(d.buf[d.r:d.w]) != [linkHeader]byte{3: 1, 4: kind} {
		return false
	}
	d.r += linkHeader
	return true
}

// reuse takes a body back whose bytes nobody needs any more: the parts of a
// large response would keep the garbage collector busy.
func (d *linkReader) reuse(body []byte) {
	if cap(body) <= maxSpare {
		d.spare = body
	}
}

// header reads the header of the next message.
func (d *linkReader) header() error {
	for d.w-d.r < linkHeader {
		copy(d.buf[:], d.buf[d.r:d.w])
		d.r, d.w = 0, d.w-d.r
		n, err := d.src.Read(d.buf[d.w:])
		d.w += n
		if n == 0 && err != nil {
			return err
		}
	}
	size := binary.BigEndian.Uint32(d.buf[d.r:])
	d.kind = d.buf[d.r+4]
	if limit := maxBody(d.kind); size == 0 || limit < 0 || size-1 > uint32(limit) {
		return errViolation
	}
	d.r += linkHeader
	d.in, d.want = true, int(size)-1
	return nil
}

// more reads a part of the body.
func (d *linkReader) more() error {
	left := d.want - len(d.body)
	if have := d.w - d.r; have > 0 {
		have = min(have, left)
		if d.body == nil && d.spare != nil {
			d.body, d.spare = d.spare[:0], nil
		} else if d.body == nil {
			d.body = make([]byte, 0, min(d.want, max(have, 16*linkBuffer)))
		}
		d.body = append(d.body, d.buf[d.r:d.r+have]...)
		d.r += have
		return nil
	}
	if len(d.body) == cap(d.body) {
		grown := make([]byte, len(d.body), min(d.want, max(2*len(d.body), 16*linkBuffer)))
		copy(grown, d.body)
		d.body = grown
	}
	room := d.body[len(d.body):cap(d.body)]
	n, err := d.src.Read(room[:min(len(room), left)])
	d.body = d.body[:len(d.body)+n]
	if n > 0 {
		return nil
	}
	return err
}

// cutShort takes a text with its length in a byte before it off p. Where it is
// the usual one, it takes no memory.
func cutShort(p []byte, usual string) (text string, rest []byte, ok bool) {
	if len(p) == 0 || len(p) < 1+int(p[0]) {
		return "", nil, false
	}
	n := 1 + int(p[0])
	if string(p[1:n]) == usual {
		return usual, p[n:], true
	}
	return string(p[1:n]), p[n:], true
}

// appendInvoke appends the head of the message that hands t over; the event
// follows it.
func appendInvoke(dst []byte, t *turn) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, linkInvoke, 0, 0, 0, 0)
	about := len(dst)
	dst = append(dst, `{"requestId":`...)
	dst = appendQuoted(dst, t.id)
	dst = append(dst, `,"deadlineMs":`...)
	dst = strconv.AppendInt(dst, t.deadline.UnixMilli(), 10)
	dst = appendMember(dst, `,"arn":`, t.arn)
	dst = appendMember(dst, `,"traceId":`, t.trace)
	dst = appendMember(dst, `,"clientContext":`, string(t.client))
	dst = append(dst, '}')
	binary.BigEndian.PutUint32(dst[about-4:], uint32(len(dst)-about))
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4+len(t.event)))
	return dst
}

func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendQuoted(append(dst, name...), value)
}

// appendQuoted appends s as JSON.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(fmt.Sprintf("process: encode %q: %v", s, err)) // no string can do that
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendMessage appends a message of the server with a body.
func appendMessage(dst []byte, kind byte, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+len(body)))
	return append(append(dst, kind), body...)
}
