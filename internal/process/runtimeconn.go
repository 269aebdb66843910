package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/millicent-run/millicent/internal/plain"
)

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
	*plain.Conn
	api *runtimeAPI

	writing sync.Mutex
}

// serve answers requests until the connection is of no more use. It returns
// what is to be read first from one on which a request came that is not plain,
// nil from one that is over.
func (c *runtimeConn) serve() (unusual io.Reader) {
	for least := 1; ; least = 4 { // bytes that are taken for a request that broke off, as in net/http
		head, err := c.Head()
		switch {
		case errors.Is(err, bufio.ErrBufferFull), err != nil && c.In.Buffered() >= least:
			return c.In
		case err != nil:
			return nil
		}
		id, action, ok := plainTarget(head)
		if !ok {
			return c.In
		}
		req, unusual := c.Request(context.Background(), head, func(r *http.Request) bool {
			return r.ContentLength <= maxPayload && (action != "" || r.ContentLength == 0)
		})
		if unusual != nil {
			return unusual
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

// plainTarget returns which invocation a head says something about, and what;
// both are empty in a request for the next one. ok is false for another
// request.
func plainTarget(head []byte) (id, action string, ok bool) {
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

// plainID are the characters of invocations' identifiers.
const plainID = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

// next answers with the runtime's next event, or has whoever offers it do so;
// false when the connection is over. A runtime that has not read what it was
// sent before does not wait for an event: nobody else locks writing while it is
// among the takers.
func (c *runtimeConn) next() bool {
	c.written()
	s := c.api.session
	s.mu.Lock()
	state, ok := s.ask()
	t := s.turn
	switch {
	case !ok:
		s.mu.Unlock()
		var a plain.Answer
		answerTransition(&a, state, stateReady)
		return c.write(&a)
	case state == stateRunning || s.due():
		if state != stateRunning {
			t = s.take()
		}
		s.mu.Unlock()
		var a plain.Answer
		writeEvent(&a, t)
		return c.write(&a)
	}
	s.takers = append(s.takers, c)
	s.mu.Unlock()
	if _, err := c.In.Peek(1); err != nil {
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
	var a plain.Answer
	writeEvent(&a, t)
	head, rest := a.Parts()
	for _, p := range [][]byte{head, rest} {
		n, err := c.WriteSome(p)
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
				if _, err := c.Write(p); err != nil {
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
	var a plain.Answer
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

// written waits until the connection has taken what it was given.
func (c *runtimeConn) written() {
	c.writing.Lock()
	defer c.writing.Unlock()
}

// write writes an answer.
func (c *runtimeConn) write(a *plain.Answer) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Send(a) == nil
}
