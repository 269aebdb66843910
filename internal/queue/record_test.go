package queue

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// samplePack has one record of each kind.
func samplePack() []byte {
	q := newQueue(orders, string(orders.key()), &ledger{})
	m := Message{Queue: orders, ID: "id", Body: []byte("body"), Attributes: []byte("{}"), Group: "g", Dedup: "d",
		Sent: time.UnixMilli(1000), Expires: time.UnixMilli(5000), From: Name{"sqs", "t", "source"}}
	b := newBatch()
	e := &entry{num: 7, queue: q, receipt: 99, receives: 3, attempts: 1, throttles: 2, phase: phaseLeased, due: 2000, first: 1500}
	b.add(put{entry: e, queue: q}, appendFixed(nil, &m, 3000, bodyFile{}))
	b.add(put{entry: &entry{num: 8, queue: q}, queue: q}, appendFixed(nil, &m, 3000, bodyFile{id: [16]byte{1}, size: 1 << 20}))
	b.update(e)
	b.settle(e)
	b.purge(purge{queue: q, below: 5, forget: true})
	b.mark(q, &dedup{key: "d", id: "id", num: 7, until: 3000})
	pack, _ := b.pack(packHeader{floor: 3, next: 9})
	return pack
}

func TestPackRoundTrip(t *testing.T) {
	var kinds []byte
	h, err := readPack(samplePack(), func(kind byte, _ int, payload []byte) error {
		kinds = append(kinds, kind)
		if len(kinds) > 1 {
			return nil
		}
		p, err := decodePut(payload)
		if err != nil {
			return err
		}
		got, err := p.message()
		if err != nil {
			return err
		}
		want := Message{Queue: orders, ID: "id", Body: []byte("body"), Attributes: []byte("{}"), Group: "g", Dedup: "d",
			Sent: time.UnixMilli(1000), Expires: time.UnixMilli(5000), From: Name{"sqs", "t", "source"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		s := state{due: 2000, first: 1500, receipt: 99, receives: 3, attempts: 1, throttles: 2, leased: true}
		if p.num != 7 || p.state != s || p.until != 3000 {
			t.Errorf("got number %d, state %+v, until %d", p.num, p.state, p.until)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if h != (packHeader{floor: 3, next: 9}) {
		t.Errorf("header %+v", h)
	}
	if got, want := string(kinds), "\x01\x01\x03\x02\x04\x05"; got != want {
		t.Errorf("kinds %q, want %q", got, want)
	}
}

func TestNewerPackIsRefused(t *testing.T) {
	pack := samplePack()
	pack[0] = packFormat + 1
	_, err := readPack(pack, func(byte, int, []byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "newer millicent") {
		t.Errorf("got %v", err)
	}
	l := &memoryLog{first: 1, packs: [][]byte{pack}}
	if _, err := open(t.Context(), l, Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "newer millicent") {
		t.Errorf("open: %v", err)
	}
}

// FuzzReplay opens a log of one pack of arbitrary bytes: it is refused, or what
// it holds can be read and written again.
func FuzzReplay(f *testing.F) {
	f.Add(samplePack())
	f.Add([]byte{packFormat, 0, 1})
	f.Add([]byte{packFormat + 1})
	f.Add([]byte{})
	f.Add(binary.AppendUvarint([]byte{packFormat, 0, 1, recordPut}, 1<<63))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, pack []byte) {
		l := &memoryLog{first: 1, packs: [][]byte{pack}}
		q, err := open(t.Context(), l, Config{Dir: dir})
		if err != nil {
			if !errors.Is(err, errDamaged) && !strings.Contains(err.Error(), "newer") {
				t.Errorf("refused with %v", err)
			}
			return
		}
		q.mu.Lock()
		for _, e := range q.ix.entries {
			if !e.file {
				if _, err := q.loadFrom(t.Context(), e.taken()); err != nil {
					t.Errorf("message %d: %v", e.num, err)
				}
			}
			if e.num >= q.ix.next {
				t.Errorf("message %d, but the next is %d", e.num, q.ix.next)
			}
		}
		q.mu.Unlock()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzHandle(f *testing.F) {
	f.Add(string(makeHandle(1, 2)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if num, receipt, ok := Handle(s).parse(); ok && string(makeHandle(num, receipt)) != s {
			t.Errorf("%q is not the handle that it parses to", s)
		}
	})
}
