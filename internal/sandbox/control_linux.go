package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/internal/sandbox/initproc"
)

// control is the server's end of the socket to a sandbox's pid 1. One
// goroutine reads it, until pid 1 ends.
type control struct {
	conn    *net.UnixConn
	spawns  *net.UnixConn   // for requests to Start
	done    chan struct{}   // closed when nothing more is read
	closing <-chan struct{} // closed when no answer is awaited any more

	mu     sync.Mutex
	seq    uint32
	waits  map[uint32]chan answer
	ready  chan answer
	exited func(initproc.Event)
}

// answer is pid 1's, with the descriptor that came with it, if any.
type answer struct {
	initproc.Event
	file    *os.File
	ports   []*os.File // that came with Ready
	process *Process   // that Start started
}

// newControl returns the server's ends and pid 1's. exited is called for each
// process that ends, in the order of their starts and ends.
func newControl(closing <-chan struct{}, exited func(initproc.Event)) (*control, []*os.File, error) {
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	spawns, theirSpawns, err := socketPair()
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close(), theirs.Close())
	}
	c := &control{
		conn:    conn,
		spawns:  spawns,
		done:    make(chan struct{}),
		closing: closing,
		waits:   map[uint32]chan answer{},
		ready:   make(chan answer, 1),
		exited:  exited,
	}
	return c, []*os.File{theirs, theirSpawns}, nil
}

// close closes the server's ends.
func (c *control) close() error { return errors.Join(c.conn.Close(), c.spawns.Close()) }

// socketPair returns the server's end of a new pair, and pid 1's.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// read takes pid 1's messages until it ends.
func (c *control) read(started func(initproc.Event) *Process) {
	defer close(c.done)
	buf := make([]byte, 8<<10)
	oob := make([]byte, unix.CmsgSpace(4*initproc.MaxPorts))
	for {
		n, oobn, _, _, err := c.conn.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			return
		}
		var a answer
		files := passedFiles(oob[:oobn])
		if err := a.Unmarshal(buf[:n]); err != nil {
			closeFiles(files)
			return // not a message of pid 1 as we know it
		}
		if a.Kind == initproc.Ready {
			a.ports = files
		} else if len(files) > 0 {
			a.file = files[0]
		}
		switch a.Kind {
		case initproc.Ready:
			c.deliver(c.ready, a)
		case initproc.Exited:
			c.exited(a.Event)
		case initproc.Answer:
			if a.Errno == 0 && a.PID != 0 {
				a.process = started(a.Event)
			}
			c.mu.Lock()
			wait := c.waits[a.Seq]
			delete(c.waits, a.Seq)
			c.mu.Unlock()
			c.deliver(wait, a)
		}
	}
}

// deliver hands a over; each channel has room for the one answer it expects.
func (c *control) deliver(to chan answer, a answer) {
	select {
	case to <- a:
	default: // nobody waits
		if a.file != nil {
			a.file.Close()
		}
		closeFiles(a.ports)
	}
}

// passedFiles returns the descriptors in a control message.
func passedFiles(oob []byte) (files []*os.File) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files
}

// closeFiles closes what nobody takes: nothing was written to it.
func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// send writes one packet with descriptors.
func send(to *net.UnixConn, p []byte, files []*os.File) error {
	if len(p) > initproc.MaxMessage {
		return syscall.E2BIG
	}
	if len(files) > initproc.MaxFiles {
		return syscall.EMFILE
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err := to.WriteMsgUnix(p, oob, nil)
	return err
}

// ask sends r and waits for the answer.
func (c *control) ask(ctx context.Context, r initproc.Request, files ...*os.File) (answer, error) {
	seq, wait, err := c.post(r, files...)
	if err != nil {
		return answer{}, err
	}
	defer c.forget(seq)
	return c.await(ctx, wait)
}

// post sends r. Its answer comes on wait, until its seq is forgotten, which is
// the caller's to do.
func (c *control) post(r initproc.Request, files ...*os.File) (seq uint32, wait chan answer, err error) {
	wait = make(chan answer, 1)
	c.mu.Lock()
	c.seq++
	r.Seq = c.seq
	c.waits[r.Seq] = wait
	c.mu.Unlock()
	to := c.conn
	if r.Kind == initproc.Start {
		to = c.spawns
	}
	if err := send(to, r.Marshal(), files); err != nil {
		c.forget(r.Seq)
		return 0, nil, fmt.Errorf("ask the sandbox: %w", err)
	}
	return r.Seq, wait, nil
}

// forget gives up the wait for an answer.
func (c *control) forget(seq uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waits, seq)
}

// await waits for an answer and turns what it reports into an error.
func (c *control) await(ctx context.Context, wait chan answer) (answer, error) {
	var a answer
	select {
	case a = <-wait:
	case <-c.done:
		select {
		case a = <-wait: // it came before the end
		default:
			return answer{}, errEnded
		}
	case <-c.closing:
		return answer{}, errEnded
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	if a.Errno != 0 {
		return answer{}, fmt.Errorf("%s: %w", a.Op, syscall.Errno(a.Errno))
	}
	return a, nil
}

var errEnded = errors.New("the sandbox has ended")
