package eventsource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	for in, refused := range map[string]bool{
		"PING\r\nPONG\r\n+OK\r\n-ERR 'x'\r\n":                   false,
		"MSG a 1 5\r\nhello\r\nPING\r\n":                        false,
		"HMSG a 1 r 12 17\r\nNATS/1.0\r\n\r\nhello\r\nPING\r\n": false,
		"MSG a 1 14\r\nMSG a 1 999999\r\nPING\r\n":              false, // a message that looks like a line
		"MSG a 1 0\r\n\r\nMSG a 1 99999999999\r\n":              true,
		fmt.Sprintf("MSG a 1 %d\r\n", maxMessage):               false,
		fmt.Sprintf("MSG a 1 %d\r\n", maxMessage+1):             true,
		"MSG a 1 99999999999999999999999\r\n":                   true,
		"MSG a 1 -1\r\n":                                        true,
		"MSG a 1 +1\r\n":                                        true,
		"MSG a 1\t99999999999\r\n":                              true,
		"MSG a 1 99999999999\r5\r\n":                            true,
		"msg a 1 99999999999\r\n":                               true,
		"MSG\r\n":                                               true,
		"MSG a 1 1\r\nx\nMSG a 1 99999999999\r\n":               true, // an end of line that is short of a byte
		"MSG a 1 1\r\nx and more\r\nMSG a 1 99999999999\r\n":    true,
		"INFO " + strings.Repeat("x", maxLine) + "\r\n":         true,
		strings.Repeat("x", maxLine+1):                          true,
	} {
		for _, step := range []int{1, 7, len(in)} {
			g := &guarded{}
			var err error
			for rest := []byte(in); len(rest) > 0 && err == nil; rest = rest[min(step, len(rest)):] {
				err = g.look(rest[:min(step, len(rest))])
			}
			if (err != nil) != refused {
				t.Errorf("%.60q in steps of %d: %v", in, step, err)
			}
		}
	}
}

// FuzzGuard: how a server's bytes are cut makes no difference, and no message
// is longer than allowed.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("INFO {}\r\nMSG a 1 5\r\nhello\r\nHMSG a 1 12 12\r\nNATS/1.0\r\n\r\n\r\nPING\r\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		if step = step&0xFF + 1; step < 1 {
			return
		}
		whole, cut := &guarded{}, &guarded{}
		want := whole.look(in)
		var got error
		for rest := in; len(rest) > 0 && got == nil; rest = rest[min(step, len(rest)):] {
			got = cut.look(rest[:min(step, len(rest))])
		}
		if (want == nil) != (got == nil) || want == nil && (whole.skip != cut.skip || whole.end != cut.end || !bytes.Equal(whole.line, cut.line)) {
			t.Errorf("whole %v %+v, cut %v %+v", want, whole, got, cut)
		}
		if whole.skip > maxMessage || len(whole.line) > maxLine {
			t.Errorf("%d bytes may come, the line has %d", whole.skip, len(whole.line))
		}
	})
}

// TestGreeting: strangers that greet as no NATS server does.
func TestGreeting(t *testing.T) {
	for _, in := range []string{"", "HTTP/1.1 400 Bad Request\r\n", "INFO {", "INFO []\r\n", strings.Repeat("x", 2*maxLine)} {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = io.WriteString(theirs, in) // the reader may have gone
			theirs.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := greet(ctx, ours, &dialer{}); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.40q: %v", in, err)
		}
		cancel()
		ours.Close()
	}
}

func FuzzWithoutTLS(f *testing.F) {
	f.Add([]byte(`INFO {"tls_required":true,"max_payload":1048576}` + "\r\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		plain, _, err := withoutTLS(line)
		if err != nil {
			return
		}
		var info map[string]json.RawMessage
		rest, ok := bytes.CutPrefix(plain, []byte("INFO "))
		if wrong := json.Unmarshal(rest, &info); !ok || wrong != nil || info["tls_required"] != nil || bytes.Count(plain, []byte("\n")) != 1 {
			t.Errorf("%q became %q", line, plain)
		}
	})
}
