package initproc

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where pid 1 finds its ends of the socket pairs: of the one for all that is
// told and asked, and of the one for requests to Start, which its spawner reads
// itself: they are part of cold starts, and each thread that has to be woken
// for one takes its time.
const (
	controlFD = 3
	spawnFD   = 4
)

// send writes one packet with descriptors.
func send(p []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(controlFD, p, oob, nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one packet and its descriptors from socket into buf. A closed
// socket gives zero bytes. The caller closes the descriptors.
func receive(socket int, buf []byte) (p []byte, fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(MaxFiles*4))
	var n, oobn, flags int
	for {
		n, oobn, flags, _, err = unix.Recvmsg(socket, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if fds, err = rights(oob[:oobn]); err != nil {
		return nil, nil, err
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		closeAll(fds)
		return nil, nil, unix.EMSGSIZE
	}
	return buf[:n], fds, nil
}

func rights(oob []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range msgs {
		got, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // not descriptors
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd) // nothing to be done about a descriptor that won't close
	}
}

// A failure is a set-up step that did not work.
type failure struct {
	op  string
	err error
}

func (f *failure) Error() string { return f.op + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// failed names the operation that err comes from; nil stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{op, err}
}

// errnoOf returns the number to report for err, never zero.
func errnoOf(err error) int32 {
	if errno := syscall.Errno(0); errors.As(err, &errno) && errno != 0 {
		return int32(errno)
	}
	return int32(unix.EIO)
}
