package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// patience is how long anything that the browser is asked for may take.
const patience = 30 * time.Second

// A browser is a Chromium that is driven by the DevTools protocol, over a pair
// of pipes: messages of JSON, each ended by a zero byte.
type browser struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when nothing is read any more

	mu    sync.Mutex
	last  int
	calls map[int]chan message
	pages map[string]*page // by session
}

// message is what is sent either way.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// newBrowser starts a browser, which reaches nothing but this machine and ends
// with the test.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs Debian's package chromium: ", err)
	}
	fromUs, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, in: in, done: make(chan struct{}), calls: map[int]chan message{}, pages: map[string]*page{}}
	b.cmd = exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost, EXCLUDE localhost",
		"--user-data-dir="+t.TempDir(), "about:blank")
	b.cmd.ExtraFiles = []*os.File{fromUs, toUs} // its descriptors 3 and 4
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	toUs.Close()
	go b.read(out)
	t.Cleanup(func() {
		b.call("", "Browser.close", nil)
		in.Close()
		ended := time.AfterFunc(patience, func() { _ = b.cmd.Process.Kill() })
		_ = b.cmd.Wait() // how it ends is its own affair
		ended.Stop()
		<-b.done
		out.Close()
	})
	return b
}

// read reads until the browser has ended.
func (b *browser) read(out io.Reader) {
	defer close(b.done)
	for in := bufio.NewReader(out); ; {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		answer, p := b.calls[m.ID], b.pages[m.Session]
		delete(b.calls, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && answer != nil:
			answer <- m
		case m.ID == 0 && p != nil:
			p.happened(m)
		}
	}
}

// try makes a call, and returns its result.
func (b *browser) try(session, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	m := message{ID: b.last, Session: session, Method: method, Params: raw}
	b.calls[m.ID] = answer
	b.mu.Unlock()
	if params == nil {
		m.Params = nil
	}
	if raw, err = json.Marshal(m); err != nil {
		return nil, err
	}
	if _, err := b.in.Write(append(raw, 0)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case m = <-answer:
	case <-b.done:
		return nil, fmt.Errorf("%s: the browser has ended", method)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer", method)
	}
	if m.Error != nil {
		return nil, fmt.Errorf("%s: %s", method, m.Error)
	}
	return m.Result, nil
}

// call makes a call that must not fail, and reads its result into out, unless
// that is absent.
func (b *browser) call(session, method string, params any, out ...any) {
	b.t.Helper()
	result, err := b.try(session, method, params)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range out {
		if err := json.Unmarshal(result, o); err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, result)
		}
	}
}
