package queue

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/packs"
)

// A journal is the log of packs; *packs.Log is one. Only one goroutine appends.
type journal interface {
	Append(ctx context.Context, pack []byte) (uint64, error)
	Read(ctx context.Context, seq uint64) ([]byte, error)
	Last(ctx context.Context) ([]byte, error)
	Replay(ctx context.Context, after uint64, f func(seq uint64, pack []byte) error) error
	Cut(ctx context.Context, below uint64) error
}

// streamOverhead is what the stream may hold for each byte that messages may:
// compaction starts at twice the useful bytes.
const streamOverhead = 3

// openLog opens the log of all queues.
func openLog(ctx context.Context, js jetstream.JetStream, maxBytes int64) (*packs.Log, error) {
	return packs.Open(ctx, js, packs.Config{
		Name:        "queues",
		Subject:     "millicent.queues",
		Description: "millicent: messages of queues, in packs",
		MaxBytes:    streamOverhead*maxBytes + 8*slackBytes,
	})
}
