package process

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// collector keeps what a pipe hands over.
type collector struct {
	mu      sync.Mutex
	data    bytes.Buffer
	flushes int
}

func (c *collector) take(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data.Write(p)
}

func (c *collector) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes++
}

func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data.String()
}

func TestDrainTakesAllThatWasWrittenBefore(t *testing.T) {
	c := &collector{}
	p, err := newPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.serve(c.take, c.flush)
	defer p.close(0)
	want := ""
	for i := range 200 {
		s := strings.Repeat(string(rune('a'+i%26)), 1+i*7)
		if _, err := p.w.WriteString(s); err != nil {
			t.Fatal(err)
		}
		want += s
		drain(p)
		if got := c.String(); got != want {
			t.Fatalf("after write %d: got %d bytes, want %d", i, len(got), len(want))
		}
	}
}

func TestDrainDoesNotFollowAnEndlessWriter(t *testing.T) {
	c := &collector{}
	p, err := newPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.serve(c.take, c.flush)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			if _, err := p.w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}()
	for range 10 {
		drain(p) // the test hangs here if drain follows the writer
	}
	p.close(0)
	<-stopped
}

func TestCloseReadsToTheEndAndIsIdempotent(t *testing.T) {
	c := &collector{}
	p, err := newPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.serve(c.take, c.flush)
	if _, err := p.w.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	p.started()
	p.close(time.Minute)
	p.close(time.Minute)
	drain(p)
	if got, want := c.String(), "last words"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c.flushes == 0 {
		t.Error("the end was not flushed")
	}
}
