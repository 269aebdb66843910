// Package nowait reads and writes descriptors that do not block, by system
// calls that Go's scheduler is not told of.
//
// The scheduler is told of a system call so that another goroutine can run
// while it waits. One that never waits gains nothing by that, and loses much
// where it wakes a process: that one takes the processor, the call seems to
// last, and the runtime hands its work to another thread, which has to be
// woken, too. A sixth of what the server did for an invocation was that.
// And after a moment with nothing to do, the first call that the scheduler is told
// of wakes its monitor, a thread that then looks around fifty times in a
// millisecond.
package nowait

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Stream reads and writes a descriptor. One goroutine at a time reads, and
// one writes. What has to wait for the other side waits where all of Go does,
// and ends with the deadlines and the closing of the file that it was made of.
type Stream struct {
	raw           syscall.RawConn
	in, out, some transfer
}

// New returns a Stream of a file or a connection, which is not to be read or
// written otherwise then, and has to be non-blocking and in Go's poller.
func New(c syscall.Conn) (*Stream, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Stream{raw: raw}
	s.in.step, s.out.step, s.some.step = s.in.read, s.out.write, s.some.writeSome
	return s, nil
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.in.run(p, s.raw.Read)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return s.out.run(p, s.raw.Write)
}

// WriteSome writes what the other side has room for now, without waiting for
// more.
func (s *Stream) WriteSome(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return s.some.run(p, s.raw.Write)
}

// A transfer is a Read or a Write, again and again with the same memory.
type transfer struct {
	p    []byte
	n    int
	err  error
	step func(fd uintptr) bool // as RawConn wants it: whether it is done
}

func (t *transfer) run(p []byte, raw func(func(uintptr) bool) error) (int, error) {
	t.p, t.n, t.err = p, 0, nil
	err := raw(t.step)
	t.p = nil
	if err == nil {
		err = t.err
	}
	return t.n, err
}

// read is a step of a Read, which needs one.
func (t *transfer) read(fd uintptr) bool {
	n, errno := call(syscall.SYS_READ, fd, t.p)
	switch errno {
	case 0:
		t.n = n
	case syscall.EAGAIN:
		return false
	default:
		t.err = os.NewSyscallError("read", errno)
	}
	return true
}

// write is a step of a Write, which goes on until all is written.
func (t *transfer) write(fd uintptr) bool {
	for t.n < len(t.p) {
		n, errno := call(syscall.SYS_WRITE, fd, t.p[t.n:])
		switch errno {
		case 0:
			t.n += n
		case syscall.EAGAIN:
			return false
		default:
			t.err = os.NewSyscallError("write", errno)
			return true
		}
	}
	return true
}

// writeSome is the only step of a WriteSome.
func (t *transfer) writeSome(fd uintptr) bool {
	t.write(fd)
	return true
}

// Readable reports whether a read of any of at most four descriptors would not
// wait.
func Readable(fds []int) bool {
	var list [4]unix.PollFd
	for i, fd := range fds {
		list[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	var none unix.Timespec
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&list[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(&none)), 0, 0, 0)
	return n > 0 || errno != 0 // then a read says why
}

// most is how much goes in one call: one that copies is not to be stopped by
// the garbage collector, which has to wait for it.
const most = 256 << 10

// call makes a system call with a part of p, which is not empty, again where a
// signal has come in between.
func call(number, fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(min(len(p), most)))
		if !errors.Is(errno, syscall.EINTR) {
			return int(n), errno
		}
	}
}
