package meter

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
)

// groupFormat is the version of the format of groups.
const groupFormat = 1

// A Group is some records that became durable together: one link of the chain.
type Group struct {
	Seq     uint64 // from 1, without gaps
	First   uint64 // number of the first record, from 1 over all groups
	Hash    Hash   // of the header, which has the hash of the group before and binds the records
	Records []millicent.UsageRecord
}

// A header says what a group holds, and binds it to the groups before. Its
// SHA-256 is the group's hash.
type header struct {
	seq      uint64
	first    uint64    // number of the first record, from 1 over all groups
	count    uint64    // records
	time     time.Time // when it was made, exact to the millisecond
	previous Hash      // of group seq-1; zeros for the first
	skip     Hash      // of group skipTo(seq); zeros where there is none or it was not at hand
	root     Hash      // of the tree over the records
	body     Hash      // SHA-256 of what follows the header
}

// next returns the number of the first record of the next group.
func (h *header) next() uint64 { return h.first + h.count }

func (h *header) append(b []byte) []byte {
	b = append(b, groupFormat)
	for _, n := range [...]uint64{h.seq, h.first, h.count, uint64(h.time.UnixMilli())} {
		b = binary.AppendUvarint(b, n)
	}
	for _, hash := range [...]*Hash{&h.previous, &h.skip, &h.root, &h.body} {
		b = append(b, hash[:]...)
	}
	return b
}

// maxHeader is the most bytes that a header has.
const maxHeader = 1 + 4*binary.MaxVarintLen64 + 4*sha256.Size

func (h *header) hash() Hash { return sha256.Sum256(h.append(nil)) }

// header decodes a header. It has one form only.
func (r *reader) header() (h header) {
	begin := r.b
	if f := r.byte(); r.err == nil && f != groupFormat {
		r.err = fmt.Errorf("format %d, which this millicent does not know", f)
	}
	h.seq, h.first, h.count = r.number(), r.number(), r.number()
	h.time = time.UnixMilli(int64(r.number())).UTC()
	for _, hash := range [...]*Hash{&h.previous, &h.skip, &h.root, &h.body} {
		copy(hash[:], r.take(sha256.Size))
	}
	if r.err == nil && (h.seq == 0 || h.first == 0 || h.first+h.count < h.first ||
		string(h.append(nil)) != string(begin[:len(begin)-len(r.b)])) {
		r.fail()
	}
	return h
}

// decodeHeader decodes a header that stands alone.
func decodeHeader(b []byte) (header, error) {
	r := reader{b: b}
	h := r.header()
	if len(r.b) > 0 {
		r.fail()
	}
	if r.err != nil {
		return header{}, fmt.Errorf("header: %w", r.err)
	}
	return h, nil
}

// checkBytes of a record's leaf hash follow it, so that the record is known that
// was tampered with, and not its group alone.
const checkBytes = 4

// A press makes groups. It keeps the memory of one for the next.
type press struct {
	leaves        []Hash
	rows, message []byte
}

// group completes the header of a group of the records that are in their single
// forms in a batch, from one index to before another, and returns it and the
// group's message, which holds until the next call.
func (p *press) group(h header, of *batch, from, to int) (header, []byte) {
	p.leaves, p.rows = p.leaves[:0], p.rows[:0]
	t := newTexts()
	for i := from; i < to; i++ {
		alone := of.alone(i)
		leaf := leafHash(alone)
		p.leaves = append(p.leaves, leaf)
		p.rows = append(appendRow(p.rows, alone, t), leaf[:checkBytes]...)
	}
	body := binary.AppendUvarint(append(p.message[:0], make([]byte, maxHeader)...), uint64(len(t.list)-1))
	for _, s := range t.list[1:] {
		body = appendText(body, s)
	}
	p.message = append(body, p.rows...)
	body = p.message[maxHeader:]
	h.count, h.root, h.body = uint64(to-from), merkleRoot(p.leaves), sha256.Sum256(body)
	var room [maxHeader]byte
	head := h.append(room[:0])
	begin := maxHeader - len(head)
	copy(p.message[begin:], head)
	return h, p.message[begin:]
}

// A group as decoded.
type group struct {
	header
	records []millicent.UsageRecord
	leaves  []Hash // of the records
}

// A damage says what of a group is not as it was written.
type damage struct {
	group  uint64 // zero where the header cannot be read
	record uint64 // number of the first bad record; zero where it cannot be told
	err    error
}

func (d *damage) Error() string {
	if d.record > 0 {
		return fmt.Sprintf("group %d, record %d: %v", d.group, d.record, d.err)
	}
	return fmt.Sprintf("group %d: %v", d.group, d.err)
}

func (d *damage) Unwrap() error { return d.err }

var (
	errRecord = errors.New("this is not the record that was written")
	errPlace  = errors.New("it is not where it was written")
	errBody   = errors.New("its records are not those of its hash")
)

// decodeGroup decodes a group's message, and checks that its parts fit
// together: the records that it returns are those that the group's hash binds.
// The error is a *damage; the header is there also when only what follows it is
// damaged.
func decodeGroup(message []byte) (g group, err error) {
	r := reader{b: message}
	if g.header = r.header(); r.err != nil {
		return g, &damage{err: fmt.Errorf("header: %w", r.err)}
	}
	sum := sha256.Sum256(r.b)
	if err := g.decodeBody(&r, true); err != nil {
		return g, err
	}
	if sum != g.body || merkleRoot(g.leaves) != g.root {
		return g, &damage{group: g.seq, err: errBody}
	}
	return g, nil
}

// decodeOwn is decodeGroup of what this process has made, in place of what g was.
func (g *group) decodeOwn(message []byte) error {
	r := reader{b: message}
	if g.header = r.header(); r.err != nil {
		return r.err
	}
	return g.decodeBody(&r, false)
}

// decodeBody decodes the texts and records of a group, and checks them if wanted.
func (g *group) decodeBody(r *reader, check bool) error {
	n := r.number()
	if n > uint64(len(r.b)) || g.count > uint64(len(r.b)) || g.count == 0 { // each takes a byte at least
		return &damage{group: g.seq, err: errDamaged}
	}
	list := make([]string, 1, n+1)
	for range n {
		list = append(list, r.inline())
	}
	if r.err != nil {
		return &damage{group: g.seq, err: r.err}
	}
	r.texts = list
	if g.count <= uint64(cap(g.records)) {
		g.records = g.records[:g.count]
		clear(g.records)
	} else {
		g.records = make([]millicent.UsageRecord, g.count)
	}
	var alone []byte
	var latest latestNames
	for i := range g.count {
		rec := &g.records[i]
		r.record(rec)
		sum := r.take(checkBytes)
		if r.err != nil {
			return &damage{g.seq, g.first + i, r.err}
		}
		if !check {
			continue
		}
		alone = appendAlike(alone[:0], rec, &latest)
		leaf := leafHash(alone)
		if string(leaf[:checkBytes]) != string(sum) {
			return &damage{g.seq, g.first + i, errRecord}
		}
		g.leaves = append(g.leaves, leaf)
	}
	if len(r.b) > 0 {
		return &damage{group: g.seq, err: errDamaged}
	}
	return nil
}
