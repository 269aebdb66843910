// Package packs keeps a log in one stream of JetStream: packs of records, which
// one process appends, one pack after another, each of them on disk when it is
// acknowledged. The log is only ever cut at its front.
//
// JetStream syncs each message that it stores, whoever sends it: many records
// in one message cost as much as one.
package packs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of a Log.
var (
	ErrRefused = errors.New("the log took no more")
	ErrNoPack  = errors.New("no such pack")
)

const (
	formatKey = "millicent-format"
	format    = "1"

	// retryWait is how long to wait before an append of unknown outcome is
	// looked into.
	retryWait = 100 * time.Millisecond

	// replayBytes is how much a replay has on its way at a time.
	replayBytes = 32 << 20
)

// Config names a log. All of it is required.
type Config struct {
	Name        string // of the stream
	Subject     string // of its messages
	Description string
	MaxBytes    int64 // of the stream; beyond it the log takes no more
}

// A Log is a log. One goroutine appends; the other methods are safe for
// concurrent use.
type Log struct {
	cfg    Config
	js     jetstream.JetStream
	stream jetstream.Stream
	last   atomic.Uint64 // sequence of the last pack
}

// Open opens a log, which is made if need be.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Log, error) {
	st, err := js.Stream(ctx, cfg.Name)
	if err == nil {
		if f := st.CachedInfo().Config.Metadata[formatKey]; f != format {
			return nil, fmt.Errorf("the stream %s has format %q, which this millicent does not know", cfg.Name, f)
		}
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("look for the stream %s: %w", cfg.Name, err)
	}
	st, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        cfg.Name,
		Description: cfg.Description,
		Subjects:    []string{cfg.Subject},
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    cfg.MaxBytes,
		AllowDirect: true,
		Metadata:    map[string]string{formatKey: format},
	})
	if err != nil {
		return nil, fmt.Errorf("open the stream %s: %w", cfg.Name, err)
	}
	l := &Log{cfg: cfg, js: js, stream: st}
	l.last.Store(st.CachedInfo().State.LastSeq)
	return l, nil
}

// Seq returns the sequence of the last pack that was appended, zero before the
// first.
func (l *Log) Seq() uint64 { return l.last.Load() }

// First returns the sequence of the first pack that is there, one above Seq
// when there is none.
func (l *Log) First(ctx context.Context) (uint64, error) {
	first, _, err := l.Extent(ctx)
	return first, err
}

// Extent returns First, and the bytes of all packs.
func (l *Log) Extent(ctx context.Context) (first uint64, bytes int64, err error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the stream %s: %w", l.cfg.Name, err)
	}
	return max(info.State.FirstSeq, 1), int64(info.State.Bytes), nil
}

// Append returns the sequence of the pack, one above the last, when it is
// durable. With ErrRefused nothing was written; with any other error the
// outcome is unknown, and nothing more can be appended.
func (l *Log) Append(ctx context.Context, pack []byte) (uint64, error) {
	for {
		ack, err := l.js.Publish(ctx, l.cfg.Subject, pack, jetstream.WithExpectLastSequence(l.last.Load()))
		if err == nil {
			l.last.Store(ack.Sequence)
			return ack.Sequence, nil
		}
		var api *jetstream.APIError
		if errors.As(err, &api) {
			return l.answered(ctx, pack, api)
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return 0, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		// Perhaps it is there, perhaps not: the next attempt tells.
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), err)
		case <-time.After(retryWait):
		}
	}
}

// answered deals with an append that the server did not take: an earlier
// attempt may have been taken, whose answer was lost.
func (l *Log) answered(ctx context.Context, pack []byte, api *jetstream.APIError) (uint64, error) {
	seq := l.last.Load() + 1
	there, err := l.Read(ctx, seq)
	if errors.Is(err, ErrNoPack) && api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		return 0, fmt.Errorf("%w: %w", ErrRefused, api)
	}
	if err != nil {
		return 0, fmt.Errorf("after %w: %w", api, err)
	}
	if !bytes.Equal(there, pack) {
		return 0, fmt.Errorf("another process writes to the stream %s: %w", l.cfg.Name, api)
	}
	l.last.Store(seq)
	return seq, nil
}

// Read returns a pack, or ErrNoPack when it was cut off.
func (l *Log) Read(ctx context.Context, seq uint64) ([]byte, error) {
	msg, err := l.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNoPack
	}
	if err != nil {
		return nil, fmt.Errorf("read pack %d: %w", seq, err)
	}
	return msg.Data, nil
}

// Last returns the last pack, nil when there is none.
func (l *Log) Last(ctx context.Context) ([]byte, error) {
	pack, err := l.Read(ctx, l.Seq())
	if l.Seq() == 0 || errors.Is(err, ErrNoPack) {
		return nil, nil
	}
	return pack, err
}

// Replay calls f with each pack after a sequence, in order, up to the one that
// is the last when the call begins.
func (l *Log) Replay(ctx context.Context, after uint64, f func(seq uint64, pack []byte) error) error {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at the stream %s: %w", l.cfg.Name, err)
	}
	end := info.State.LastSeq
	if info.State.Msgs == 0 || end <= after {
		return nil
	}
	consumer, err := l.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", l.cfg.Name, err)
	}
	packs, err := consumer.Messages(jetstream.PullMaxBytes(replayBytes))
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", l.cfg.Name, err)
	}
	defer packs.Stop()
	for {
		msg, err := packs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the stream %s: %w", l.cfg.Name, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read the stream %s: %w", l.cfg.Name, err)
		}
		if err := f(meta.Sequence.Stream, msg.Data()); err != nil {
			return fmt.Errorf("pack %d of the stream %s: %w", meta.Sequence.Stream, l.cfg.Name, err)
		}
		if meta.Sequence.Stream >= end {
			return nil
		}
	}
}

// Cut removes the packs below a sequence.
func (l *Log) Cut(ctx context.Context, below uint64) error {
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("cut the stream %s: %w", l.cfg.Name, err)
	}
	return nil
}
