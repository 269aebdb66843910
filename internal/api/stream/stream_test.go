package stream

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// Each part is with the client before the next is written.
func TestPartsArrive(t *testing.T) {
	read := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := NewWriter(w)
		for _, part := range []string{"one\n", "two\n"} {
			if err := out.Write(r.Context(), []byte(part)); err != nil {
				t.Error(err)
			}
			<-read
		}
	}))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n"} {
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		read <- struct{}{}
	}
}

// A client that does not read is waited for until the context ends, and
// nothing is written from then on.
func TestSlowReader(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, done := make(chan struct{}), make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out, part := NewWriter(w), make([]byte, 1<<20)
		if err := out.Write(ctx, part[:1]); err != nil {
			t.Errorf("the first part: %v", err)
		}
		close(begun)
		var err error
		for range 64 { // more than connections hold
			if err = out.Write(ctx, part); err != nil {
				break
			}
		}
		again := out.Write(ctx, part)
		done <- err
		done <- again
	}))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-begun
	cancel()
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("the write that waits: %v", err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the next one: %v", err)
	}
}
