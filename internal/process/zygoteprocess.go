package process

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/millicent-run/millicent/internal/sandbox"
)

// A zygoteProcess is one process of a zygote.
type zygoteProcess struct {
	proc  *sandbox.Trusted
	conn  *net.UnixConn
	until time.Time

	mu    sync.Mutex // one request at a time
	forks int        // asked for
	ended bool       // conn is closed
}

var errHungUp = errors.New("the zygote is asked for nothing more")

// left is how many forks a process may still be asked for.
func (p *zygoteProcess) left(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || !now.Before(p.until) || isClosed(p.proc.Done()) {
		return 0
	}
	return zygoteForks - p.forks
}

// ask sends a request; the error is errHungUp after hangUp.
func (p *zygoteProcess) ask(e *sandbox.Entry, files ...*os.File) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errHungUp
	}
	p.forks++
	return e.Send(p.conn, files...)
}

// hangUp says that nothing more is asked for: the process ends when it has
// done what it was asked for.
func (p *zygoteProcess) hangUp() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	p.ended = true
	return p.conn.Close()
}

// retire has the process end by itself, or before ctx ends.
func (p *zygoteProcess) retire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootedTime)
	defer cancel()
	err := p.hangUp()
	select {
	case <-p.proc.Done():
		return err
	case <-ctx.Done():
		return errors.Join(err, p.proc.Kill())
	}
}

// end ends the process now, which leaves its children alone.
func (p *zygoteProcess) end() error {
	err := p.hangUp()
	if p.proc != nil {
		err = errors.Join(err, p.proc.Kill())
	}
	return err
}
