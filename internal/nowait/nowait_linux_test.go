package nowait

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// testWait is longer than anything here takes.
const testWait = time.Minute

// pipe returns streams of the two ends of a pipe, and their files.
func pipe(t *testing.T) (r, w *Stream, rf, wf *os.File) {
	t.Helper()
	rf, wf, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rf.Close(); wf.Close() })
	if r, err = New(rf); err != nil {
		t.Fatal(err)
	}
	if w, err = New(wf); err != nil {
		t.Fatal(err)
	}
	return r, w, rf, wf
}

// TestAllArrives sends more than a pipe holds, and than one call takes, both
// ways: what has to wait waits.
func TestAllArrives(t *testing.T) {
	r, w, _, wf := pipe(t)
	sent := bytes.Repeat([]byte("0123456789"), most/5)
	written := make(chan error, 1)
	go func() {
		n, err := w.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		written <- errors.Join(err, wf.Close())
	}()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v; want %d as they were sent", len(got), err, len(sent))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestReadable(t *testing.T) {
	_, _, quiet, _ := pipe(t)
	_, w, rf, wf := pipe(t)
	var fds []int
	for _, f := range []*os.File{quiet, rf} {
		conn, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			t.Fatal(err)
		}
	}
	if Readable(fds) {
		t.Error("readable before anything was written")
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !Readable(fds) || Readable(fds[:1]) {
		t.Errorf("got %v and %v with something in the second", Readable(fds), Readable(fds[:1]))
	}
	if _, err := rf.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	wf.Close()
	if !Readable(fds) {
		t.Error("the end is not readable")
	}
}

func TestEnds(t *testing.T) {
	t.Run("deadline", func(t *testing.T) {
		r, w, rf, wf := pipe(t)
		rf.SetReadDeadline(time.Unix(1, 0))
		wf.SetWriteDeadline(time.Unix(1, 0))
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: got %d, %v", n, err)
		}
		if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: got %d, %v", n, err)
		}
		wf.SetWriteDeadline(time.Now().Add(testWait))
		rf.SetReadDeadline(time.Now().Add(testWait))
		if n, err := w.Write([]byte("x")); n != 1 || err != nil {
			t.Errorf("write in time: got %d, %v", n, err)
		}
		if n, err := r.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("read in time: got %d, %v", n, err)
		}
	})
	t.Run("interrupted while it waits", func(t *testing.T) {
		r, _, rf, _ := pipe(t)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 1))
			ended <- err
		}()
		rf.SetReadDeadline(time.Unix(1, 0))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("part of it written", func(t *testing.T) {
		r, w, _, wf := pipe(t)
		late := make(chan error, 1)
		go func() {
			_, err := r.Read(make([]byte, 1)) // returns once a part is written
			late <- errors.Join(err, wf.SetWriteDeadline(time.Unix(1, 0)))
		}()
		n, err := w.Write(make([]byte, most))
		if n == 0 || n == most || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d, %v", n, err)
		}
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
	t.Run("end of file", func(t *testing.T) {
		r, _, _, wf := pipe(t)
		wf.Close()
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // as io.Reader says
			t.Errorf("got %d, %v", n, err)
		}
	})
	t.Run("nobody reads any more", func(t *testing.T) {
		_, w, rf, _ := pipe(t)
		rf.Close()
		if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %d, %v", n, err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		r, w, _, _ := pipe(t)
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Errorf("read: got %d, %v", n, err)
		}
		if n, err := w.Write(nil); n != 0 || err != nil {
			t.Errorf("write: got %d, %v", n, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		r, _, rf, _ := pipe(t)
		rf.Close()
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF { //nolint:errorlint // as above
			t.Errorf("got %v", err)
		}
	})
}

func TestConnections(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listener(tcp)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.Copy(client, client)
	if _, err := c.Write([]byte("there and back")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("there and back"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "there and back" {
		t.Errorf("got %q, %v", got, err)
	}
	c.SetReadDeadline(time.Unix(1, 0))
	var e *net.OpError
	if _, err := c.Read(got); !errors.As(err, &e) || e.Op != "read" || !e.Timeout() {
		t.Errorf("beyond the deadline: got %#v", err)
	}
	c.SetReadDeadline(time.Time{})
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	if _, err := c.Read(got); !errors.As(err, &e) || e.Op != "read" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: got %#v", err)
	}
}
