package meter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/packs"
)

// Open opens the ledger, and brings records into it that a process left in the
// journal. ctx bounds the opening alone.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Meter, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Keep == 0 {
		cfg.Keep = DefaultKeep
	}
	if cfg.maxBytes == 0 {
		cfg.maxBytes = maxStream
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Meter{
		cfg: cfg, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		turn: make(chan struct{}), done: make(chan struct{}),
	}
	m.life, m.end = context.WithCancel(context.Background())
	if err := m.recover(ctx, js); err != nil {
		m.end()
		return nil, fmt.Errorf("open the ledger: %w", errors.Join(err, m.closeFiles()))
	}
	go m.write()
	return m, nil
}

// Stream is the name of the log of groups.
const Stream = "usage"

// openStream opens the log of groups.
func openStream(ctx context.Context, js jetstream.JetStream) (*packs.Log, error) {
	return packs.Open(ctx, js, packs.Config{
		Name: Stream, Subject: "millicent.usage", Description: "millicent: the ledger of usage, in groups", MaxBytes: maxStream,
	})
}

// recover finds the end of the chain and appends what the journal has beyond
// it.
func (m *Meter) recover(ctx context.Context, js jetstream.JetStream) (err error) {
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return err
	}
	if m.log, err = openStream(ctx, js); err != nil {
		return err
	}
	noted := filepath.Join(m.cfg.Dir, "head")
	if m.head, err = m.findHead(ctx, noted); err != nil {
		return err
	}
	if err := m.readSkipped(); err != nil {
		return err
	}
	if m.noted, err = os.OpenFile(noted, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := m.recoverJournal(ctx); err != nil {
		return err
	}
	if err := m.remember(ctx); err != nil {
		return err
	}
	m.next, m.backlog = m.head.Records+1, 0
	return nil
}

// findHead returns the end of the chain. Where the ledger has lost groups that
// were there, the next one names the last of them as the one before it: the
// chain tells of the loss ever after.
func (m *Meter) findHead(ctx context.Context, path string) (Head, error) {
	noted, err := readHead(path)
	if err != nil {
		return Head{}, err
	}
	message, err := m.log.Last(ctx)
	if err != nil {
		return Head{}, err
	}
	head := Head{Seq: m.log.Seq(), Records: noted.Records, Hash: noted.Hash}
	if message != nil {
		g, err := decodeGroup(message)
		if err != nil && noted.Seq == head.Seq {
			m.cfg.Log.Error("the last group of the ledger is damaged: `millicent ledger verify` says more", "group", head.Seq, "error", err)
			return noted, nil
		}
		if err != nil {
			return Head{}, fmt.Errorf("the last group, %d: %w", head.Seq, err)
		}
		head.Records, head.Hash = g.next()-1, g.hash()
	}
	if noted.Seq > head.Seq || noted.Seq == head.Seq && noted.Hash != head.Hash {
		m.cfg.Log.Error("the ledger has lost its end: its last group is not the one that it had",
			"group", head.Seq, "had", noted.Seq, "hash", fmt.Sprintf("%x", noted.Hash))
		head.Records, head.Hash = max(noted.Records, head.Records), noted.Hash
	}
	return head, nil
}

// Close writes what is there and returns when it is durable. It waits until
// ctx ends; what was not written then is in the journal. Nothing may be recorded
// any more.
func (m *Meter) Close(ctx context.Context) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.mu.Unlock()
	signal(m.hurry)
	signal(m.wake)
	var err error
	select {
	case <-m.done:
	case <-ctx.Done():
		err = fmt.Errorf("close the ledger: %w", ctx.Err())
	}
	m.end()
	<-m.done
	return errors.Join(err, m.closeFiles())
}

func (m *Meter) closeFiles() error {
	var errs []error
	if m.journal != nil {
		errs = append(errs, m.journal.close())
	}
	if m.noted != nil {
		errs = append(errs, m.noted.Close())
	}
	return errors.Join(errs...)
}
