package process

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/millicent-run/millicent/internal/nowait"
)

// maxPlainHead is the size up to which a request line and its headers are
// plain.
const maxPlainHead = 4 << 10

// The plain requests are those of each invocation.
const (
	nextHead     = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
	outcomeHead  = "POST /2018-06-01/runtime/invocation/"
	responsePath = "/response"
	errorPath    = "/error"
)

// maxLeft is how much of a body that nobody wanted is read, so that the
// connection can be kept.
const maxLeft = 256 << 10

// A runtimeConn is a connection of a runtime on which only plain requests came
// so far. Its goroutine reads them; whoever offers an event that the runtime
// waits for here writes it, for a hand-over to another goroutine would cost as
// much as the writing.
type runtimeConn struct {
	api  *runtimeAPI
	conn *nowait.Conn
	in   *bufio.Reader

	writing sync.Mutex
}

// serve answers requests until the connection is of no more use. It returns
// what is to be read first from one on which a request came that is not plain,
// nil from one that is over.
func (c *runtimeConn) serve() (unusual io.Reader) {
	for least := 1; ; least = 4 { // bytes that are taken for a request that broke off, as in net/http
		head, err := c.head()
		switch {
		case errors.Is(err, bufio.ErrBufferFull), err != nil && c.in.Buffered() >= least:
			return c.in
		case err != nil:
			return nil
		}
		id, action, ok := plainTarget(head)
		if !ok {
			return c.in
		}
		copied, left := bytes.Clone(head), c.in.Buffered()-len(head)
		req, err := http.ReadRequest(c.in)
		if err != nil || !plain(req) || bytes.Count(bytes.ToLower(copied), []byte("\r\nhost:")) != 1 {
			_, _ = c.in.Discard(c.in.Buffered() - left) // it may have given up early
			return io.MultiReader(bytes.NewReader(copied), c.in)
		}
		if action == "" {
			ok = c.next()
		} else {
			ok = c.outcome(req, id, action)
		}
		if !ok {
			return nil
		}
	}
}

// head waits for a request and returns its line and headers, which are still
// to be read: ErrBufferFull when they are too long.
func (c *runtimeConn) head() ([]byte, error) {
	for n := 1; ; n = c.in.Buffered() + 1 {
		_, err := c.in.Peek(n)
		there, _ := c.in.Peek(c.in.Buffered()) // what is buffered is there
		if size := headSize(there); size > 0 {
			return there[:size], nil
		}
		if err != nil {
			return nil, err
		}
	}
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

// plainTarget returns which invocation a head says something about, and what;
// both are empty in a request for the next one. ok is false for another
// request.
func plainTarget(head []byte) (id, action string, ok bool) {
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) {
		return "", "", false
	}
	if bytes.HasPrefix(head, []byte(nextHead)) {
		return "", "", true
	}
	rest, ok := bytes.CutPrefix(head, []byte(outcomeHead))
	if !ok {
		return "", "", false
	}
	target, _, _ := bytes.Cut(rest, []byte("\r\n"))
	path, ok := strings.CutSuffix(string(target), " HTTP/1.1")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndexByte(path, '/')
	if i <= 0 || path[i:] != responsePath && path[i:] != errorPath || strings.Trim(path[:i], plainID) != "" {
		return "", "", false
	}
	return path[:i], path[i:], true
}

// The characters of invocations' identifiers, of the API's address, and of
// headers' names.
const (
	plainID   = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"
	plainHost = plainID + ".:"
	plainName = plainID + "_"
)

// plain reports whether a request needs nothing of the server but an answer.
func plain(r *http.Request) bool {
	if r.Close || r.Host == "" || r.ContentLength > maxPayload || strings.Trim(r.Host, plainHost) != "" {
		return false
	}
	if r.Method == http.MethodGet && r.ContentLength != 0 {
		return false
	}
	for name, values := range r.Header {
		switch {
		case strings.Trim(name, plainName) != "": // such as one with a space before its colon
			return false
		case name == "Expect", name == "Upgrade", name == "Connection" && !slices.Equal(values, []string{"keep-alive"}):
			return false
		case slices.ContainsFunc(values, func(v string) bool { return strings.ContainsFunc(v, unicode.IsControl) }):
			return false
		}
	}
	return true
}

// next answers with the runtime's next event, or has whoever offers it do so;
// false when the connection is over.
func (c *runtimeConn) next() bool {
	s := c.api.session
	s.mu.Lock()
	state, ok := s.ask()
	t := s.turn
	switch {
	case !ok:
		s.mu.Unlock()
		var a plainAnswer
		answerTransition(&a, state, stateReady)
		return c.write(&a)
	case state == stateRunning || s.due():
		if state != stateRunning {
			t = s.take()
		}
		s.mu.Unlock()
		var a plainAnswer
		writeEvent(&a, t)
		return c.write(&a)
	}
	s.takers = append(s.takers, c)
	s.mu.Unlock()
	if _, err := c.in.Peek(1); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.untake(c)
		return false
	}
	// The runtime has been given the event, unless it did not wait for it.
	given := s.watch(func(s *session) bool { return !slices.Contains(s.takers, c) })
	select {
	case <-given.met:
		return true
	case <-c.api.closed:
		s.unwatch(given)
		return false
	}
}

// give writes an event that the runtime waits for, without waiting for the
// runtime to read it. The caller has locked writing, which give unlocks.
func (c *runtimeConn) give(t *turn) {
	var a plainAnswer
	writeEvent(&a, t)
	head, rest := a.bytes()
	for _, p := range [][]byte{head, rest} {
		n, err := c.conn.WriteSome(p)
		if err != nil {
			break // a runtime that hung up asks again or times out
		}
		if n == len(p) {
			continue
		}
		late := net.Buffers{p[n:]}
		if len(rest) > 0 && &p[0] == &head[0] {
			late = append(late, rest)
		}
		c.api.work.Go(func() {
			defer c.writing.Unlock()
			for _, p := range late {
				if _, err := c.conn.Write(p); err != nil {
					return // as above
				}
			}
		})
		return
	}
	c.writing.Unlock()
}

// outcome takes a response or an error; false when the connection is over.
func (c *runtimeConn) outcome(r *http.Request, id, action string) bool {
	r.SetPathValue("id", id)
	var a plainAnswer
	if action == responsePath {
		c.api.session.respond(&a, r)
	} else {
		c.api.session.fail(&a, r)
	}
	_, err := io.CopyN(io.Discard, r.Body, maxLeft)
	whole := errors.Is(err, io.EOF)
	if !whole {
		a.Header().Set("Connection", "close")
	}
	return c.write(&a) && whole
}

// write writes an answer.
func (c *runtimeConn) write(a *plainAnswer) bool {
	head, rest := a.bytes()
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.conn.Write(head)
	if err == nil && len(rest) > 0 {
		_, err = c.conn.Write(rest)
	}
	return err == nil
}
