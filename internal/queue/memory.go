package queue

import (
	"context"
	"sync"

	"github.com/millicent-run/millicent/internal/packs"
)

// OpenMemory opens queues whose log is in memory, for the tests of those who
// use them: with fake time, and without a state engine.
func OpenMemory(ctx context.Context, cfg Config) (*Queues, error) { return open(ctx, &memory{}, cfg) }

// memory is a journal that ends with the process.
type memory struct {
	mu    sync.Mutex
	first uint64 // sequence of packs[0], less one
	packs [][]byte
}

func (l *memory) Append(_ context.Context, pack []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packs = append(l.packs, append([]byte(nil), pack...))
	return l.first + uint64(len(l.packs)), nil
}

func (l *memory) Read(_ context.Context, seq uint64) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq <= l.first || seq > l.first+uint64(len(l.packs)) {
		return nil, packs.ErrNoPack
	}
	return l.packs[seq-l.first-1], nil
}

func (l *memory) Last(context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.packs) == 0 {
		return nil, nil
	}
	return l.packs[len(l.packs)-1], nil
}

func (l *memory) Replay(context.Context, uint64, func(uint64, []byte) error) error { return nil }

func (l *memory) Cut(_ context.Context, below uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.packs) > 0 && l.first+1 < below {
		l.packs = l.packs[1:]
		l.first++
	}
	return nil
}
