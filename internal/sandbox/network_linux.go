package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// Listen listens on TCP inside the sandbox's network namespace. Connections
// are served by this process, outside. addr is an IPv4 address; a listener on
// the Redirect port listens on 127.0.0.1 or on all addresses. The first one on
// a port of the Spec has its socket already.
func (s *Sandbox) Listen(addr netip.AddrPort) (*net.TCPListener, error) {
	a, err := s.listen(initproc.TCP, addr)
	if err != nil {
		return nil, err
	}
	defer a.file.Close()
	l, err := net.FileListener(a.file)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// ListenUDP does the same for UDP.
func (s *Sandbox) ListenUDP(addr netip.AddrPort) (*net.UDPConn, error) {
	a, err := s.listen(initproc.UDP, addr)
	if err != nil {
		return nil, err
	}
	defer a.file.Close()
	c, err := net.FilePacketConn(a.file)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// listen has pid 1 make the socket, for it is in the network namespace, and
// pass it out.
func (s *Sandbox) listen(network byte, addr netip.AddrPort) (answer, error) {
	ip := addr.Addr().Unmap()
	if !ip.Is4() {
		return answer{}, fmt.Errorf("listen on %s: %w", addr, syscall.EAFNOSUPPORT)
	}
	port := initproc.Port{Net: network, IP: ip.As4(), Number: addr.Port()}
	s.mu.Lock()
	f := s.ports[port]
	delete(s.ports, port)
	s.mu.Unlock()
	if f != nil {
		return answer{file: f}, nil
	}
	a, err := s.ask(initproc.Request{Kind: initproc.Listen, Port: port})
	if err != nil {
		return answer{}, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if a.file == nil {
		return answer{}, fmt.Errorf("listen on %s: no socket came", addr)
	}
	return a, nil
}

// OriginalDst returns the address that the process inside wanted to reach, of
// a connection accepted on the Spec's Redirect port.
func OriginalDst(c *net.TCPConn) (netip.AddrPort, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var sa unix.RawSockaddrInet4
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(sa))
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_IP, unix.SO_ORIGINAL_DST,
			uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if errno != 0 {
		err = errors.Join(err, fmt.Errorf("original destination: %w", errno))
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port), nil
}
