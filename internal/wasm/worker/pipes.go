package worker

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/nowait"
)

// pipes are the server's ends of a session's two pipes. They are two pipes and
// not a socket because whoever reads from a socket wakes its other end, to tell
// that there is room again. One goroutine at a time reads, and one writes.
type pipes struct {
	r, w    *os.File
	in, out *nowait.Stream
	limit   time.Time // when reads fail; zero when it is not known

	// Of writes: they fail at late, and soon after the context has ended.
	ctx  context.Context
	late time.Time
}

// newPipes returns new ones, and the worker's ends: to read from and to write
// to, in this order.
func newPipes() (_ *pipes, theirs [2]*os.File, err error) {
	p := &pipes{}
	if p.r, theirs[1], err = nowait.Pipe(0); err != nil {
		return nil, theirs, err
	}
	if theirs[0], p.w, err = nowait.Pipe(1); err != nil {
		return nil, theirs, errors.Join(err, p.r.Close(), theirs[1].Close())
	}
	if p.in, p.out, err = streams(p.r, p.w); err == nil {
		err = p.w.SetWriteDeadline(time.Unix(1, 0)) // Write sets it whenever it has passed
	}
	if err != nil {
		return nil, theirs, errors.Join(err, p.close(), theirs[0].Close(), theirs[1].Close())
	}
	return p, theirs, nil
}

func streams(r, w *os.File) (in, out *nowait.Stream, err error) {
	if in, err = nowait.New(r); err == nil {
		out, err = nowait.New(w)
	}
	return in, out, err
}

// Read implements io.Reader.
func (p *pipes) Read(b []byte) (int, error) { return p.in.Read(b) }

// Write implements io.Writer. Only what the pipe does not hold waits, for a
// worker that does not read. What the pipe holds is written however late it is.
func (p *pipes) Write(b []byte) (written int, err error) {
	for again := false; ; again = true {
		n, err := p.out.Write(b[written:])
		written += n
		now := time.Now()
		if !errors.Is(err, os.ErrDeadlineExceeded) || again && !now.Before(p.late) {
			return written, err
		}
		if err := p.ctx.Err(); err != nil {
			return written, err
		}
		_ = p.w.SetWriteDeadline(now.Add(patience)) // fails only when it is closed: then writes do
	}
}

// patience is how long a wait may take before it can be cancelled: most are
// over sooner, and to register with a context costs as much as a system call.
const patience = 10 * time.Millisecond

// until makes reads fail from t on.
func (p *pipes) until(t time.Time) {
	p.limit = t
	_ = p.r.SetReadDeadline(t) // fails only when it is closed: then reads do
}

// patiently makes reads fail after some of the patience that waits have, and
// at late at the latest. Few waits have to set a time of their own.
func (p *pipes) patiently(now, late time.Time) {
	if p.limit.After(now.Add(patience/2)) && !p.limit.After(late) && !p.limit.After(now.Add(patience)) {
		return
	}
	p.until(earlier(now.Add(patience), late))
}

func (p *pipes) close() error { return errors.Join(p.r.Close(), p.w.Close()) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// inner are the worker's ends.
type inner struct {
	r, w    *os.File
	in, out *nowait.Stream
}

// newInner returns those that came as two descriptors.
func newInner(fds []int) (*inner, error) {
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
	}
	p := &inner{r: os.NewFile(uintptr(fds[0]), "server"), w: os.NewFile(uintptr(fds[1]), "server")}
	var err error
	if p.in, p.out, err = streams(p.r, p.w); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// Read implements io.Reader.
func (p *inner) Read(b []byte) (int, error) { return p.in.Read(b) }

// Write implements io.Writer.
func (p *inner) Write(b []byte) (int, error) { return p.out.Write(b) }

func (p *inner) close() error { return errors.Join(p.r.Close(), p.w.Close()) }
