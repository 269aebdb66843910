package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// A pipe carries a run's output to its log. A goroutine reads it all the
// time; drain reads at once what is in it, so that an invocation's output is
// in its log before its end is. Both do so under mu, hence in order.
//
// It is read by system calls of its own because os.File keeps a second reader
// out while the first waits.
type pipe struct {
	r, w *os.File      // w is the runtime's end, closed here once the runtime has it
	done chan struct{} // closed when the pipe has been read to its end

	mu    sync.Mutex
	take  func(p []byte)
	flush func()
	buf   [64 << 10]byte // a pipe holds as much
}

// newPipe returns a pipe that hands what it reads to take, one call at a
// time, and calls flush when what came so far shall not wait for more.
func newPipe(take func(p []byte), flush func()) (*pipe, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make log pipe: %w", err)
	}
	// Only the reading end may be non-blocking: functions do not expect
	// EAGAIN of their standard output.
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	p := &pipe{
		r:     os.NewFile(uintptr(fds[0]), "log pipe"),
		w:     os.NewFile(uintptr(fds[1]), "log pipe"),
		done:  make(chan struct{}),
		take:  take,
		flush: flush,
	}
	go p.read()
	return p, nil
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		n, err := syscall.Read(fd, p.buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		p.take(p.buf[:n])
		return n, nil
	}
}

// drain takes everything that was in the pipe when it was called, and
// flushes. It never waits for writers.
func (p *pipe) drain() {
	if conn, err := p.r.SyscallConn(); err == nil {
		// An error means that the pipe is closed, and then it was read before.
		_ = conn.Control(func(fd uintptr) {
			for left := len(p.buf); left > 0; {
				n, err := p.readOnce(int(fd))
				if err != nil {
					return
				}
				left -= n
			}
		})
	}
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
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	_ = p.r.Close() // ends the reader if the stream did not
	<-p.done
}
