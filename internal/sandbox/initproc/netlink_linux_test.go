package initproc

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func ack(errno int32) []byte {
	p := make([]byte, 36)
	binary.NativeEndian.PutUint32(p, 36)
	binary.NativeEndian.PutUint16(p[4:], unix.NLMSG_ERROR)
	binary.NativeEndian.PutUint32(p[16:], uint32(errno))
	return p
}

func TestAcknowledged(t *testing.T) {
	if n, err := acknowledged(append(ack(0), ack(0)...)); n != 2 || err != nil {
		t.Errorf("two acknowledgements: got %d, %v", n, err)
	}
	if _, err := acknowledged(append(ack(0), ack(-int32(unix.EPERM))...)); !errors.Is(err, unix.EPERM) {
		t.Errorf("a refusal: got %v, want EPERM", err)
	}
	if _, err := acknowledged([]byte{8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); !errors.Is(err, unix.EBADMSG) {
		t.Errorf("a message shorter than its header: got %v", err)
	}
}

func FuzzAcknowledged(f *testing.F) {
	f.Add(ack(0))
	f.Add(append(ack(-1), ack(0)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		if n, _ := acknowledged(p); n < 0 || n > len(p)/unix.SizeofNlMsghdr {
			t.Errorf("%d acknowledgements in %d bytes", n, len(p))
		}
	})
}
