package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The format of packs; docs/formats/queue.md describes it.
const packFormat = 1

// Kinds of records.
const (
	recordPut    = 1
	recordSettle = 2
	recordUpdate = 3
	recordPurge  = 4
	recordDedup  = 5
)

// maxPack bounds a pack, what a record can be included: below the payload
// limit of the state server.
const maxPack = 7 << 20

// errDamaged is the error of bytes that no version of this program wrote.
var errDamaged = errors.New("damaged pack")

// A packHeader stands at the start of each pack.
type packHeader struct {
	floor uint64 // packs with a lower sequence no longer count
	next  uint64 // the first message number that is not in use
}

// state is the part of a message that changes after its Put.
type state struct {
	due       int64 // ms: end of the delay, or of the visibility when leased; 0 for none
	first     int64 // ms: first lease
	receipt   uint64
	receives  uint32
	attempts  uint16
	throttles uint16
	leased    bool // until due
}

// A bodyFile refers to a body that is kept in a file.
type bodyFile struct {
	id   [16]byte
	size int64
}

// A putRecord is a message as it was put, with its state when it was written.
type putRecord struct {
	num     uint64
	state   state
	fixed   []byte // encoding of what follows
	key     []byte // the queue's, see Name.key
	id      []byte
	group   []byte
	dedup   []byte
	until   int64  // ms: end of the window of dedup
	from    []byte // key of another queue, or empty
	sent    int64  // ms
	expires int64  // ms, 0 for never
	attrs   []byte
	body    []byte   // nil when in a file
	file    bodyFile // size 0 when inline
}

// key returns the encoding of a name.
func (n Name) key() []byte {
	b := appendBytes(nil, []byte(n.Kind))
	b = appendBytes(b, []byte(n.Tenant))
	return appendBytes(b, []byte(n.Name))
}

// parseName is the inverse of Name.key.
func parseName(key []byte) (Name, error) {
	r := reader{rest: key}
	n := Name{Kind: string(r.bytes()), Tenant: string(r.bytes()), Name: string(r.bytes())}
	if r.bad || len(r.rest) > 0 {
		return Name{}, errDamaged
	}
	return n, nil
}

func appendBytes(b, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendHeader(b []byte, h packHeader) []byte {
	b = append(b, packFormat)
	b = binary.AppendUvarint(b, h.floor)
	return binary.AppendUvarint(b, h.next)
}

// appendFixed appends the part of a message that never changes.
func appendFixed(b []byte, m *Message, until int64, file bodyFile) []byte {
	b = appendBytes(b, m.Queue.key())
	b = appendBytes(b, []byte(m.ID))
	b = appendBytes(b, []byte(m.Group))
	b = appendBytes(b, []byte(m.Dedup))
	if m.Dedup != "" {
		b = binary.AppendUvarint(b, uint64(until))
	}
	if m.From == (Name{}) {
		b = append(b, 0)
	} else {
		b = appendBytes(b, m.From.key())
	}
	b = binary.AppendUvarint(b, uint64(millis(m.Sent)))
	b = binary.AppendUvarint(b, uint64(millis(m.Expires)))
	b = appendBytes(b, m.Attributes)
	if file.size > 0 {
		b = append(b, 1)
		b = append(b, file.id[:]...)
		return binary.AppendUvarint(b, uint64(file.size))
	}
	b = append(b, 0)
	return append(b, m.Body...)
}

func appendState(b []byte, s state) []byte {
	var flags byte
	if s.leased {
		flags |= 1
	}
	if s.receipt != 0 {
		flags |= 2
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(s.due))
	b = binary.AppendUvarint(b, uint64(s.first))
	b = binary.AppendUvarint(b, uint64(s.receives))
	b = binary.AppendUvarint(b, uint64(s.attempts))
	b = binary.AppendUvarint(b, uint64(s.throttles))
	if s.receipt != 0 {
		b = binary.BigEndian.AppendUint64(b, s.receipt)
	}
	return b
}

// appendRecord appends one record, whose payload is the parts joined.
func appendRecord(b []byte, kind byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// A reader takes values off the front of rest; bad is set, for good, when
// there is none of the kind.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// upTo returns a number that is bad when above limit.
func (r *reader) upTo(limit uint64) uint64 {
	v := r.uvarint()
	if v > limit {
		r.bad, r.rest = true, nil
		return 0
	}
	return v
}

func (r *reader) take(n uint64) []byte {
	if uint64(len(r.rest)) < n {
		r.bad, r.rest = true, nil
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func (r *reader) byte() byte {
	if v := r.take(1); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (r *reader) state() state {
	flags := r.byte()
	s := state{
		due:       int64(r.upTo(math.MaxInt64)),
		first:     int64(r.upTo(math.MaxInt64)),
		receives:  uint32(r.upTo(math.MaxUint32)),
		attempts:  uint16(r.upTo(math.MaxUint16)),
		throttles: uint16(r.upTo(math.MaxUint16)),
		leased:    flags&1 != 0,
	}
	if flags&2 != 0 {
		if v := r.take(8); v != nil {
			s.receipt = binary.BigEndian.Uint64(v)
		}
	}
	if flags > 3 {
		r.bad, r.rest = true, nil
	}
	return s
}

// decodePut decodes the payload of a put record. The slices alias b.
func decodePut(b []byte) (putRecord, error) {
	r := reader{rest: b}
	p := putRecord{num: r.uvarint(), state: r.state()}
	p.fixed = r.rest
	p.key, p.id, p.group, p.dedup = r.bytes(), r.bytes(), r.bytes(), r.bytes()
	if len(p.dedup) > 0 {
		p.until = int64(r.upTo(math.MaxInt64))
	}
	p.from = r.bytes()
	p.sent, p.expires = int64(r.upTo(math.MaxInt64)), int64(r.upTo(math.MaxInt64))
	p.attrs = r.bytes()
	switch r.byte() {
	case 0:
		p.body = r.rest
	case 1:
		copy(p.file.id[:], r.take(16))
		p.file.size = int64(r.upTo(MaxBody))
		if len(r.rest) > 0 || p.file.size == 0 {
			r.bad = true
		}
	default:
		r.bad = true
	}
	if r.bad || p.num == 0 {
		return putRecord{}, fmt.Errorf("put record: %w", errDamaged)
	}
	return p, nil
}

// size is what the message counts against the bounds on bytes.
func (p *putRecord) size() int64 { return int64(len(p.attrs)+len(p.body)) + p.file.size }

// readPack calls f with each record of a pack and the offset of its payload,
// until one fails. A pack of a newer format is refused.
func readPack(b []byte, f func(kind byte, off int, payload []byte) error) (packHeader, error) {
	r := reader{rest: b}
	if v := r.byte(); v > packFormat {
		return packHeader{}, fmt.Errorf("pack of format %d, written by a newer millicent; this one knows formats up to %d", v, packFormat)
	} else if v == 0 {
		return packHeader{}, errDamaged
	}
	h := packHeader{floor: r.uvarint(), next: r.uvarint()}
	for len(r.rest) > 0 {
		kind := r.byte()
		n := r.uvarint()
		off := len(b) - len(r.rest)
		payload := r.take(n)
		if r.bad || kind < recordPut || kind > recordDedup {
			return h, errDamaged
		}
		if err := f(kind, off, payload); err != nil {
			return h, err
		}
	}
	if r.bad {
		return h, errDamaged
	}
	return h, nil
}
