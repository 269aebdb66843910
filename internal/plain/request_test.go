package plain

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A said is what a request comes to.
type said struct {
	Method, URI, Proto, Host, Body string
	Major, Minor                   int
	URL                            url.URL
	Header                         http.Header
	Length                         int64
	Encoding                       []string
	Close, Broken                  bool
	Trailer                        http.Header
}

func saidBy(r *http.Request) said {
	body, err := io.ReadAll(r.Body)
	return said{
		r.Method, r.RequestURI, r.Proto, r.Host, string(body), r.ProtoMajor, r.ProtoMinor, *r.URL, r.Header, r.ContentLength,
		r.TransferEncoding, r.Close, err != nil, r.Trailer,
	}
}

// readBoth reads a request with net/http and here; parsed is false where that
// is left to net/http.
func readBoth(t *testing.T, text string) (parsed bool) {
	in := newReader(strings.NewReader(text))
	_, _ = in.Peek(MaxHead) // an end is found below
	there, _ := in.Peek(in.Buffered())
	head := there[:headSize(there)]
	line, fields, ok := plainHead(head, nil)
	var got http.Request
	if !ok || !parse(&got, head, line, fields, in) {
		return false
	}
	_, _ = in.Discard(len(head))
	want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Errorf("%q: net/http refuses it: %v", text, err)
		return true
	}
	if d := cmp.Diff(saidBy(want), saidBy(&got)); d != "" {
		t.Errorf("%q: net/http, ours:\n%s", text, d)
	}
	return true
}

// TestSameRequests reads all requests twice.
func TestSameRequests(t *testing.T) {
	for _, text := range requests {
		readBoth(t, text)
	}
	for text, want := range map[string]bool{
		post("{}"): true,
		with("authorization: x\r\nX-AMZ-date: y\r\nx_a-b--c: 1\r\na: b\r\nA: c\r\nB: \t d \t\r\nc:"): true,
		with(strings.Repeat("A: b\r\nC: d\r\n", 15)):                                                 true,
		with(strings.Repeat("A: b\r\n", maxFields)):                                                  false,
		with("Pragma: no-cache"):                                                                     false,
		with("Content-Length: 2"):                                                                    false,
		strings.ReplaceAll(post("{}"), "/f ", "/%66 "):                                               false,
		"GET /next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUser-Agent: aws-lambda-go/go1.26\r\n\r\n":     true,
	} {
		if got := readBoth(t, text); got != want {
			t.Errorf("%.100q is parsed: %t", text, got)
		}
	}
}

// FuzzSameRequests reads anything twice.
func FuzzSameRequests(f *testing.F) {
	for _, text := range requests {
		if len(text) < 1000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) { readBoth(t, text) })
}
