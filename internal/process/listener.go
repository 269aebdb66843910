package process

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// A runListener is a listener whose port is free once it is closed. Closing
// alone does not free it: a process that the server forks at that moment
// holds a copy of the descriptor until it has become another program, and the
// next run would find the address in use.
type runListener struct{ *net.TCPListener }

func (l runListener) Close() error {
	if conn, err := l.SyscallConn(); err == nil {
		// It fails only where there is nothing left to stop.
		_ = conn.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
	return l.TCPListener.Close()
}

// acceptNow returns a connection that waits to be accepted, nil where there is
// none.
func (l runListener) acceptNow() *net.TCPConn {
	conn, err := l.SyscallConn()
	if err != nil {
		return nil
	}
	accepted := -1
	_ = conn.Control(func(fd uintptr) { // fails only where there is nothing left to accept
		for {
			accepted, _, err = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ECONNABORTED) {
				return
			}
		}
	})
	if accepted < 0 {
		return nil
	}
	f := os.NewFile(uintptr(accepted), "connection")
	defer f.Close() // c has a descriptor of its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	return c.(*net.TCPConn) // as the listener's are
}
