package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{\"n\":1}"

func TestParseAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		data   string
		status int
		body   string
		size   int // 0: not complete
		close  bool
		bad    bool
	}{
		"plain":           {data: plainAnswer, status: 200, body: `{"n":1}`, size: len(plainAnswer)},
		"and more":        {data: plainAnswer + "HTTP", status: 200, body: `{"n":1}`, size: len(plainAnswer)},
		"no body":         {data: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, size: 27},
		"head only":       {data: plainAnswer[:len(plainAnswer)-7]},
		"part of a head":  {data: plainAnswer[:20]},
		"nothing":         {},
		"closes":          {data: "HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status: 500, size: 56, close: true},
		"chunks":          {data: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", status: 200, body: "abc0123456789", size: 75},
		"part of a chunk": {data: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n012"},
		"no last chunk":   {data: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
		"no chunk":        {data: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", bad: true},
		"a chunk too far": {data: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", bad: true},
		"another":         {data: "SSH-2.0-x\r\n\r\n", bad: true},
		"no status":       {data: "HTTP/1.1 xyz OK\r\n\r\n", bad: true},
		"interim":         {data: "HTTP/1.1 100 Continue\r\n\r\n", bad: true},
		"length":          {data: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", bad: true},
		"no end":          {data: strings.Repeat("x", maxHead+1), bad: true},
	} {
		a, size, err := parseAnswer([]byte(c.data))
		if (err != nil) != c.bad {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		if size != c.size || size > 0 && (a.status != c.status || string(a.body) != c.body || a.close != c.close) {
			t.Errorf("%s: got %d bytes of status %d, %q, close %v", name, size, a.status, a.body, a.close)
		}
	}
}

// FuzzParseAnswer holds what is read against net/http's reader, and checks
// that an answer does not change when there is more behind it.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(plainAnswer))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, size, err := parseAnswer(data)
		if err != nil || size == 0 {
			return
		}
		if size > len(data) {
			t.Fatalf("%d of %d bytes", size, len(data))
		}
		again, sizeAgain, err := parseAnswer(append(bytes.Clone(data[:size]), "HTTP/1.1 "...))
		if err != nil || sizeAgain != size || !bytes.Equal(again.body, a.body) {
			t.Fatalf("with more behind it: %d of %d bytes, %v", sizeAgain, size, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data[:size])), nil)
		if err != nil || resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 {
			return // net/http is stricter, and reads on where no length is given
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode == a.status && !bytes.Equal(body, a.body) && resp.StatusCode != 204 && resp.StatusCode != 304 {
			t.Fatalf("net/http reads %q, this reads %q", body, a.body)
		}
	})
}
