package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

// A record has two forms, with the same fields in the same order. Alone, in
// the journal and under a receipt, its texts are written out. In a group they
// are numbers of the group's texts. docs/formats/ledger.md describes both.

// Forms of an id.
const (
	idNone = iota
	idUUID // 16 bytes
	idText
	idSame // as the record's own
)

const (
	flagCold = 1
	flagFuel = 2 // the record ends with its fuel
)

// maxText bounds a text of a record, in bytes; longer ones are cut.
const maxText = 16 << 10

var errDamaged = errors.New("damaged")

// normal returns a record as it comes back from the ledger: times in their
// units, nothing negative, texts within their bounds.
func normal(r millicent.UsageRecord) millicent.UsageRecord {
	normalise(&r)
	return r
}

// normalise makes a record normal.
func normalise(r *millicent.UsageRecord) {
	r.Start = time.UnixMilli(max(0, r.Start.UnixMilli())).UTC()
	r.Duration = max(0, r.Duration.Truncate(time.Microsecond))
	r.Init = max(0, r.Init.Truncate(time.Microsecond))
	r.Billed = max(0, r.Billed.Truncate(time.Millisecond))
	r.CPU = max(0, r.CPU.Truncate(time.Microsecond))
	r.Attempt, r.MemoryMB, r.PeakMemoryMB = max(0, r.Attempt), max(0, r.MemoryMB), max(0, r.PeakMemoryMB)
	r.In, r.Out, r.Egress, r.Quantity = max(0, r.In), max(0, r.Out), max(0, r.Egress), max(0, r.Quantity)
	r.Fuel = min(r.Fuel, math.MaxInt64)
	for _, s := range [...]*string{
		(*string)(&r.Kind), &r.ID, &r.Tenant, &r.Function, &r.Version, &r.Alias, &r.Key,
		&r.Root, &r.Parent, (*string)(&r.Outcome), &r.PriceBook,
	} {
		if len(*s) > maxText {
			*s = (*s)[:maxText]
		}
	}
	if len(r.Tags) == 0 || tagBytes(r.Tags) > maxText {
		r.Tags = nil
	}
}

func tagBytes(tags map[string]string) (n int) {
	for k, v := range tags {
		n += len(k) + len(v) + 2*binary.MaxVarintLen32
	}
	return n
}

// appendRecord appends a normal record in its single form.
func appendRecord(b []byte, r *millicent.UsageRecord) []byte {
	return appendAlike(b, r, &latestNames{})
}

// appendAlike is appendRecord for one record after another.
func appendAlike(b []byte, r *millicent.UsageRecord, latest *latestNames) []byte {
	b = appendText(b, string(r.Kind))
	b = appendID(b, r.ID, "")
	b = binary.AppendUvarint(b, uint64(r.Attempt))
	b = append(b, latest.of(r)...)
	b = appendID(b, r.Root, r.ID)
	b = appendID(b, r.Parent, r.ID)
	for _, n := range [...]int64{
		r.Start.UnixMilli(), r.Duration.Microseconds(), r.Init.Microseconds(), r.Billed.Milliseconds(),
		int64(r.MemoryMB), int64(r.PeakMemoryMB), r.CPU.Microseconds(), r.In, r.Out, r.Egress,
	} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	flags := byte(0)
	if r.Cold {
		flags |= flagCold
	}
	if r.Fuel > 0 {
		flags |= flagFuel
	}
	b = append(b, flags)
	b = appendText(b, string(r.Outcome))
	b = binary.AppendUvarint(b, uint64(r.Quantity))
	b = appendText(b, r.PriceBook)
	if r.Fuel > 0 {
		b = binary.AppendUvarint(b, r.Fuel)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendID(b []byte, id, own string) []byte {
	switch id {
	case "":
		return append(b, idNone)
	case own:
		return append(b, idSame)
	}
	if u, ok := plainUUID(id); ok {
		return append(append(b, idUUID), u[:]...)
	}
	return appendText(append(b, idText), id)
}

// tagText returns tags as one text, the same for the same tags.
func tagText(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	var b []byte
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		b = appendText(appendText(b, k), tags[k])
	}
	return string(b)
}

// A reader decodes what appendRecord wrote. After an error it returns zero
// values; err says what was wrong.
type reader struct {
	b     []byte
	texts []string // of the group; nil for a record alone
	tags  map[string]map[string]string
	err   error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = errDamaged
	}
	r.b = nil
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) number() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most are small
		n := r.b[0]
		r.b = r.b[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > math.MaxInt64 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) text() string {
	if r.texts == nil {
		return r.inline()
	}
	n := r.number()
	if n >= uint64(len(r.texts)) {
		r.fail()
		return ""
	}
	return r.texts[n]
}

