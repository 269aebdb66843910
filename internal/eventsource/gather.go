package eventsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const fetchBytes = 32 << 20 // of the messages of one fetch, at most

// gather takes up to what may be processed at a time: what is owed first; else
// what there is when the first record has come, or what comes within the
// window.
func (r *streamRun) gather() (all []natsRecord, err error) {
	most, bytes := r.mapping.BatchSize*r.settings.Parallel, maxPayload*r.settings.Parallel
	atOnce := int(max(1, fetchBytes/max(1, r.conn.MaxPayload()))) // messages that surely are within fetchBytes
	wait := pollWait
	var until time.Time
	for {
		if r.owed > 0 {
			wait = time.Until(r.patience)
		}
		got, err := r.fetch(min(most-len(all), atOnce), wait)
		if err != nil {
			return nil, err
		}
		for _, m := range got {
			rec, ok, err := r.take(m)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, rec)
				bytes -= len(rec.encoded)
			}
		}
		if r.owed > 0 && len(got) > 0 && len(all) < most && r.ctx.Err() == nil {
			continue
		}
		r.owed = 0 // the others are gone from the stream
		switch {
		case len(all) >= most, bytes <= 0, len(all) == 0 && len(got) == 0, r.ctx.Err() != nil:
			return inOrder(all), nil
		case len(all) > 0 && until.IsZero():
			until = time.Now().Add(r.mapping.Window)
		}
		if wait = 0; len(got) == 0 {
			if wait = time.Until(until); wait <= 0 {
				return inOrder(all), nil
			}
		}
	}
}

// inOrder sorts records as they are in the stream: those that were owed may
// have come after others.
func inOrder(records []natsRecord) []natsRecord {
	slices.SortStableFunc(records, func(a, b natsRecord) int { return cmp.Compare(a.sequence, b.sequence) })
	return records
}

// fetch takes up to n messages: what there is, or within wait the next one.
func (r *streamRun) fetch(n int, wait time.Duration) (got []jetstream.Msg, err error) {
	var b jetstream.MessageBatch
	if wait > time.Millisecond {
		ctx, cancel := context.WithTimeout(r.ctx, wait)
		defer cancel()
		b, err = r.consumer.Fetch(1, jetstream.FetchContext(ctx))
	} else {
		b, err = r.consumer.FetchNoWait(n)
	}
	if err != nil {
		return nil, err
	}
	for m := range b.Messages() {
		got = append(got, m)
	}
	if err := b.Error(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return got, nil
}

// take returns a message as a record; ok is false, and the message is done
// with, when no filter wants it.
func (r *streamRun) take(m jetstream.Msg) (rec natsRecord, ok bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return rec, false, err
	}
	if delivery := meta.Sequence.Consumer; r.next != 0 && delivery != r.next {
		return rec, false, fmt.Errorf("the delivery %d of the stream %s was lost, %d came", r.next, meta.Stream, delivery)
	}
	r.next = meta.Sequence.Consumer + 1
	if meta.NumDelivered > 1 && r.owed > 0 {
		r.owed--
	}
	rec, ok, err = r.record(natsContent{
		Subject: m.Subject(), Stream: meta.Stream, Sequence: fmt.Sprint(meta.Sequence.Stream),
		Timestamp: meta.Timestamp.UnixMilli(), Headers: m.Headers(), Data: m.Data(),
	})
	if err == nil && !ok {
		err = m.Ack()
	}
	rec.sequence, rec.msg = meta.Sequence.Stream, m
	return rec, ok, err
}
