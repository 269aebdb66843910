package plain

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// answering is a handler that tells what it was asked, and answers as it is
// asked to by the path.
func answering(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	switch r.URL.Path {
	case "/empty":
		return
	case "/none":
		w.WriteHeader(http.StatusNoContent)
		return
	case "/unread":
		io.WriteString(w, "unread")
		return
	case "/some":
		io.ReadFull(r.Body, make([]byte, 1))
		io.WriteString(w, "some")
		return
	case "/closed":
		r.Body.Close()
		_, err := r.Body.Read(make([]byte, 1))
		io.WriteString(w, "closed "+strconv.FormatBool(err != nil))
		return
	case "/last":
		h.Set("Connection", "close")
	case "/split":
		h.Set("X-Split", "a\r\nContent-Length: 0\r\n\r\n")
	case "/parts":
		io.WriteString(w, "part and ")
	case "/failed":
		w.WriteHeader(http.StatusInternalServerError)
	case "/odd":
		w.WriteHeader(555)
	case "/panic":
		panic("as it was asked to")
	case "/abort":
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(r.Body)
	said := r.Method + " " + r.RequestURI + " " + r.Host + " " + r.Header.Get("A") + " " + string(body)
	if err != nil {
		said += " and broke off"
	}
	h.Set("Content-Length", strconv.Itoa(len(said)))
	if r.URL.Path == "/parts" {
		h.Del("Content-Length")
	}
	io.WriteString(w, said)
}

// requests are what is said to both servers, each once.
var requests = []string{
	post("{}"), post(""), post("{}") + post("[]") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/empty "), strings.ReplaceAll(post(""), "/f ", "/none ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/unread ") + post("1"), strings.ReplaceAll(post("{}"), "/f ", "/some ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/closed ") + post("1"), strings.ReplaceAll(post("{}"), "/f ", "/last ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/split ") + post("1"), strings.ReplaceAll(post("{}"), "/f ", "/parts ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/failed ") + post("1"), strings.ReplaceAll(post("{}"), "/f ", "/odd ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/panic ") + post("1"), strings.ReplaceAll(post("{}"), "/f ", "/abort ") + post("1"),
	strings.ReplaceAll(post("{}"), "/f ", "/a%2Fb?c=d&e "), strings.ReplaceAll(post("{}"), "/f ", "/%zz "),
	strings.ReplaceAll(post("{}"), "/f ", "/f  "), strings.ReplaceAll(post("{}"), "/f ", "/f\tx "),
	strings.ReplaceAll(post("{}"), "/f ", "* "), strings.ReplaceAll(post("{}"), "/f ", "http://y/f "),
	strings.ReplaceAll(post("{}"), "/f ", "//y/f "), strings.ReplaceAll(post("{}"), "POST", "post"),
	strings.ReplaceAll(post("{}"), "POST", "GET"), strings.ReplaceAll(post("{}"), "POST", "CONNECT"),
	strings.ReplaceAll(post("{}"), "POST", "PO ST"), strings.ReplaceAll(post(""), "POST", "PRI"),
	"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + post("1"), "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + post("1"),
	strings.ReplaceAll(post("{}"), "1.1", "1.0") + post("1"), strings.ReplaceAll(post("{}"), "1.1", "2.0"),
	strings.ReplaceAll(post("{}"), "1.1", "1.2"), strings.ReplaceAll(post("{}"), " HTTP/1.1", ""),
	with("Connection: close") + post("1"), with("Connection: keep-alive") + post("1"), with("connection: Keep-Alive, x") + post("1"),
	with("Expect: 100-continue") + post("1"), with("Expect: else") + post("1"), with("Upgrade: websocket\r\nConnection: Upgrade") + post("1"),
	with("Transfer-Encoding: chunked"), with("Transfer-Encoding: identity"), with("Transfer-Encoding : chunked"),
	with("Transfer-Encoding: chunked, chunked"), with("Transfer-Encoding:\tchunked"), with("Transfer-Encoding: \x0bchunked"),
	with("Content-Length: 2"), with("Content-Length: 3"), with("content-length: 2") + post("1"), with("Content-Length : 3"),
	with("Content-Length: +2"), with("Content-Length: 2, 2"), with("Content-Length:"), with("A: b\r\n c"), with(" A: b"),
	with("A: b\nB: c"), with("A: b\rB: c"), with("A: \x00"), with("A: \x7f"), with("A: \xe4"), with("A\xe4: b"), with("A b: c"), with(": b"), with("A"),
	with("A:b") + post("1"), with("a: b\r\nA: c"), with("Host: y"), with("Host: x"), with("Trailer: A") + post("1"),
	with("A: "+strings.Repeat("b", 2*MaxHead)) + post("1"), with("A: " + strings.Repeat("b", 100<<10)),
	with(strings.Repeat("A: b\r\n", 500) + "C: d"),
	strings.Replace(post("{}"), "Host: x\r\n", "", 1), strings.Replace(post("{}"), "Host: x", "Host:", 1),
	strings.Replace(post("{}"), "Host: x", "Host: x y", 1), strings.Replace(post("{}"), "Host: x", "Host: [::1]:80", 1),
	strings.Replace(post("{}"), "Host: x", "Host: x/y", 1), strings.Replace(post("{}"), "Host: x", "Host: [", 1),
	strings.ReplaceAll(post("{}"), "\r\n", "\n"), strings.Replace(post("{}"), "\r\n\r\n", "\n\n", 1), strings.Replace(post("{}"), "\r\n\r\n", "\r\n\n", 1),
	strings.Replace(post("{}"), "Length: 2", "Length: -2", 1), strings.Replace(post("{}"), "Length: 2", "Length: 99999999999999999999", 1),
	strings.Replace(post("{}"), "Length: 2", "Length: 5", 1), strings.Replace(post("{}"), "Length: 2", "Length: 0x2", 1),
	strings.Replace(post(""), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "2\r\n{}\r\n0\r\n\r\n" + post("1"),
	strings.Replace(post(""), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "2\r\n{}\r\n0\r\nA: b\r\n\r\n" + post("1"),
	strings.Replace(post(""), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "2;x\r\n{}x0\r\n\r\n" + post("1"),
	post(strings.Repeat("x", JoinLimit)) + post("1"), post(strings.Repeat("x", JoinLimit+1)) + post("1"),
	post(strings.Repeat("x", maxBody-1)) + post("1"), post(strings.Repeat("x", maxBody)) + post("1"),
	strings.ReplaceAll(post(strings.Repeat("x", maxBody-1)), "/f ", "/unread ") + post("1"),
	strings.ReplaceAll(post(strings.Repeat("x", maxBody)), "/f ", "/unread ") + post("1"),
	"\r\n" + post("1"), post("1") + "\r\n" + post("2"), post("1") + "\r\n\r\n" + post("2"), post("1") + "\r\n\r\n\r\n" + post("2"),
	post("1") + "\n" + post("2"), post("1") + "\r", post("1") + "P", post("1") + "POST", post("1") + "\r\n\r\nP", post("1") + " " + post("2"),
	"P", "POST", "POST /f HTTP/1.1\r\n", "POST /f HTTP/1.1\r\nHost: x\r\n", "\x00", "\n", "\r\n\r\n", "\x16\x03\x01", "",
}

// with is a request with a header.
func with(header string) string {
	return strings.Replace(post("{}"), "\r\n\r\n", "\r\n"+header+"\r\n\r\n", 1)
}

// heard returns all answers on a connection to addr that says what is given,
// in pieces of a size.
func heard(t *testing.T, addr, said string, size int) (replies []reply) {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for ; len(said) > 0; said = said[min(size, len(said)):] {
			if _, err := io.WriteString(c, said[:min(size, len(said))]); err != nil {
				return // the other side may hang up
			}
			if size < len(said) {
				time.Sleep(time.Microsecond) // perhaps the other side sees a part
			}
		}
		_ = c.CloseWrite()
	}()
	for {
		r, err := c.hear()
		if r.Status != 0 {
			replies = append(replies, r)
		}
		if err != nil {
			break
		}
	}
	c.Close()
	<-sent
	return replies
}

// TestSameAnswers says the same to net/http's server and to ours: the answers
// are equal, and so is what becomes of the connection.
func TestSameAnswers(t *testing.T) {
	theirs := listen(t, httpServer(answering))
	ours := listen(t, NewHTTPServer(httpServer(answering), always, 100, discard))
	for _, said := range requests {
		for _, size := range []int{len(said), 1, 50} {
			if len(said) > 1000 && size < len(said) {
				continue
			}
			got, want := heard(t, ours, said, size), heard(t, theirs, said, size)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%.200q, %d at a time: net/http, ours:\n%s", said, size, d)
			}
		}
	}
}

// FuzzSameAnswers says anything to both.
func FuzzSameAnswers(f *testing.F) {
	for _, said := range requests {
		if len(said) < 1000 {
			f.Add(said)
		}
	}
	theirs := listen(f, httpServer(answering))
	ours := listen(f, NewHTTPServer(httpServer(answering), always, 100, discard))
	f.Fuzz(func(t *testing.T, said string) {
		got, want := heard(t, ours, said, max(len(said), 1)), heard(t, theirs, said, max(len(said), 1))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: net/http, ours:\n%s", said, d)
		}
	})
}
