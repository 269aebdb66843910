package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent/internal/wasm"
	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// A compiler bundles and compiles a tenant's programs, one after another, in
// workers of their own, which run nothing of them. What a stranger wrote may
// overflow a stack of the bundler, or take all memory there is: that ends the
// worker, is an error of the program that was compiled, and nobody else's
// affair.
type compiler struct {
	host *Host         // with workers that compile
	turn chan struct{} // has room for who compiles
	made atomic.Uint64 // how many were compiled
}

// keepCompiler is how long a worker waits for another program to compile.
const keepCompiler = 2 * time.Second

// newCompiler returns the compiler of a Host, whose cache it fills.
func newCompiler(h *Host) *compiler {
	cfg := *h.cfg
	cfg.Keep = keepCompiler
	log := h.log.With(slog.Bool("compiles", true))
	return &compiler{host: &Host{cfg: &cfg, cache: h.cache, log: log}, turn: make(chan struct{}, 1)}
}

// compile compiles a program into the cache, unless stale says, when its turn
// has come, that this may be in vain: compiled is false then. A *wasm.Failure is
// the program's own.
func (c *compiler) compile(ctx context.Context, spec *wasm.Spec, stale func() bool) (compiled bool, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if stale() {
		return false, nil
	}
	s, err := c.host.begin(ctx, wire.Prepare, spec)
	var gone *goneError
	switch {
	case errors.As(err, &gone):
		return false, wasm.Uncompilable(gone.why)
	case err != nil:
		return false, err
	}
	c.made.Add(1)
	return true, s.Close()
}
