package plain

import (
	"bufio"
	"bytes"
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

// Request takes the request off the connection whose head is next. Where it is
// not plain, or usual says no, unusual is what is to be read instead: all of
// it.
func (c *Conn) Request(head []byte, usual func(*http.Request) bool) (r *http.Request, unusual io.Reader) {
	if !isPlain(head) {
		return nil, c.In
	}
	c.taken = append(c.taken[:0], head...)
	left := c.In.Buffered() - len(head)
	r, err := http.ReadRequest(c.In)
	if err != nil || !usual(r) {
		_, _ = c.In.Discard(c.In.Buffered() - left) // it may have given up early
		return nil, io.MultiReader(bytes.NewReader(c.taken), c.In)
	}
	return r, nil
}

// isPlain reports whether a head can be read in one way only, and asks for
// nothing but an answer.
func isPlain(head []byte) bool {
	line, rest, ok := bytes.Cut(head, []byte("\r\n"))
	if !ok || !bytes.HasSuffix(line, []byte(" HTTP/1.1")) || !isText(line) {
		return false
	}
	for hosts := 0; ; {
		line, rest, ok = bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return false
		}
		if len(line) == 0 {
			return hosts == 1 && len(rest) == 0
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !isName(name) || !isText(value) {
			return false
		}
		switch value = bytes.Trim(value, " \t"); {
		case is(name, "Host"):
			hosts++
			if !isHost(value) {
				return false
			}
		case is(name, "Connection"):
			if !is(value, "keep-alive") {
				return false
			}
		case is(name, "Expect"), is(name, "Upgrade"):
			return false
		}
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
