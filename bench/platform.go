package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A platform is as little of the Runtime API as serves a Go function: one
// connection, read and written by blocking system calls.
type platform struct {
	addr     string
	listener int
	conn     int
	buf      []byte
	used     int
}

const (
	platformEvent = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
		"Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000\r\n" +
		"Lambda-Runtime-Deadline-Ms: 9999999999999\r\n" +
		"Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n" +
		"Content-Length: 2\r\n\r\n{}"
	platformAccepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
)

func newPlatform() (p *platform, err error) {
	p = &platform{conn: -1, buf: make([]byte, 16<<10)}
	if p.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, err
	}
	wait := unix.Timeval{Sec: int64(answerTime / time.Second)}
	err = errors.Join(
		unix.SetsockoptTimeval(p.listener, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait), // of what it accepts, too
		unix.Bind(p.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(p.listener, 1),
	)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	at, err := unix.Getsockname(p.listener)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.addr = fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
	return p, nil
}

func (p *platform) close() error {
	err := unix.Close(p.listener)
	if p.conn >= 0 {
		err = errors.Join(err, unix.Close(p.conn))
	}
	return err
}

// accept waits for the function.
func (p *platform) accept() (err error) {
	for {
		if p.conn, _, err = unix.Accept4(p.listener, unix.SOCK_CLOEXEC); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the Go function does not connect: %w", err)
	}
	wait := unix.Timeval{Sec: int64(answerTime / time.Second)}
	return errors.Join(
		unix.SetsockoptInt(p.conn, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(p.conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
	)
}

// invoke waits until the function asks, gives it an event, and returns how
// long it takes until the answer has come.
func (p *platform) invoke() (time.Duration, error) {
	if err := p.until("GET ", "\r\n\r\n"); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := p.write(platformEvent); err != nil {
		return 0, err
	}
	if err := p.until("POST ", "\r\n0\r\n\r\n"); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, p.write(platformAccepted)
}

// until reads one request, which has to begin and to end so.
func (p *platform) until(begin, end string) error {
	for p.used = 0; !bytes.HasSuffix(p.buf[:p.used], []byte(end)); {
		n, err := unix.Read(p.conn, p.buf[p.used:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read from the Go function: %w", err)
		case n == 0:
			return fmt.Errorf("%w: %q of the Go function", errHungUp, p.buf[:p.used])
		}
		p.used += n
	}
	if !bytes.HasPrefix(p.buf[:p.used], []byte(begin)) {
		return fmt.Errorf("%w: %q of the Go function", errAnswer, p.buf[:p.used])
	}
	return nil
}

func (p *platform) write(s string) error {
	_, err := unix.Write(p.conn, []byte(s)) // far less than a socket holds
	return err
}
