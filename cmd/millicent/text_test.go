package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

func TestPickRuntime(t *testing.T) {
	runtimes := []client.Runtime{
		{Name: "python3.9", Interpreter: "/usr/bin/python3.9", Exact: true},
		{Name: "python3.11", Interpreter: "/usr/bin/python3.11", Exact: true},
		{Name: "python3.13", Interpreter: "/usr/bin/python3.11"},
		{Name: "python3.14"},
		{Name: "nodejs18.x", Interpreter: "/usr/bin/node"},
		{Name: "nodejs8.10", Interpreter: "/usr/bin/node"},
	}
	for family, want := range map[string]string{"python": "python3.11", "nodejs": "nodejs18.x", "ruby": ""} {
		if got := pickRuntime(runtimes, family); got != want {
			t.Errorf("%s: got %q, want %q", family, got, want)
		}
	}
}

func TestParseEnv(t *testing.T) {
	got, err := parseEnv([]string{"A=1", "B=x=y", "C="})
	if err != nil {
		t.Fatal(err)
	}
	want := &client.Environment{Variables: map[string]string{"A": "1", "B": "x=y", "C": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"A", "=x", ""} {
		if _, err := parseEnv([]string{bad}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	if got, err := parseEnv(nil); got != nil || err != nil {
		t.Errorf("none: %v, %v", got, err)
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"":                     {},
		"10m":                  now.Add(-10 * time.Minute),
		"2026-01-01T00:00:00Z": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := parseSince(in, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"x", "-5m", "2026-01-01"} {
		if _, err := parseSince(bad, now); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestStripControls(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":              "plain\ttext\n",
		"\x1b[31mred\x1b[0m":         "\x1b[31mred\x1b[0m",
		"\x1b]0;title\x07x":          "]0;titlex",
		"a\x1b[2Jb\x1b[1;33mc\x1b[H": "a[2Jb\x1b[1;33mc[H",
		"\u009b31mx\r":               "31mx",
		"":                           "",
		"\x1b[0m":                    "\x1b[0m",
		"\x1b[31\x1b[32mm":           "[31\x1b[32mm",
		"\x1b\x1b[0m[2J":             "\x1b[0m[2J",
	} {
		if got := stripControls(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPrintTable(t *testing.T) {
	var out bytes.Buffer
	err := printTable(&out, []string{"NAME", "STATE"}, [][]string{{"a", "Active"}, {"long\x1b[2J\n", "Failed"}}, stateColour)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "NAME       STATE\na          Active\nlong [2J   Failed\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 123456: "123.5 kB", 262144000: "262.1 MB"} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	refused := &client.Unreachable{Endpoint: "http://h:1", Err: &net.OpError{Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	for _, tt := range []struct {
		err  error
		want string
		code int
	}{
		{refused, "no server at http://h:1: start one with `millicent up`", 1},
		{fmt.Errorf("x: %w", refused), "no server at http://h:1: start one with `millicent up`", 1},
		{&client.Unreachable{Endpoint: "http://h:1", Err: errors.New("timeout")}, "no answer from http://h:1: timeout", 1},
		{millicent.Errorf("ResourceNotFoundException", "Function not found: x."), "Function not found: x (ResourceNotFoundException)", 1},
		{millicent.Throttled(millicent.ReasonConcurrency), "Rate Exceeded: ConcurrentInvocationLimitExceeded (TooManyRequestsException)", 1},
		{millicent.Errorf("MissingAuthenticationTokenException", "Missing Authentication Token"), "set AWS_ACCESS_KEY_ID", 1},
		{&usageError{"millicent list", "no"}, "no (see `millicent list --help`)", 2},
		{context.Canceled, "context canceled", 130},
		{errors.New("plain"), "plain", 1},
	} {
		if got := explain(tt.err); !strings.Contains(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
		if got := exitCode(tt.err); got != tt.code {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.code)
		}
	}
}

func TestBarIsSilentOffTerminals(t *testing.T) {
	var out bytes.Buffer
	b := (&cli{err: &out}).newBar("Packing")
	b.show(1, 2)
	b.clear()
	if out.Len() > 0 {
		t.Errorf("wrote %q", &out)
	}
	b.w = &out
	b.show(1, 2)
	b.show(1, 2)
	if got := out.String(); got != "\rPacking [===============               ]  50%" {
		t.Errorf("drew %q", got)
	}
}
