package eventsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

const (
	answerTimeout = 5 * time.Second // of the NATS server
	ackMargin     = 5 * time.Second // beyond the window, that a batch is gathered in
)

// consumerName is the name of a mapping's consumer.
func consumerName(m *millicent.Mapping) string { return nameOfClient + "-" + m.ID }

func (r *streamRun) ackWait() time.Duration { return r.mapping.Window + ackMargin }

// open connects, makes the consumer if need be, and notes what it is owed.
func (r *streamRun) open() (err error) {
	if r.conn, err = r.connect(r.source.Server); err != nil {
		return err
	}
	js, err := jetstream.New(r.conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, answerTimeout)
	defer cancel()
	m := r.mapping
	config := jetstream.ConsumerConfig{
		Durable: consumerName(m), Description: "event source mapping of the function " + m.Function,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.ackWait(), MaxDeliver: -1,
		MaxAckPending: m.BatchSize * r.settings.Parallel, FilterSubject: r.source.Subject,
	}
	switch r.settings.Position {
	case millicent.PositionOldest:
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	case millicent.PositionLatest:
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &m.Created
	case millicent.PositionTime:
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.settings.From
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, r.source.Name, config)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("stream not found: %s", m.Source)
	case err != nil:
		return err
	}
	r.consumer = consumer
	r.owed, r.patience = consumer.CachedInfo().NumAckPending, time.Now().Add(r.ackWait()+ackMargin)
	return nil
}

// forget removes the place in a stream of a mapping that was deleted, as far as
// the NATS server can be reached.
func (s *Service) forget(m *millicent.Mapping, previous *run) {
	r := newRun(s, m)
	defer r.stop()
	if r.source.Kind != millicent.FromStream {
		return
	}
	if previous != nil {
		<-previous.ended
	}
	conn, err := r.connect(r.source.Server)
	if err == nil {
		defer hangUp(conn)
		err = deleteConsumer(r.ctx, conn, r.source.Name, consumerName(m))
	}
	if err != nil {
		s.cfg.Log.Warn("the consumer of a deleted event source mapping stays with its NATS server",
			"consumer", consumerName(m), "source", m.Source, "error", err)
	}
}

func deleteConsumer(ctx context.Context, conn *nats.Conn, stream, name string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	if err := js.DeleteConsumer(ctx, stream, name); !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	return nil
}
