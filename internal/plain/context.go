package plain

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A requestContext ends with its request, or when the client leaves. To notice
// that, somebody has to read the connection: from when the context's end is
// first asked for, and the request's body has come. Most handlers never ask,
// and to watch every request takes a goroutine and some system calls each.
type requestContext struct {
	loop *loop

	ended atomic.Pointer[ending] // nil until it is asked for

	mu       sync.Mutex // guards what follows
	heard    bool       // all of the request
	over     bool
	watching chan struct{} // closed when the watch has ended; nil without one
}

// An ending is what a context is made of whose end somebody waits for.
type ending struct {
	context.Context
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (*requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} { return c.asked().Done() }

// Err implements context.Context.
func (c *requestContext) Err() error { return c.asked().Err() }

// Value implements context.Context.
func (c *requestContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.loop.http
	case http.LocalAddrContextKey:
		return c.loop.conn.LocalAddr()
	}
	if e := c.ended.Load(); e != nil {
		return e.Value(key) // package context looks for its own there
	}
	return nil
}

// asked has the client watched from now on.
func (c *requestContext) asked() *ending {
	if e := c.ended.Load(); e != nil {
		return e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.ended.Load(); e != nil {
		return e
	}
	e := &ending{}
	e.Context, e.cancel = context.WithCancel(context.Background())
	c.ended.Store(e)
	if c.over {
		e.cancel()
	} else if c.heard {
		c.watch(e)
	}
	return e
}

// bodyEnded says that the request's body has come.
func (c *requestContext) bodyEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = true
	if e := c.ended.Load(); e != nil && !c.over {
		c.watch(e)
	}
}

// cancelled ends the context: the client has left within the body.
func (c *requestContext) cancelled() { c.asked().cancel() }

// watch ends e when the client leaves: when nothing comes after what is there
// of its next request. Who has sent more than is kept has not left. The caller
// has locked mu.
func (c *requestContext) watch(e *ending) {
	more := c.loop.In.Buffered() + 1
	_ = c.loop.read.to(time.Time{}) // fails only when it is closed
	watching := make(chan struct{})
	c.watching = watching
	go func() { // ends by end
		defer close(watching)
		if _, err := c.loop.In.Peek(more); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			e.cancel()
		}
	}()
}

// end ends the context with its request. Afterwards nobody watches.
func (c *requestContext) end() {
	c.mu.Lock()
	c.over = true
	watching := c.watching
	if e := c.ended.Load(); e != nil {
		e.cancel()
	}
	c.mu.Unlock()
	if watching == nil {
		return
	}
	_ = c.loop.read.to(time.Unix(1, 0)) // as in watch
	<-watching
	_ = c.loop.read.to(time.Time{}) // as in watch
}
