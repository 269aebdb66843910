package queue

import (
	"container/list"
	"context"
	"sync"
)

// cacheBytes bounds the packs kept in memory.
const cacheBytes = 32 << 20

// A packCache keeps the packs that were written or read last. Receivers that
// want the same pack wait for one read.
type packCache struct {
	load func(ctx context.Context, seq uint64) ([]byte, error)

	mu      sync.Mutex
	packs   map[uint64]*list.Element // of *cachedPack
	recent  *list.List               // most recently used first
	bytes   int
	loading map[uint64]*loadingPack
}

type cachedPack struct {
	seq  uint64
	pack []byte
}

type loadingPack struct {
	done chan struct{}
	pack []byte
	err  error
}

func newPackCache(load func(context.Context, uint64) ([]byte, error)) *packCache {
	return &packCache{load: load, packs: make(map[uint64]*list.Element), recent: list.New(), loading: make(map[uint64]*loadingPack)}
}

// put adds a pack, which must not be changed any more.
func (c *packCache) put(seq uint64, pack []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(seq, pack)
}

func (c *packCache) add(seq uint64, pack []byte) {
	if c.packs[seq] != nil {
		return
	}
	c.packs[seq] = c.recent.PushFront(&cachedPack{seq, pack})
	c.bytes += cap(pack)
	for c.bytes > cacheBytes && c.recent.Len() > 1 {
		oldest := c.recent.Remove(c.recent.Back()).(*cachedPack)
		delete(c.packs, oldest.seq)
		c.bytes -= cap(oldest.pack)
	}
}

// get returns a pack, which must not be changed.
func (c *packCache) get(ctx context.Context, seq uint64) ([]byte, error) {
	c.mu.Lock()
	if at := c.packs[seq]; at != nil {
		c.recent.MoveToFront(at)
		c.mu.Unlock()
		return at.Value.(*cachedPack).pack, nil
	}
	l := c.loading[seq]
	if l == nil {
		l = &loadingPack{done: make(chan struct{})}
		c.loading[seq] = l
		c.mu.Unlock()
		c.fill(context.WithoutCancel(ctx), seq, l)
		return l.pack, l.err
	}
	c.mu.Unlock()
	select {
	case <-l.done:
		return l.pack, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fill loads a pack for all who want it.
func (c *packCache) fill(ctx context.Context, seq uint64, l *loadingPack) {
	l.pack, l.err = c.load(ctx, seq)
	c.mu.Lock()
	delete(c.loading, seq)
	if l.err == nil {
		c.add(seq, l.pack)
	}
	c.mu.Unlock()
	close(l.done)
}
