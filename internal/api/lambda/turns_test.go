package lambda

import (
	"context"
	"encoding/base64"
	"io"
	"math/rand"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/millicent-run/millicent"
)

// largeRequest returns a creation whose body is beyond largeBody.
func largeRequest(name string) M {
	content := make([]byte, largeBody)
	_, _ = rand.New(rand.NewSource(1)).Read(content) // never fails; what is random does not compress
	return with(createRequest(name), M{"Code": M{"ZipFile": base64.StdEncoding.EncodeToString(zipOf("data", string(content)))}})
}

// TestSlowSendersKeepNobodyWaiting has more large bodies on their way than are
// worked on at a time, and none of them ends.
func TestSlowSendersKeepNobodyWaiting(t *testing.T) {
	p := newPlatform(t, nil)
	var senders sync.WaitGroup
	var clients []io.Closer
	defer func() {
		for _, c := range clients {
			_ = c.Close() // of a pipe: it never fails
		}
		senders.Wait()
	}()
	for range maxUploads + 1 {
		body, client := io.Pipe()
		r := httptest.NewRequest("POST", functionsPath, body)
		r.ContentLength = maxCodeBody
		senders.Go(func() { p.ServeHTTP(httptest.NewRecorder(), r) })
		clients = append(clients, client)
		if _, err := client.Write(make([]byte, largeBody+1)); err != nil { // returns once it was read
			t.Fatal(err)
		}
	}
	p.must(201, "POST", functionsPath, largeRequest("quick"))
}

// A stuckSource is a store that does not answer.
type stuckSource struct{ asked chan struct{} }

func (s stuckSource) Fetch(ctx context.Context, _, _, _ string, _ int64) ([]byte, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestFetchesAreFewAtATime: a store that does not answer holds up those who
// wait for it and nobody else.
func TestFetchesAreFewAtATime(t *testing.T) {
	source := stuckSource{make(chan struct{}, maxFetches+1)}
	p := newPlatform(t, func(cfg *Config) { cfg.Packages = source })
	ctx, cancel := context.WithCancel(t.Context())
	var fetches sync.WaitGroup
	for range maxFetches + 1 {
		fetches.Go(func() {
			if _, err := p.load(ctx, code{bucket: new("bucket"), key: new("key")}); millicent.ErrorCode(err) == "" {
				t.Error("a fetch that was given up succeeded")
			}
		})
	}
	for range maxFetches {
		<-source.asked
	}
	p.must(201, "POST", functionsPath, largeRequest("uploaded"))
	if n := len(source.asked); n > 0 {
		t.Errorf("%d fetches too many are under way", n)
	}
	cancel()
	fetches.Wait()
}
