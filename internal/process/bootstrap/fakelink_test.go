package bootstrap

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// overLink says which way the processes under test reach the platform: the
// tests run once for each. A link has no connections to lose, and no answers:
// tests of these return when it is set.
var overLink bool

// serveLink serves a link as the fake Runtime API does HTTP, until it is
// closed, and returns the process's ends of it: to read from, to write to.
func (f *fakeAPI) serveLink(t testing.TB) (in, out *os.File) {
	t.Helper()
	in, told, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := in.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), true) }); err != nil {
		t.Fatal(err)
	}
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	f.link = pipes{said, told}
	f.linkEnd = make(chan struct{})
	t.Cleanup(func() { f.link.Close(); <-f.linkEnd })
	go func() {
		defer close(f.linkEnd)
		l := &fakeLink{fakeAPI: f, in: bufio.NewReader(f.link)}
		if err := l.serve(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("link: %v", err)
		}
	}()
	return in, out
}

// pipes are the platform's ends of a link.
type pipes struct{ said, told *os.File }

func (p pipes) Read(b []byte) (int, error)  { return p.said.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.told.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.said.Close(), p.told.Close()) }

// A fakeLink reads what a process sends.
type fakeLink struct {
	*fakeAPI
	in     *bufio.Reader
	stream *outcome
}

func (l *fakeLink) serve() error {
	for {
		var head [5]byte
		if _, err := io.ReadFull(l.in, head[:]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(l.in, body); err != nil {
			return err
		}
		if err := l.take(head[4], body); err != nil {
			return err
		}
	}
}

// cut takes a short text off body.
func cut(body *[]byte) string {
	n := 1 + int((*body)[0])
	text := string((*body)[1:n])
	*body = (*body)[n:]
	return text
}

func (l *fakeLink) take(kind byte, body []byte) error {
	out := outcome{header: http.Header{"Content-Type": {"application/json"}}, trailer: http.Header{}}
	switch kind {
	case 'N':
		select {
		case l.next <- struct{}{}:
		default: // nobody counts
		}
		go l.deliver()
		return nil
	case 'R':
		out.path = "invocation/" + cut(&body) + "/response"
		out.header.Set("Content-Type", cut(&body))
	case 'E':
		out.path = "invocation/" + cut(&body) + "/error"
		out.header.Set("Lambda-Runtime-Function-Error-Type", cut(&body))
	case 'F':
		out.path = "init/error"
		out.header.Set("Lambda-Runtime-Function-Error-Type", cut(&body))
	case 'S':
		out.path = "invocation/" + cut(&body) + "/response"
		out.header.Set("Content-Type", cut(&body))
		out.header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
		out.chunked = true
		l.stream = &out
		return nil
	case 'C':
		l.stream.body += string(body)
		return nil
	case 'T':
		if kind := cut(&body); kind != "" {
			l.stream.trailer.Set("Lambda-Runtime-Function-Error-Type", kind)
			l.stream.trailer.Set("Lambda-Runtime-Function-Error-Body", base64.StdEncoding.EncodeToString(body))
		}
		out, body, l.stream = *l.stream, []byte(l.stream.body), nil
	default:
		return fmt.Errorf("message %q", kind)
	}
	out.body = string(body)
	l.outcomes <- out
	return nil
}

// deliver hands the next event over.
func (l *fakeLink) deliver() {
	var e event
	select {
	case e = <-l.events:
	case <-l.linkEnd:
		return
	}
	about := map[string]any{
		"requestId": e.id, "deadlineMs": int64(4000000000000), "arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
	}
	for header, name := range map[string]string{
		"Lambda-Runtime-Invoked-Function-Arn": "arn",
		"Lambda-Runtime-Trace-Id":             "traceId",
		"Lambda-Runtime-Client-Context":       "clientContext",
		"Lambda-Runtime-Cognito-Identity":     "identity",
		"Lambda-Runtime-Aws-Tenant-Id":        "tenantId",
		"Lambda-Runtime-Deadline-Ms":          "deadlineMs",
	} {
		if v := e.headers[header]; v != "" {
			about[name] = v
		}
	}
	doc, err := json.Marshal(about)
	if err != nil {
		panic(err)
	}
	msg := binary.BigEndian.AppendUint32(nil, uint32(5+len(doc)+len(e.body)))
	msg = binary.BigEndian.AppendUint32(append(msg, 'I'), uint32(len(doc)))
	l.link.Write(append(append(msg, doc...), e.body...)) // an error shows as no outcome
}
