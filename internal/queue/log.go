package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A journal is the log of packs. Only one goroutine appends.
type journal interface {
	// append returns the sequence of the pack, one above the last, when it is
	// durable. With errRefused nothing was written; with any other error the
	// outcome is unknown, and the journal can't be used any more.
	append(ctx context.Context, pack []byte) (uint64, error)
	// read returns a pack, or errNoPack when it was cut off.
	read(ctx context.Context, seq uint64) ([]byte, error)
	// last returns the last pack, nil when there is none.
	last(ctx context.Context) ([]byte, error)
	// replay calls f with each pack, in order.
	replay(ctx context.Context, f func(seq uint64, pack []byte) error) error
	// cut removes the packs below seq.
	cut(ctx context.Context, below uint64) error
}

var (
	errRefused = errors.New("the log took no more")
	errNoPack  = errors.New("no such pack")
)

const (
	streamName    = "queues"
	streamSubject = "millicent.queues"
	formatKey     = "millicent-format"

	// streamOverhead is what the stream may hold for each byte that messages
	// may: compaction starts at twice the useful bytes.
	streamOverhead = 3

	// retryWait is how long to wait before an append of unknown outcome is
	// looked into.
	retryWait = 100 * time.Millisecond
)

// stream is the journal in JetStream.
type stream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	seq    uint64 // of the last pack
}

// openStream opens the stream, which is made if need be.
func openStream(ctx context.Context, js jetstream.JetStream, maxBytes int64) (*stream, error) {
	st, err := js.Stream(ctx, streamName)
	if err == nil {
		if f := st.CachedInfo().Config.Metadata[formatKey]; f != "1" {
			return nil, fmt.Errorf("the stream %s has format %q, which this millicent does not know", streamName, f)
		}
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("look for the stream %s: %w", streamName, err)
	}
	st, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        streamName,
		Description: "millicent: messages of queues, in packs",
		Subjects:    []string{streamSubject},
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    streamOverhead*maxBytes + 8*slackBytes,
		AllowDirect: true,
		Metadata:    map[string]string{formatKey: "1"},
	})
	if err != nil {
		return nil, fmt.Errorf("open the stream %s: %w", streamName, err)
	}
	return &stream{js: js, stream: st, seq: st.CachedInfo().State.LastSeq}, nil
}

func (s *stream) append(ctx context.Context, pack []byte) (uint64, error) {
	for {
		ack, err := s.js.Publish(ctx, streamSubject, pack, jetstream.WithExpectLastSequence(s.seq))
		if err == nil {
			s.seq = ack.Sequence
			return s.seq, nil
		}
		var api *jetstream.APIError
		if errors.As(err, &api) {
			return s.answered(ctx, pack, api)
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return 0, fmt.Errorf("%w: %w", errRefused, err)
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
func (s *stream) answered(ctx context.Context, pack []byte, api *jetstream.APIError) (uint64, error) {
	there, err := s.read(ctx, s.seq+1)
	if errors.Is(err, errNoPack) && api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		return 0, fmt.Errorf("%w: %w", errRefused, api)
	}
	if err != nil {
		return 0, fmt.Errorf("after %w: %w", api, err)
	}
	if !bytes.Equal(there, pack) {
		return 0, fmt.Errorf("another process writes to the stream %s: %w", streamName, api)
	}
	s.seq++
	return s.seq, nil
}

func (s *stream) read(ctx context.Context, seq uint64) ([]byte, error) {
	msg, err := s.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, errNoPack
	}
	if err != nil {
		return nil, fmt.Errorf("read pack %d: %w", seq, err)
	}
	return msg.Data, nil
}

func (s *stream) last(ctx context.Context) ([]byte, error) {
	if s.stream.CachedInfo().State.Msgs == 0 {
		return nil, nil
	}
	return s.read(ctx, s.seq)
}

func (s *stream) replay(ctx context.Context, f func(seq uint64, pack []byte) error) error {
	if s.stream.CachedInfo().State.Msgs == 0 {
		return nil
	}
	consumer, err := s.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", streamName, err)
	}
	packs, err := consumer.Messages(jetstream.PullMaxBytes(32 << 20))
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", streamName, err)
	}
	defer packs.Stop()
	for {
		msg, err := packs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the stream %s: %w", streamName, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read the stream %s: %w", streamName, err)
		}
		if err := f(meta.Sequence.Stream, msg.Data()); err != nil {
			return fmt.Errorf("pack %d of the stream %s: %w", meta.Sequence.Stream, streamName, err)
		}
		if meta.Sequence.Stream >= s.seq {
			return nil
		}
	}
}

func (s *stream) cut(ctx context.Context, below uint64) error {
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSequence(below)); err != nil {
		return fmt.Errorf("cut the stream %s: %w", streamName, err)
	}
	return nil
}
