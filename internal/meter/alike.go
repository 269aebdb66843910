package meter

import (
	"bytes"
	"encoding/binary"
	"reflect"

	"github.com/google/uuid"

	"github.com/millicent-run/millicent"
)

// Records that follow one another are mostly of the same function: their texts
// are written as they were for the record before.

// latestNames are those of the record before, in the single form. The zero value
// knows none.
type latestNames struct {
	tenant, function, version, alias, key string
	tags                                  map[string]string
	form                                  []byte
}

// of returns the texts from the tenant to the tags as a record has them in its
// single form; they hold until the next call. Tags are shared and never modified,
// so one map is one text.
func (l *latestNames) of(r *millicent.UsageRecord) []byte {
	if r.Function == l.function && r.Tenant == l.tenant && r.Version == l.version && r.Alias == l.alias && r.Key == l.key &&
		reflect.ValueOf(r.Tags).Pointer() == reflect.ValueOf(l.tags).Pointer() && l.form != nil {
		return l.form
	}
	l.tenant, l.function, l.version, l.alias, l.key, l.tags = r.Tenant, r.Function, r.Version, r.Alias, r.Key, r.Tags
	l.form = l.form[:0]
	for _, s := range [...]string{r.Tenant, r.Function, r.Version, r.Alias, r.Key, tagText(r.Tags)} {
		l.form = appendText(l.form, s)
	}
	return l.form
}

// texts are those of a group, each once. The first is the empty one.
type texts struct {
	list   []string
	number map[string]uint64
	latest [4]section
}

// A section is texts that follow one another in records, as the latest record has
// them in both of its forms.
type section struct{ alone, row []byte }

func newTexts() *texts {
	return &texts{list: []string{""}, number: map[string]uint64{"": 0}}
}

// of returns the number of a text.
func (t *texts) of(s []byte) uint64 {
	n, ok := t.number[string(s)]
	if !ok {
		n = uint64(len(t.list))
		t.list = append(t.list, string(s))
		t.number[t.list[n]] = n
	}
	return n
}

// appendSection appends the numbers of the next texts of a record, which are the
// i-th section of it and n.
func (t *texts) appendSection(b []byte, r *reader, i, n int) []byte {
	latest := &t.latest[i]
	if len(latest.alone) > 0 && bytes.HasPrefix(r.b, latest.alone) {
		r.b = r.b[len(latest.alone):]
		return append(b, latest.row...)
	}
	from, begin := r.b, len(b)
	for range n {
		b = binary.AppendUvarint(b, t.of(r.take(r.number())))
	}
	*latest = section{from[:len(from)-len(r.b)], b[begin:]}
	return b
}

// appendRow appends the form that a record has in a group, made of its single
// form as appendRecord wrote it: numbers in place of the texts, all else byte for
// byte. Both b and alone stay as they are until the group is made.
func appendRow(b, alone []byte, t *texts) []byte {
	r := reader{b: alone}
	same := func(ids, numbers int) {
		from := r.b
		for range ids {
			r.skipID()
		}
		r.skipNumbers(numbers)
		b = append(b, from[:len(from)-len(r.b)]...)
	}
	b = t.appendSection(b, &r, 0, 1) // kind
	same(1, 1)                       // id, attempt
	b = t.appendSection(b, &r, 1, 6) // tenant, function, version, alias, key, tags
	same(2, 11)                      // root, parent; start to egress, flags
	b = t.appendSection(b, &r, 2, 1) // outcome
	same(0, 1)                       // quantity
	b = t.appendSection(b, &r, 3, 1) // price book
	return append(b, r.b...)
}

// skipID passes an id.
func (r *reader) skipID() {
	switch r.byte() {
	case idUUID:
		r.take(uint64(len(uuid.UUID{})))
	case idText:
		r.take(r.number())
	}
}

// skipNumbers passes n numbers.
func (r *reader) skipNumbers(n int) {
	for i, c := range r.b {
		if c >= 0x80 {
			continue // more of it follows
		}
		if n--; n == 0 {
			r.b = r.b[i+1:]
			return
		}
	}
	r.fail()
}

// plainUUID returns the UUID that an id is; false unless it is written as
// UUIDs are printed.
func plainUUID(id string) (u uuid.UUID, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return u, false
	}
	a, wrongA := fourBytes(id[0:4], id[4:8])
	b, wrongB := fourBytes(id[9:13], id[14:18])
	c, wrongC := fourBytes(id[19:23], id[24:28])
	d, wrongD := fourBytes(id[28:32], id[32:36])
	for i, four := range [...]uint32{a, b, c, d} {
		binary.LittleEndian.PutUint32(u[4*i:], four)
	}
	return u, wrongA|wrongB|wrongC|wrongD == 0
}

// fourBytes returns the bytes that twice four hexadecimal digits stand for, the
// first one lowest; wrong is zero only if all of them are digits, and none is a
// capital letter. All eight are looked at in one go, each in its byte of a word.
func fourBytes(first, second string) (four uint32, wrong uint64) {
	const each = 0x01_01_01_01_01_01_01_01
	digits := uint64(first[0]) | uint64(first[1])<<8 | uint64(first[2])<<16 | uint64(first[3])<<24 |
		uint64(second[0])<<32 | uint64(second[1])<<40 | uint64(second[2])<<48 | uint64(second[3])<<56
	letters := digits >> 6 & each           // 1 where it is a letter, if it is a digit at all
	values := digits&(0xf*each) + 9*letters // 24 at most
	wrong = digits ^ (values + '0'*each + ('a'-10-'0')*letters)
	wrong |= (values+6*each)>>4&each ^ letters // from 10 on letters, and no others
	wrong |= values & (0x10 * each)            // nor beyond 15
	pairs := values<<4 | values>>8             // in every other byte
	return uint32(pairs&0xff | pairs>>8&0xff00 | pairs>>16&0xff0000 | pairs>>24&0xff000000), wrong
}
