package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestLineKeepsTheRecord(t *testing.T) {
	want := millicent.LogRecord{
		Tenant: "000000000000", Function: "hello", Version: "$LATEST", Stream: "2026/11/23/[$LATEST]0123456789abcdef",
		Invocation: "5ad1f0a4", Time: 1795400000123456, Message: "tab\there, <html> & \"quotes\"\nsecond line \x00 é 😀",
	}
	whole := appendRecord(nil, &want)
	line, rest, _ := bytes.Cut(whole, []byte("\n"))
	if len(rest) != 0 {
		t.Fatalf("a record became more than one line: %q", whole)
	}
	got, err := decodeLine(line)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckHeader(t *testing.T) {
	good := string(headerLine())
	tests := []struct {
		name, content, want string
	}{
		{"good", good, ""},
		{"with records", good + `{"function":"a"}` + "\n", ""},
		{"torn", good[:10], errTorn.Error()},
		{"empty", "", errTorn.Error()},
		{"newer", `{"format":"millicent.log","version":2}` + "\n", "log file has format version 2, known is 1"},
		{"another's", `{"message":"hi"}` + "\n", "not a log file of millicent"},
		{"no JSON", "hello\n", "not a log file of millicent"},
		{"no line", strings.Repeat("x", 1000), "not a log file of millicent"},
	}
	for _, tt := range tests {
		err := checkHeader(strings.NewReader(tt.content))
		if got := errorText(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLinesBackward(t *testing.T) {
	long := strings.Repeat("x", 3*block+17)
	for _, lines := range [][]string{
		nil,
		{"a"},
		{"a", "b", "c"},
		{long, "short", long, "end"},
		{strings.Repeat("y", block-1), strings.Repeat("z", block-1), "w"},
	} {
		for _, end := range []string{"", "\n", "\n\n"} {
			content := strings.Join(lines, "\n") + end
			var got []string
			for line, err := range linesBackward(strings.NewReader(content), int64(len(content))) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(line))
			}
			slices.Reverse(got)
			if !slices.Equal(got, lines) {
				t.Errorf("%d lines that end in %q: got %d", len(lines), end, len(got))
			}
		}
	}
	for _, err := range linesBackward(strings.NewReader("short"), 100) {
		if err == nil {
			t.Error("no error beyond the end of the file")
		}
	}
}

// marshalled returns rec's line as encoding/json writes it.
func marshalled(t *testing.T, rec millicent.LogRecord) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rec); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func FuzzDecodeLine(f *testing.F) {
	f.Add(appendRecord(nil, &millicent.LogRecord{Tenant: "000000000000", Function: "a", Time: 7, Message: "hi\n\u2028"}))
	f.Add([]byte(`{"function":"a","version":"1","stream":"\u007f\u0001","invocation":"\"\\\/\b\r","message":"<a> \t é"}`))
	f.Add([]byte(`{"function":"a","delay":{"wait":{"for":"<busy>","timeUs":7},"start":{"cause":"first","initUs":-1}}}`))
	f.Add([]byte(`{"function":"a","delay":{}}`))
	f.Add(headerLine())
	f.Add([]byte(`{"function":"a","time":1e99}`))
	f.Add([]byte(`{"function":"a"}{"function":"b"}`))
	f.Add([]byte(`{"message":"\ud800","function":"x"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		rec, err := decodeLine(line)
		if err != nil {
			if rec != (millicent.LogRecord{}) {
				t.Errorf("an error and a record: %+v", rec)
			}
			return
		}
		if !utf8.ValidString(rec.Message) {
			t.Errorf("message is not UTF-8: %q", rec.Message)
		}
		whole := appendRecord([]byte("before"), &rec)
		if want := "before" + marshalled(t, rec); string(whole) != want {
			t.Fatalf("got %q, want %q", whole, want)
		}
		again, err := decodeLine(bytes.TrimSuffix(whole[len("before"):], []byte("\n")))
		if err != nil || !cmp.Equal(again, rec) {
			t.Errorf("decoded %+v, encoded and decoded again %+v, %v", rec, again, err)
		}
	})
}

func TestCut(t *testing.T) {
	if got := cut("short"); got != "short" {
		t.Errorf("got %q", got)
	}
	for shift := range 4 {
		message := strings.Repeat("x", shift) + strings.Repeat("😀", maxMessage/4)
		got := cut(message)
		if !utf8.ValidString(got) || len(got) > maxMessage || len(got) < maxMessage-3 || !strings.HasPrefix(message, got) {
			t.Errorf("shift %d: cut to %d bytes, valid %t", shift, len(got), utf8.ValidString(got))
		}
	}
	if got := cut(strings.Repeat("\x80", maxMessage+9)); len(got) < maxMessage-4 {
		t.Errorf("cut bytes that are no text to %d", len(got))
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"hello": true, "A-b_9": true, "000000000000": true, strings.Repeat("a", 64): true,
		"": false, ".": false, "..": false, "a/b": false, "a.b": false, "a\x00": false, "é": false,
		strings.Repeat("a", 65): false,
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

func TestParseFileName(t *testing.T) {
	for name, want := range map[string]uint64{
		"000000000007.jsonl": 7, "1000000000007.jsonl": 1000000000007,
		"7.jsonl": 0, "000000000007.json": 0, "-00000000007.jsonl": 0, "000000000007.jsonl.tmp": 0,
		"99999999999999999999.jsonl": 0,
	} {
		got, ok := parseFileName(name)
		if !ok {
			got = 0
		}
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	if !errors.Is(checkHeader(strings.NewReader("")), errTorn) {
		t.Error("an empty file is not torn")
	}
}