func (r *reader) inline() string {
	n := r.number()
	if n > maxText {
		r.fail()
		return ""
	}
	return string(r.take(n))
}

func (r *reader) id(own string) string {
	switch r.byte() {
	case idNone:
		return ""
	case idSame:
		return own
	case idUUID:
		var u uuid.UUID
		copy(u[:], r.take(uint64(len(u))))
		return u.String()
	case idText:
		return r.inline()
	}
	r.fail()
	return ""
}

// tagsOf is the inverse of tagText. Records with the same tags share them.
func (r *reader) tagsOf(text string) map[string]string {
	if text == "" {
		return nil
	}
	if tags, ok := r.tags[text]; ok {
		return tags
	}
	inner, tags := reader{b: []byte(text)}, map[string]string{}
	for len(inner.b) > 0 {
		k := inner.inline()
		tags[k] = inner.inline()
	}
	if inner.err != nil {
		r.fail()
		return nil
	}
	if r.tags == nil {
		r.tags = map[string]map[string]string{}
	}
	r.tags[text] = tags
	return tags
}

func (r *reader) micros() time.Duration { return r.duration(time.Microsecond) }

func (r *reader) duration(unit time.Duration) time.Duration {
	n := r.number()
	if n > uint64(math.MaxInt64/unit) {
		r.fail()
		return 0
	}
	return time.Duration(n) * unit
}

// record decodes one record into an empty one.
func (r *reader) record(rec *millicent.UsageRecord) {
	rec.Kind = millicent.UsageKind(r.text())
	rec.ID = r.id("")
	rec.Attempt = int(r.number())
	rec.Tenant, rec.Function, rec.Version, rec.Alias, rec.Key = r.text(), r.text(), r.text(), r.text(), r.text()
	rec.Tags = r.tagsOf(r.text())
	rec.Root = r.id(rec.ID)
	rec.Parent = r.id(rec.ID)
	rec.Start = time.UnixMilli(int64(r.number())).UTC()
	rec.Duration, rec.Init, rec.Billed = r.micros(), r.micros(), r.duration(time.Millisecond)
	rec.MemoryMB, rec.PeakMemoryMB = int(r.number()), int(r.number())
	rec.CPU = r.micros()
	rec.In, rec.Out, rec.Egress = int64(r.number()), int64(r.number()), int64(r.number())
	flags := r.byte()
	if flags&^(flagCold|flagFuel) != 0 {
		r.fail()
	}
	rec.Cold = flags&flagCold != 0
	rec.Outcome = millicent.Outcome(r.text())
	rec.Quantity = int64(r.number())
	rec.PriceBook = r.text()
	if flags&flagFuel != 0 {
		if rec.Fuel = r.number(); rec.Fuel == 0 {
			r.fail() // there is one way to write a record
		}
	}
}

// decodeRecord decodes a record that stands alone.
func decodeRecord(b []byte) (millicent.UsageRecord, error) {
	r := reader{b: b}
	var rec millicent.UsageRecord
	r.record(&rec)
	if len(r.b) > 0 {
		r.fail()
	}
	if r.err != nil {
		return millicent.UsageRecord{}, fmt.Errorf("usage record: %w", r.err)
	}
	return rec, nil
}
