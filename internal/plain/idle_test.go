package plain

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory, whose time can be fake.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.TCPAddr{} }

// The times of the servers in tests.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
)

// TestSilentConnections has clients be silent before the first request and
// between two, and within one: a client opens connections in advance, and
// takes one of them when it is busy. What is closed at that moment loses a
// request that cannot be sent again.
func TestSilentConnections(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		before, between, within time.Duration
		answers                 int
	}{
		"long before the first":      {before: idleTime - time.Second, answers: 2},
		"too long before the first":  {before: idleTime + time.Second, answers: 0},
		"long between":               {between: idleTime - time.Second, answers: 2},
		"too long between":           {between: idleTime + time.Second, answers: 1},
		"within the first":           {within: headerTime - time.Second, answers: 2},
		"too long within the first":  {within: headerTime + time.Second, answers: 0},
		"before, then long in it":    {before: headerTime, within: headerTime - time.Second, answers: 2},
		"before, then too long":      {before: headerTime, within: headerTime + time.Second, answers: 0},
		"between, and long before":   {before: idleTime - time.Second, between: idleTime - time.Second, answers: 2},
		"within, and in the second":  {within: headerTime - time.Second, between: headerTime, answers: 2},
		"before, within and between": {before: headerTime, within: headerTime - time.Second, between: idleTime + time.Second, answers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := make(pipes)
				srv := NewHTTPServer(&http.Server{ReadHeaderTimeout: headerTime, IdleTimeout: idleTime,
					Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}, always, 10, discard)
				ended := make(chan error, 1)
				go func() { ended <- srv.Serve(l) }()
				client, accepted := net.Pipe()
				l <- accepted
				answers := bufio.NewReader(client)
				send := func(text string) error {
					client.SetDeadline(time.Now().Add(time.Second)) // a server that gave up reads no more
					_, err := io.WriteString(client, text)
					return err
				}
				got := 0
				for _, parts := range [][2]time.Duration{{c.before, c.within}, {c.between, 0}} {
					time.Sleep(parts[0])
					if send(request[:10]) != nil {
						break
					}
					time.Sleep(parts[1])
					if send(request[10:]) != nil {
						break
					}
					res, err := http.ReadResponse(answers, nil)
					if err != nil || res.StatusCode != http.StatusOK {
						break
					}
					res.Body.Close()
					got++
				}
				if got != c.answers {
					t.Errorf("%d answers, want %d", got, c.answers)
				}
				client.Close()
				srv.Close()
				srv.Wait()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
