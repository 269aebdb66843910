package initproc

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The network inside is the loopback device alone. It carries the platform's
// address; and, when connections are to be redirected, a route that makes
// every address of the world local, with a rule that hands TCP to any of them
// to one port, where the server listens. Nothing ever leaves the namespace.

// platform is sandbox.Address.
var platform = [4]byte{169, 254, 100, 1}

// loopback is the index of lo in every network namespace.
const loopback = 1

// networkUp sets up the loopback device, and the route when there is a
// redirect port.
func networkUp(redirect uint16) error {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return failed("netlink", err)
	}
	defer n.close()
	const create = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL

	link := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(link[4:], loopback)
	binary.NativeEndian.PutUint32(link[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(link[12:], unix.IFF_UP)
	if err := n.do(n.message(nil, unix.RTM_NEWLINK, unix.NLM_F_ACK, link), 1); err != nil {
		return failed("set lo up", err)
	}

	addr := make([]byte, unix.SizeofIfAddrmsg)
	addr[0], addr[1], addr[3] = unix.AF_INET, 32, unix.RT_SCOPE_HOST
	binary.NativeEndian.PutUint32(addr[4:], loopback)
	err = n.do(n.message(nil, unix.RTM_NEWADDR, create, addr,
		attr(unix.IFA_LOCAL, platform[:]), attr(unix.IFA_ADDRESS, platform[:])), 1)
	if err != nil {
		return failed("add address to lo", err)
	}
	if redirect == 0 {
		return nil
	}
	return failed("add route", n.do(routeMessage(n, unix.RTM_NEWROUTE, create), 1))
}

// routeDown takes the route back.
func routeDown() error {
	n, err := openNetlink(unix.NETLINK_ROUTE)
	if err != nil {
		return failed("netlink", err)
	}
	defer n.close()
	return failed("remove route", n.do(routeMessage(n, unix.RTM_DELROUTE, unix.NLM_F_ACK), 1))
}

// routeMessage is "local 0.0.0.0/0 dev lo src 169.254.100.1".
func routeMessage(n *netlink, typ, flags int) []byte {
	r := make([]byte, unix.SizeofRtMsg)
	r[0] = unix.AF_INET
	r[4], r[5], r[6], r[7] = unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_HOST, unix.RTN_LOCAL
	return n.message(nil, typ, flags, r,
		attr(unix.RTA_OIF, ne32(loopback)), attr(unix.RTA_PREFSRC, platform[:]))
}

// listen makes a socket in the sandbox's network for the server to serve.
func listen(port Port) (fd int, err error) {
	typ := unix.SOCK_STREAM
	if port.Net == UDP {
		typ = unix.SOCK_DGRAM
	}
	fd, err = unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, failed("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	if port.Net == TCP {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fd, failed("setsockopt", err)
		}
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(port.Number), Addr: port.IP}); err != nil {
		return fd, failed("bind", err)
	}
	if port.Net == TCP {
		err = failed("listen", unix.Listen(fd, 4096))
	}
	return fd, err
}
