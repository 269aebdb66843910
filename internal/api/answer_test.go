package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// A deadline ends the write that is being made, and holds for those to come,
// which have a later one by themselves.
func TestAnswerDeadline(t *testing.T) {
	writing, done := make(chan *answer, 1), make(chan error)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := newAnswer(w)
		writing <- a
		var err error
		for err == nil {
			_, err = a.Write(make([]byte, 1<<20))
		}
		done <- err
	}))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := (<-writing).SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func newAnswer(w http.ResponseWriter) *answer {
	a := &answer{}
	a.to(w)
	return a
}

func boundBody(w http.ResponseWriter, r *http.Request, b *budget) *body {
	in := &body{}
	newAnswer(w).boundBody(in, r, b, time.Now())
	return in
}
