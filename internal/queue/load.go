package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/millicent-run/millicent/internal/packs"
)

// errGone is the error of a message that was settled or purged since.
var errGone = errors.New("the message is gone")

// load reads a leased message from the log.
func (q *Queues) load(ctx context.Context, t taken) (Delivery, error) {
	for {
		d, err := q.loadFrom(ctx, t)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, packs.ErrNoPack) && !errors.Is(err, fs.ErrNotExist) {
			return Delivery{}, err
		}
		// It is gone, or was written again elsewhere.
		q.mu.Lock()
		e := q.ix.entries[t.num]
		moved := e != nil && e.pack != t.pack
		if moved {
			t.pack, t.off, t.length = e.pack, e.off, e.length
		}
		q.mu.Unlock()
		switch {
		case e == nil:
			return Delivery{}, errGone
		case !moved:
			return Delivery{}, fmt.Errorf("message %d: %w", t.num, err)
		}
	}
}

func (q *Queues) loadFrom(ctx context.Context, t taken) (Delivery, error) {
	pack, err := q.cache.get(ctx, t.pack)
	if err != nil {
		return Delivery{}, err
	}
	if uint64(len(pack)) < uint64(t.off)+uint64(t.length) {
		return Delivery{}, fmt.Errorf("message %d: %w", t.num, errDamaged)
	}
	p, err := decodePut(pack[t.off : t.off+t.length])
	if err != nil || p.num != t.num {
		return Delivery{}, fmt.Errorf("message %d: %w", t.num, errors.Join(err, errDamaged))
	}
	m, err := p.message()
	if err != nil {
		return Delivery{}, fmt.Errorf("message %d: %w", t.num, err)
	}
	if p.file.size > 0 {
		if m.Body, err = q.bodies.read(p.file); err != nil {
			return Delivery{}, err
		}
	}
	m.Progress = Progress{Attempts: int(t.state.attempts), Throttles: int(t.state.throttles)}
	return Delivery{
		Message: m, Handle: makeHandle(t.num, t.state.receipt), Sequence: t.num,
		Receives: int(t.state.receives), FirstReceived: timeOf(t.state.first),
	}, nil
}

// message returns the message of a record, without what changes and without a
// body that is in a file. It shares nothing with the record.
func (p *putRecord) message() (Message, error) {
	name, err := parseName(p.key)
	if err != nil {
		return Message{}, err
	}
	m := Message{
		Queue: name, ID: string(p.id), Group: string(p.group), Dedup: string(p.dedup),
		Sent: timeOf(p.sent), Expires: timeOf(p.expires),
		Attributes: bytes.Clone(p.attrs), Body: bytes.Clone(p.body),
	}
	if len(p.from) > 0 {
		m.From, err = parseName(p.from)
	}
	return m, err
}
