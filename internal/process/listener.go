package process

import (
	"net"
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
