package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A Kind says what a frame is.
type Kind byte

// Frames of the server.
const (
	Open    Kind = iota + 1 // a Spec: load a program, and take an instance
	Prepare                 // a Spec: compile a program
	File                    // a FileHead; as many Parts follow as it takes
	Part                    // bytes of what File or Compiled began
	Done                    // nothing: the package is complete
	Refuse                  // text: there is no package, and why
	Request                 // a request
	Fetched                 // the outcome of a Fetch
)

// Frames of the worker.
const (
	Need     Kind = iota + 64 // nothing: the package is wanted
	Compiled                  // a FileHead: compiled code, for the cache; Parts follow
	Log                       // bytes of the log
	Opened                    // an Opening; nothing for a Prepare
	Failed                    // a Failure: it is the module's own, or says why it cannot run
	Answer                    // an answer
	Fetch                     // a request of the guest to the outside
)

const headSize = 5

// Bounds of frames.
const (
	MaxPart    = 1 << 20
	MaxLog     = 256 << 10
	maxSmall   = 64 << 10
	maxSpec    = 1 << 20
	maxPayload = 8<<20 + 64<<10 // an event or an answer, with what goes along
	maxFetch   = 7 << 20
)

// limits are the greatest lengths of bodies.
var limits = map[Kind]int{
	Open: maxSpec, Prepare: maxSpec, File: maxSmall, Part: MaxPart, Done: 0, Refuse: maxSmall,
	Request: maxPayload, Fetched: maxFetch,
	Need: 0, Compiled: maxSmall, Log: MaxLog, Opened: maxSmall, Failed: 2 << 20, Answer: maxPayload, Fetch: maxFetch,
}

// limit is that of limits, without the search for what comes all the time.
func limit(k Kind) (int, bool) {
	switch k {
	case Request, Answer:
		return maxPayload, true
	case Log:
		return MaxLog, true
	}
	n, known := limits[k]
	return n, known
}

// ErrFrame means that what came is not a frame of this package, or not one
// that may come now.
var ErrFrame = errors.New("malformed message")

// keep is how much memory for frames a connection holds on to; a session that
// serves nothing should cost little.
const keep = 16 << 10

// A Conn reads and writes frames. One goroutine at a time reads, and one
// writes.
type Conn struct {
	rw   io.ReadWriter
	in   []byte // what was read: in[at:end] is still to be used
	at   int
	end  int
	out  []byte
	held int // of out, frames that are still to be written
}

// NewConn returns a Conn of a stream.
func NewConn(rw io.ReadWriter) *Conn { return &Conn{rw: rw} }

// Detach has the body of the last frame stay valid for good.
func (c *Conn) Detach() {
	c.in = append([]byte(nil), c.in[c.at:c.end]...)
	c.at, c.end = 0, len(c.in)
}

// Next returns the next frame. Its body is valid until the next call. At the
// end of the stream the error is io.EOF between frames, else
// io.ErrUnexpectedEOF.
func (c *Conn) Next() (Kind, []byte, error) {
	if c.at == c.end {
		c.at, c.end = 0, 0
		if len(c.in) > keep {
			c.in = nil
		}
	}
	if err := c.fill(headSize); err != nil {
		return 0, nil, err
	}
	kind := Kind(c.in[c.at])
	size := binary.LittleEndian.Uint32(c.in[c.at+1:])
	most, known := limit(kind)
	if !known || uint64(size) > uint64(most) {
		return 0, nil, fmt.Errorf("%w: kind %d of %d bytes", ErrFrame, kind, size)
	}
	if err := c.fill(headSize + int(size)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	body := c.in[c.at+headSize : c.at+headSize+int(size)]
	c.at += headSize + int(size)
	return kind, body, nil
}

// fill reads until there are n bytes to use.
func (c *Conn) fill(n int) error {
	if c.end-c.at >= n {
		return nil
	}
	if len(c.in) < n || c.at > 0 && len(c.in)-c.at < n {
		c.makeRoom(n)
	}
	for c.end-c.at < n {
		if c.end == len(c.in) {
			c.makeRoom(n)
		}
		got, err := c.rw.Read(c.in[c.end:])
		c.end += got
		if err != nil && c.end-c.at < n {
			if errors.Is(err, io.EOF) && c.end > c.at {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// growth is how much memory is taken for a frame beyond what has come of it.
const growth = 1 << 20

// makeRoom moves what is still to be used to the beginning, in memory that has
// room for n bytes, or for a part of them that is worth a read.
func (c *Conn) makeRoom(n int) {
	left := c.in[c.at:c.end]
	if size := min(max(n, 4<<10), len(left)+growth); size > len(c.in) {
		in := make([]byte, size)
		copy(in, left)
		c.in = in
	} else {
		copy(c.in, left)
	}
	c.at, c.end = 0, len(left)
}

// Begin returns memory for a frame of that kind, to which its fields are
// appended: it is for Send, or Hold.
func (c *Conn) Begin(k Kind) []byte {
	return append(c.out[:c.held], byte(k), 0, 0, 0, 0)
}

// apart is how large the rest of a frame is that is written by itself rather
// than copied.
const apart = 64 << 10

// Send writes a frame that was begun, and rest, which belongs to it. What was
// held goes first, in the same write.
func (c *Conn) Send(frame, rest []byte) error {
	if err := c.finish(frame, len(rest)); err != nil {
		return err
	}
	if len(rest) <= apart {
		frame, rest = append(frame, rest...), nil
	}
	c.settle(frame, 0)
	if _, err := c.rw.Write(frame); err != nil || len(rest) == 0 {
		return err
	}
	_, err := c.rw.Write(rest)
	return err
}

// Hold is Send for a frame that can wait for the next one, or for Flush. One
// that is large, or follows much that waits, is written at once.
func (c *Conn) Hold(frame, rest []byte) error {
	if len(frame)+len(rest) > keep {
		return c.Send(frame, rest)
	}
	if err := c.finish(frame, len(rest)); err != nil {
		return err
	}
	frame = append(frame, rest...)
	c.settle(frame, len(frame))
	return nil
}

// Flush writes what is held.
func (c *Conn) Flush() error {
	if c.held == 0 {
		return nil
	}
	held := c.out[:c.held]
	c.held = 0
	_, err := c.rw.Write(held)
	return err
}

// finish writes the size of a frame, which has more bytes to come, into it.
func (c *Conn) finish(frame []byte, more int) error {
	head := frame[c.held:]
	size := len(head) - headSize + more
	if most, known := limit(Kind(head[0])); !known || size > most {
		return fmt.Errorf("%w: %d bytes are more than a message of kind %d may have", ErrFrame, size, head[0])
	}
	binary.LittleEndian.PutUint32(head[1:], uint32(size))
	return nil
}

// settle has the next frame begin in out, behind what is held of it.
func (c *Conn) settle(out []byte, held int) {
	if c.held = held; held == 0 && cap(out) > 2*keep {
		out = nil
	}
	c.out = out
}
