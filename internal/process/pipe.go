package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/millicent-run/millicent/internal/nowait"
)

// A pipe carries a run's output to its log. A goroutine reads it all the
// time; drain reads at once what is in it, so that an invocation's output is
// in its log before its end is. Both do so under mu, hence in order.
//
// It is read by system calls of its own because os.File keeps a second reader
// out while the first waits.
type pipe struct {
	fd   int           // of r; -1 once it is closed
	r, w *os.File      // w is the runtime's end, closed here once the runtime has it
	done chan struct{} // closed when the pipe has been read to its end

	mu    sync.Mutex
	take  func(p []byte)
	flush func()
}

// pipeSize is how much a pipe holds.
const pipeSize = 64 << 10

// pipeBuffers are for reading: most pipes are silent most of the time.
var pipeBuffers = sync.Pool{New: func() any { return new([pipeSize]byte) }}

// newPipe returns a pipe, which nobody reads before serve is called.
func newPipe() (*pipe, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make log pipe: %w", err)
	}
	// Only the reading end may be non-blocking: functions do not expect
	// EAGAIN of their standard output.
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return &pipe{
		fd:   fds[0],
		r:    os.NewFile(uintptr(fds[0]), "log pipe"),
		w:    os.NewFile(uintptr(fds[1]), "log pipe"),
		done: make(chan struct{}),
	}, nil
}

// serve hands what is read to take from now on, one call at a time, and calls
// flush when what came so far shall not wait for more. It is called once.
func (p *pipe) serve(take func(p []byte), flush func()) {
	p.take, p.flush = take, flush
	go p.read()
}

// peek returns the beginning of what is in a pipe that is not served yet.
func (p *pipe) peek() string {
	buf := make([]byte, 1<<10)
	n, err := syscall.Read(p.fd, buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// read runs until the last writer is gone or the pipe is closed.
func (p *pipe) read() {
	defer close(p.done)
	conn, err := p.r.SyscallConn()
	if err != nil {
		return
	}
	for {
		var end error
		err := conn.Read(func(fd uintptr) bool {
			_, end = p.readOnce(int(fd))
			return !errors.Is(end, syscall.EAGAIN)
		})
		if err != nil || end != nil {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

// readOnce reads what is there, up to the size of the buffer.
func (p *pipe) readOnce(fd int) (int, error) {
	buf := pipeBuffers.Get().(*[pipeSize]byte)
	defer pipeBuffers.Put(buf)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		n, err := syscall.Read(fd, buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		p.take(buf[:n])
		return n, nil
	}
}

// drain takes everything that was in the pipes when it was called, one after
// the other, and flushes. It never waits for writers. Whoever closes a pipe
// does so before or after, not meanwhile.
func drain(pipes ...*pipe) {
	var room [2]int
	fds := room[:0]
	for _, p := range pipes {
		fds = append(fds, p.fd)
	}
	// One call for all: most of the time there is nothing in any of them.
	if !nowait.Readable(fds) {
		for _, p := range pipes {
			p.flushNow()
		}
		return
	}
	for _, p := range pipes {
		for left := pipeSize; left > 0; {
			n, err := p.readOnce(p.fd)
			if err != nil {
				break
			}
			left -= n
		}
		p.flushNow()
	}
}

func (p *pipe) flushNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

// started gives up the runtime's end, which the runtime now holds itself.
func (p *pipe) started() { _ = p.w.Close() } // nothing was written through it here

// close waits a bounded time for the end of the stream, which comes when the
// last writer has been killed, and closes the pipe. It is idempotent.
func (p *pipe) close(wait time.Duration) {
	_ = p.w.Close() // may be closed already
	if p.take != nil {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
	}
	_ = p.r.Close() // ends the reader if the stream did not
	p.fd = -1
	if p.take != nil {
		<-p.done
	}
}
