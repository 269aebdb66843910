package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve serves h on loopback and returns its address.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func open(t *testing.T, addr string, n int) *loader {
	t.Helper()
	l, err := newLoader(addr, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestLoad sends numbered requests on several connections: each is answered
// once, to the connection that asked, whatever form the answer has.
func TestLoad(t *testing.T) {
	var served atomic.Int64
	long := strings.Repeat("x", 100_000)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch served.Add(1) % 4 {
		case 0:
			w.Header().Set("Connection", "close")
		case 1: // in chunks
			fmt.Fprintf(w, "%s", body)
			w.(http.Flusher).Flush()
			fmt.Fprint(w, " in chunks")
			return
		case 2: // in several reads
			fmt.Fprintf(w, "%s%s", body, long)
			return
		}
		fmt.Fprintf(w, "%s.", body)
	})
	const conns, requests = 5, 400
	l := open(t, addr, conns)
	sent := 0
	asked := make([]string, conns)
	got := map[string]bool{}
	err := l.run(t.Context(), func(conn int) []byte {
		if sent == requests {
			return nil
		}
		sent++
		asked[conn] = fmt.Sprintf("request %d", sent)
		return post(addr, "/", asked[conn])
	}, func(conn int, a answer, took time.Duration) {
		if a.status != 200 || !strings.HasPrefix(string(a.body), asked[conn]) || took <= 0 {
			t.Errorf("%s: status %d, %.40q after %v", asked[conn], a.status, a.body, took)
		}
		got[asked[conn]] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != requests || served.Load() != requests {
		t.Errorf("%d answers, %d requests served, want %d", len(got), served.Load(), requests)
	}
}

func TestLoadIsAClosedLoop(t *testing.T) {
	var now, most atomic.Int64
	addr := serve(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
	})
	l := open(t, addr, 3)
	left := 300
	err := l.run(t.Context(), func(int) []byte {
		if left--; left < 0 {
			return nil
		}
		return post(addr, "/", "{}")
	}, func(int, answer, time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	if most.Load() > 3 {
		t.Errorf("%d requests at a time on 3 connections", most.Load())
	}
}

func TestLoadEnds(t *testing.T) {
	hold := make(chan struct{})
	held := serve(t, func(http.ResponseWriter, *http.Request) { <-hold })
	t.Cleanup(func() { close(hold) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := open(t, held, 1).once(ctx, post(held, "/", "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without an answer: %v", err)
	}
	hangsUp := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, _, err := open(t, hangsUp, 1).once(t.Context(), post(hangsUp, "/", "")); !errors.Is(err, errHungUp) {
		t.Errorf("of a server that hangs up: %v", err)
	}
	nobody, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newLoader(nobody, 2); err == nil {
		t.Error("connected to nobody")
	}
}

func TestFirst(t *testing.T) {
	for body, want := range map[string]bool{
		`{"n":1}`: true, `{"n": 1}`: true, `{"n":1,"rows":2}`: true, `{"n":10}`: false, `{"n": 12}`: false,
		`{"n":2}`: false, `{}`: false, `{"m":1}`: false, ``: false, `{"n":`: false,
	} {
		if got := (answer{body: []byte(body)}).first(); got != want {
			t.Errorf("%s: got %v", body, got)
		}
	}
}
