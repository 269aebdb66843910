package egress

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// acceptLoop serves a listener's connections, at most limit at a time: those
// beyond are reset. It returns once the listener is closed and every
// connection done; ctx's end closes the connections, so serve need not watch
// it. admit returns what serves a connection, in a goroutine of its own, or nil
// for one that is refused: it must not block, so that however fast those come,
// no two of them are open. The loop closes each connection.
func acceptLoop(ctx context.Context, l *net.TCPListener, limit int, admit func(*net.TCPConn) (serve func())) error {
	slots := make(chan struct{}, limit)
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, or the peer was gone already: neither is
			// the end of the listener.
			if !pause(ctx, 20*time.Millisecond) {
				return nil
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			reset(c)
			continue
		}
		serve := admit(c)
		if serve == nil {
			c.Close()
			<-slots
			continue
		}
		conns.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			serve()
		})
	}
}

// pause waits and reports whether ctx is still running.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// reset closes a connection with a RST: its peer sees it refused, not ended.
func reset(c *net.TCPConn) {
	// An error means that the connection is gone already.
	_ = c.SetLinger(0)
	c.Close()
}
