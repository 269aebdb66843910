package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// The bare handler is what every figure is held against: the least that a Go
// program does to take an event by HTTP and to answer it, in a process of its
// own, measured in turns with what it is compared to.

const (
	bareName   = "bare net/http"
	bareAnswer = `{"n":1}`
	maxEvent   = 6 << 20
)

// barePathStream answers with the time of its first write, as functions do
// that stream.
const barePathStream = "/stream"

func bareHandler(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(io.LimitReader(r.Body, maxEvent)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.URL.Path == barePathStream {
		_, _ = fmt.Fprintf(w, "@%d\n", monotonic()) // as below
		_ = http.NewResponseController(w).Flush()   // as below
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, bareAnswer) // a client that left needs no answer
}

// serveBare is the subcommand "baseline": it serves the bare handler on an
// address until ctx ends.
func serveBare(ctx context.Context, addr string) error {
	srv := &http.Server{Addr: addr, Handler: http.HandlerFunc(bareHandler), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })() // nothing of it is left then
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("baseline: %w", err)
	}
	return nil
}

// startBare starts this program as the bare handler.
func startBare(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(ctx, exec.Command(self, "baseline", addr), addr, invokes("/"))
}
