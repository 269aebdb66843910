package server

import (
	"context"
	"path/filepath"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/eventsource"
	"github.com/millicent-run/millicent/internal/queue"
	"github.com/millicent-run/millicent/internal/sqs"
	"github.com/millicent-run/millicent/internal/store"
)

// newMappings begins to run the event source mappings.
func (s *server) newMappings(ctx context.Context) error {
	definitions, err := store.OpenCatalog[millicent.Mapping](ctx, s.js, "mappings", s.log)
	if err != nil {
		return err
	}
	s.built.push("mapping definitions", func(context.Context) error { return definitions.Close() })
	s.mappings = eventsource.New(eventsource.Config{
		Region: s.cfg.Region, Catalog: definitions, Queues: s.sqs, Store: s.store, Invoker: s.invoker, Events: s.events,
		Conn: s.conn, Dial: s.dialFor, Log: s.log,
	})
	s.built.push("event source mappings", s.mappings.Close)
	s.mappings.Start()
	return nil
}

// openQueues opens the messages and the queues' definitions.
func (s *server) openQueues(ctx context.Context) (err error) {
	s.queues, err = queue.Open(ctx, s.js, queue.Config{Dir: filepath.Join(s.cfg.Data, "messages"), Log: s.log})
	if err != nil {
		return err
	}
	s.built.push("queues", func(context.Context) error { return s.queues.Close() })
	definitions, err := store.OpenCatalog[millicent.Queue](ctx, s.js, "queues", s.log)
	if err != nil {
		return err
	}
	s.built.push("queue definitions", func(context.Context) error { return definitions.Close() })
	s.sqs = sqs.New(sqs.Config{Region: s.cfg.Region, Catalog: definitions, Messages: s.queues})
	return nil
}
