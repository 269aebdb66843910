package plain

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
)

// MaxHead is the size up to which a request line and its headers are plain.
const MaxHead = 4 << 10

// Head waits for a request and returns its line and headers, which are still
// to be read: [bufio.ErrBufferFull] when they are too long.
func (c *Conn) Head() ([]byte, error) {
	for n := 1; ; n = c.In.Buffered() + 1 {
		_, err := c.In.Peek(n)
		if head := c.head(); head != nil {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// head returns the head of the next request as far as it has come as a whole,
// else nil.
func (c *Conn) head() []byte {
	there, _ := c.In.Peek(c.In.Buffered()) // what is buffered is there
	if size := headSize(there); size > 0 {
		return there[:size]
	}
	return nil
}

// headSize returns how long the head is that data begins with, 0 while it has
// no end. A line may end without a carriage return.
func headSize(data []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch rest := data[from:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return from + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return from + 2
		}
	}
}

// Request takes the request off the connection whose head is next, with a
// context. Where it is not plain, or usual says no, unusual is what is to be
// read instead: all of it.
func (c *Conn) Request(ctx context.Context, head []byte, usual func(*http.Request) bool) (r *http.Request, unusual io.Reader) {
	line, fields, ok := plainHead(head, c.fields[:0])
	if !ok {
		return nil, c.In
	}
	c.taken, c.fields = append(c.taken[:0], head...), fields
	left := c.In.Buffered() - len(head)
	r = (&http.Request{}).WithContext(ctx)
	if parse(r, head, line, fields, c.In) {
		_, _ = c.In.Discard(len(head)) // it is there
	} else if read, err := http.ReadRequest(c.In); err != nil {
		r = nil
	} else {
		r = read.WithContext(ctx)
	}
	if r == nil || !usual(r) {
		_, _ = c.In.Discard(c.In.Buffered() - left) // net/http may have given up early
		return nil, io.MultiReader(bytes.NewReader(c.taken), c.In)
	}
	return r, nil
}

// A field is a header as it stands in a head: where its name is, and its value.
type field struct{ name, nameEnd, value, valueEnd int }

// plainHead returns where the request line ends, and the headers behind those
// that are there, of a head that can be read in one way only, and asks for
// nothing but an answer.
func plainHead(head []byte, fields []field) (line int, _ []field, ok bool) {
	first, rest, ok := bytes.Cut(head, []byte("\r\n"))
	if !ok || !bytes.HasSuffix(first, []byte(" HTTP/1.1")) || !isText(first) {
		return 0, fields, false
	}
	for hosts := 0; ; {
		at := len(head) - len(rest)
		one, left, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return 0, fields, false
		}
		if rest = left; len(one) == 0 {
			return len(first), fields, hosts == 1 && len(rest) == 0
		}
		name, value, ok := bytes.Cut(one, []byte(":"))
		if !ok || !isName(name) || !isText(value) {
			return 0, fields, false
		}
		value = bytes.TrimLeft(value, " \t")
		start := at + len(one) - len(value)
		switch value = bytes.TrimRight(value, " \t"); {
		case is(name, "Host"):
			hosts++
			if !isHost(value) {
				return 0, fields, false
			}
		case is(name, "Connection"):
			if !is(value, "keep-alive") {
				return 0, fields, false
			}
		case is(name, "Expect"), is(name, "Upgrade"):
			return 0, fields, false
		}
		fields = append(fields, field{at, at + len(name), start, start + len(value)})
	}
}

// is compares without regard to case.
func is(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}

// isText reports whether b has no control characters. A tab is none.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isName reports whether b is a header's name of the usual characters.
func isName(b []byte) bool {
	for _, c := range b {
		if !isWord(c) && c != '-' {
			return false
		}
	}
	return len(b) > 0
}

// isHost reports whether b is a host's name or address, perhaps with a port.
func isHost(b []byte) bool {
	for _, c := range b {
		if !isWord(c) && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return len(b) > 0
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// newReader returns what a connection's requests are read by.
func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, MaxHead) }
