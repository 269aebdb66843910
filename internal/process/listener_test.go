package process

import (
	"net"
	"testing"
)

func TestPortOfAClosedListenerIsFreeThoughACopyIsOpen(t *testing.T) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	held, err := l.File() // as a forked process has it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := (runListener{l}).Close(); err != nil {
		t.Fatal(err)
	}
	again, err := net.ListenTCP("tcp4", l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
