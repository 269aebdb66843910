package egress

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// document returns a request's.
func document(t testing.TB, head any, body string) []byte {
	t.Helper()
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...), body...)
}

// response reads one.
func response(t testing.TB, document []byte) (head fetchResponse, body string) {
	t.Helper()
	n := binary.LittleEndian.Uint32(document)
	if err := json.Unmarshal(document[4:4+n], &head); err != nil {
		t.Fatal(err)
	}
	return head, string(document[4+n:])
}

// outsideHTTP is a server that is known as api.example.com, and a gateway that
// reaches it.
func outsideHTTP(t *testing.T, handler http.HandlerFunc) *Gateway {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	addr := netip.MustParseAddrPort(server.Listener.Addr().String())
	cfg := world(Config{Mode: Public}, map[string]netip.AddrPort{"198.51.99.1:80": addr})
	cfg.names = knownNames{
		"api.example.com.": "198.51.99.1", "inside.example.com.": "10.0.0.1", "localhost.": "127.0.0.1", "rebound.example.com.": "169.254.169.254",
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func answers(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/large":
		_, _ = io.CopyN(w, zeros{}, maxFetchBody+1)
	case "/slow":
		<-r.Context().Done()
	case "/loop":
		http.Redirect(w, r, "/loop", http.StatusFound)
	case "/to":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	default:
		w.Header().Set("X-Got", fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.Header.Get("X-Sent"), body))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "answer")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestFetch(t *testing.T) {
	g := outsideHTTP(t, answers)
	f := g.Fetcher([]string{"*.example.com", "localhost", "127.0.0.1"})
	defer f.Close()
	got, body := response(t, f.Fetch(t.Context(), document(t, fetchRequest{
		Method: "POST", URL: "http://api.example.com/x", Headers: [][2]string{{"x-sent", "1"}, {"host", "other.example.com"}},
	}, "event")))
	if got.Error != "" || got.Status != http.StatusTeapot || body != "answer" || got.URL != "http://api.example.com/x" {
		t.Errorf("got %+v, %q", got, body)
	}
	if !strings.Contains(fmt.Sprint(got.Headers), "[X-Got POST api.example.com 1 event]") {
		t.Errorf("headers %v", got.Headers)
	}
	if n := f.Sent(); n < int64(len("POST /x HTTP/1.1\r\nevent")) || n > 1000 {
		t.Errorf("%d bytes are said to be sent", n)
	}
	if got, _ := response(t, f.Fetch(t.Context(), document(t, fetchRequest{URL: "http://api.example.com/to?to=/x"}, ""))); got.Status != http.StatusTeapot {
		t.Errorf("a redirect: %+v", got)
	}
	if got, _ := response(t, f.Fetch(t.Context(), document(t, fetchRequest{URL: "http://api.example.com/to?to=/x", Redirect: "manual"}, ""))); got.Status != http.StatusFound {
		t.Errorf("a redirect that is not followed: %+v", got)
	}
}

// What a function may not reach it does not reach by HTTP, either.
func TestFetchRefused(t *testing.T) {
	g := outsideHTTP(t, answers)
	allow := []string{"*.example.com", "localhost", "127.0.0.1", "10.0.0.0/8"}
	for name, c := range map[string]struct {
		allow []string
		head  any
		want  string
	}{
		"no allow-list":                {nil, fetchRequest{URL: "http://api.example.com/"}, "off"},
		"not on the list":              {[]string{"other.example.com"}, fetchRequest{URL: "http://api.example.com/"}, "allow-list"},
		"another port":                 {[]string{"api.example.com:443"}, fetchRequest{URL: "http://api.example.com/"}, "allow-list"},
		"loopback by name":             {allow, fetchRequest{URL: "http://localhost/"}, "loopback"},
		"loopback by address":          {allow, fetchRequest{URL: "http://127.0.0.1/"}, "loopback"},
		"loopback in IPv6":             {allow, fetchRequest{URL: "http://[::1]/"}, "refused"},
		"a private address":            {allow, fetchRequest{URL: "http://10.0.0.1/"}, "private"},
		"a name of a private address":  {allow, fetchRequest{URL: "http://inside.example.com/"}, "private"},
		"a name of a metadata address": {allow, fetchRequest{URL: "http://rebound.example.com/"}, "refused"},
		"a redirect to loopback":       {allow, fetchRequest{URL: "http://api.example.com/to?to=http://127.0.0.1/"}, "loopback"},
		"a redirect to elsewhere":      {allow, fetchRequest{URL: "http://api.example.com/to?to=http://example.org/"}, "allow-list"},
		"a redirect to a file":         {allow, fetchRequest{URL: "http://api.example.com/to?to=file:///etc/passwd"}, "unsupported protocol"},
		"redirects without end":        {allow, fetchRequest{URL: "http://api.example.com/loop"}, "more than 5 redirects"},
		"a redirect not wanted":        {allow, fetchRequest{URL: "http://api.example.com/to?to=/", Redirect: "error"}, "redirect"},
		"a file":                       {allow, fetchRequest{URL: "file:///etc/passwd"}, "http://"},
		"a tunnel":                     {allow, fetchRequest{Method: "CONNECT", URL: "http://api.example.com/"}, "CONNECT"},
		"a method that is none":        {allow, fetchRequest{Method: "A B", URL: "http://api.example.com/"}, "method"},
		"a header that is none":        {allow, fetchRequest{URL: "http://api.example.com/", Headers: [][2]string{{"a\r\nb", "c"}}}, "header"},
		"too many headers":             {allow, fetchRequest{URL: "http://api.example.com/", Headers: make([][2]string, maxFetchHeaders+1)}, "header"},
		"too large an answer":          {allow, fetchRequest{URL: "http://api.example.com/large"}, "larger"},
		"too slow an answer":           {allow, fetchRequest{URL: "http://api.example.com/slow", Timeout: 50}, "deadline"},
		"no JSON":                      {allow, "text", "head"},
	} {
		f := g.Fetcher(c.allow)
		got, _ := response(t, f.Fetch(t.Context(), document(t, c.head, "")))
		if got.Status != 0 || !strings.Contains(got.Error, c.want) {
			t.Errorf("%s: got %+v", name, got)
		}
		f.Close()
	}
}

func TestFetchBounds(t *testing.T) {
	g := outsideHTTP(t, answers)
	f := g.Fetcher([]string{"api.example.com"})
	defer f.Close()
	ask := func() fetchResponse {
		head, _ := response(t, f.Fetch(t.Context(), document(t, fetchRequest{URL: "http://api.example.com/"}, "")))
		return head
	}
	for range maxFetches {
		if got := ask(); got.Status != http.StatusTeapot {
			t.Fatalf("got %+v", got)
		}
	}
	if got := ask(); got.Error == "" {
		t.Errorf("more than the most: got %+v", got)
	}
	f.Begin(nil)
	if got := ask(); got.Status != http.StatusTeapot {
		t.Errorf("in the next invocation: got %+v", got)
	}
	f.Begin(purseOf(10).pay)
	before := f.Sent()
	if got := ask(); got.Error == "" || f.Sent() != before {
		t.Errorf("what nobody pays for: got %+v, and %d bytes were sent", got, f.Sent()-before)
	}
	f.Begin(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, _ := response(t, f.Fetch(ctx, document(t, fetchRequest{URL: "http://api.example.com/slow"}, ""))); got.Error == "" {
		t.Errorf("beyond the context: got %+v", got)
	}
}

func FuzzFetchRequest(f *testing.F) {
	f.Add(document(f, fetchRequest{Method: "GET", URL: "http://a/", Headers: [][2]string{{"a", "b"}}}, "body"))
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, p []byte) {
		head, body, err := parseFetch(p)
		if err != nil {
			return
		}
		req, err := head.request(t.Context(), body)
		if err == nil && (req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.Host != req.URL.Host) {
			t.Errorf("got %s to %s", req.URL, req.Host)
		}
	})
}
