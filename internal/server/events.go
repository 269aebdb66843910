package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/async"
	"github.com/millicent-run/millicent/internal/egress"
	"github.com/millicent-run/millicent/internal/eventsource"
	"github.com/millicent-run/millicent/internal/invoke"
)

// invokers are the ways to invoke, as the Lambda API has them.
type invokers struct {
	*invoke.Invoker
	*async.Events
}

// startEvents has accepted events run from now on.
func (s *server) startEvents(context.Context) error {
	s.events = async.New(async.Config{
		Region: s.cfg.Region, Store: s.store, Invoker: s.invoker, Queues: s.queues, SQS: s.sqs,
		Dial: s.dialFor, Publish: s.publish, Observer: s.metrics.Events(), Log: s.log,
	})
	s.built.push("events", s.events.Close)
	return nil
}

// endEvents returns when no event runs any more; the invoker is closed by then.
func (s *server) endEvents(context.Context) error {
	if s.events != nil {
		s.events.Wait()
	}
	return nil
}

// dialFor connects to where a function may connect to, or where the operator
// lets events come from and go to.
func (s *server) dialFor(ctx context.Context, allow []string, address string) (net.Conn, error) {
	if slices.Contains(s.cfg.Reach, address) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	c, err := s.egress.Dial(ctx, allow, address)
	if errors.Is(err, egress.ErrRefused) {
		return nil, fmt.Errorf("%w: %w", async.ErrRejected, err)
	}
	return c, err
}

// publish publishes to a subject.
func (s *server) publish(ctx context.Context, subject, id string, l millicent.Lineage, data []byte) error {
	header, err := eventsource.LineageHeader(l)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: subject, Header: header, Data: data}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if err := s.conn.PublishMsg(m); err != nil {
		return err
	}
	return s.conn.FlushWithContext(ctx)
}
