package initproc

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// The few netlink messages that a sandbox's network takes, written out: see
// netlink(7), rtnetlink(7) and linux/netfilter/nf_tables.h. A library for
// them would double the size of pid 1.

// netlink is a socket in the current network namespace.
type netlink struct {
	fd  int
	seq uint32
}

func openNetlink(protocol int) (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	// An answer that never comes must not keep pid 1 waiting.
	wait := unix.Timeval{Sec: 5}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) close() { unix.Close(n.fd) }

// do sends messages made by message as one datagram and waits for as many
// acknowledgements as acks says.
func (n *netlink) do(p []byte, acks int) error {
	if err := unix.Sendto(n.fd, p, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 8192)
	for acks > 0 {
		size, _, err := unix.Recvfrom(n.fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		got, err := acknowledged(buf[:size])
		if err != nil {
			return err
		}
		acks -= got
	}
	return nil
}

// acknowledged counts the acknowledgements in a datagram, or returns the
// first error.
func acknowledged(p []byte) (n int, err error) {
	for len(p) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(p))
		if size < unix.SizeofNlMsghdr || size > len(p) {
			return n, unix.EBADMSG
		}
		if binary.NativeEndian.Uint16(p[4:]) == unix.NLMSG_ERROR && size >= unix.SizeofNlMsghdr+4 {
			if errno := int32(binary.NativeEndian.Uint32(p[unix.SizeofNlMsghdr:])); errno != 0 {
				return n, unix.Errno(-errno)
			}
			n++
		}
		p = p[min(len(p), (size+3)&^3):]
	}
	return n, nil
}

// message appends one message: header, the family's own header, attributes.
func (n *netlink) message(p []byte, typ, flags int, header []byte, attrs ...[]byte) []byte {
	start := len(p)
	n.seq++
	p = append(p, make([]byte, unix.SizeofNlMsghdr)...)
	p = append(p, header...)
	for _, a := range attrs {
		p = append(p, a...)
	}
	h := p[start:]
	binary.NativeEndian.PutUint32(h, uint32(len(h)))
	binary.NativeEndian.PutUint16(h[4:], uint16(typ))
	binary.NativeEndian.PutUint16(h[6:], uint16(flags|unix.NLM_F_REQUEST))
	binary.NativeEndian.PutUint32(h[8:], n.seq)
	return p
}

// attr returns one attribute, padded.
func attr(typ int, value []byte) []byte {
	size := 4 + len(value)
	p := make([]byte, (size+3)&^3)
	binary.NativeEndian.PutUint16(p, uint16(size))
	binary.NativeEndian.PutUint16(p[2:], uint16(typ))
	copy(p[4:], value)
	return p
}

// nest returns an attribute that holds others.
func nest(typ int, attrs ...[]byte) []byte {
	var p []byte
	for _, a := range attrs {
		p = append(p, a...)
	}
	return attr(typ|unix.NLA_F_NESTED, p)
}

func cstring(s string) []byte { return append([]byte(s), 0) }

func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func ne32(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }
