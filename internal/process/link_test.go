package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/lifecycle"
)

// A linkTest is a session with a link, and the runtime's ends of it.
type linkTest struct {
	*testing.T
	*link
	runtimeIn, runtimeOut *os.File
}

func newLinkTest(t *testing.T) *linkTest {
	t.Helper()
	l, theirs, err := newLink(newSession(exampleVersion()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.close(); l.close() })
	l.until(time.Now().Add(testWait))
	return &linkTest{t, l, theirs[0], theirs[1]}
}

// says sends what a runtime says and returns what the link makes of it.
func (l *linkTest) says(kind byte, body string) error {
	l.Helper()
	if _, err := l.runtimeOut.Write(appendMessage(nil, kind, []byte(body))); err != nil {
		l.Fatal(err)
	}
	return l.read()
}

// running makes a turn that the runtime has been given.
func (l *linkTest) running(id string) *turn {
	l.Helper()
	if err := l.says(linkNext, ""); err != nil {
		l.Fatal(err)
	}
	t := newTurn(&millicent.Invocation{ID: id, Event: []byte(`{"a":1}`)}, time.Now().Add(testWait))
	if !l.offer(t) {
		l.Fatal("the turn was refused")
	}
	return t
}

func text(s string) string { return string([]byte{byte(len(s))}) + s }

func TestLinkHandsOverWhatTheRuntimeNeeds(t *testing.T) {
	l := newLinkTest(t)
	if err := l.says(linkNext, ""); err != nil {
		t.Fatal(err)
	}
	inv := &millicent.Invocation{
		ID: "id-1", ARN: "arn:a", TraceID: "Root=1", ClientContext: []byte(`{"custom":"grüß\n"}`), Event: []byte(`{"x":[1]}`),
	}
	deadline := time.Now().Add(testWait)
	if !l.offer(newTurn(inv, deadline)) {
		t.Fatal("the turn was refused")
	}
	buf := make([]byte, 4096)
	n, err := l.runtimeIn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	about := `{"requestId":"id-1","deadlineMs":` + strconv.FormatInt(deadline.UnixMilli(), 10) + `,"arn":"arn:a","traceId":"Root=1","clientContext":"{\"custom\":\"grüß\\n\"}"}`
	want := binary.BigEndian.AppendUint32(nil, uint32(len(about)))
	want = appendMessage(nil, linkInvoke, append(append(want, about...), `{"x":[1]}`...))
	if diff := cmp.Diff(string(want), string(buf[:n])); diff != "" {
		t.Error(diff)
	}
}

func TestLinkOutcomes(t *testing.T) {
	type message struct {
		kind byte
		body string
	}
	large := strings.Repeat("x", maxPayload)
	for _, tt := range []struct {
		name     string
		messages []message
		payload  string
		failure  string // error type
		document string
	}{
		{"response", []message{{'R', text("id-1") + text("application/json") + "[1]"}}, "[1]", "", ""},
		{"empty response", []message{{'R', text("id-1") + text("")}}, "", "", ""},
		{"the largest", []message{{'R', text("id-1") + text("") + large}}, large, "", ""},
		{"too large", []message{{'R', text("id-1") + text("") + large + "x"}}, "", "Function.ResponseSizeTooLarge", string(lifecycle.ResponseTooLarge(maxPayload).Document)},
		{"error", []message{{'E', text("id-1") + text("Runtime.Oh") + `{"a":1}`}}, "", "Runtime.Oh", `{"a":1}`},
		{"error of no form", []message{{'E', text("id-1") + text("ValueError") + `{}`}}, "", "Function.Unknown", `{}`},
		{"parts", []message{{'S', text("id-1") + text("text/plain")}, {'C', "a"}, {'C', ""}, {'C', "b"}, {'T', text("")}}, "ab", "", ""},
		{"parts that break off", []message{{'S', text("id-1") + text("")}, {'C', "a"}, {'T', text("Function.Oh") + "{}"}}, "", "Function.Oh", "{}"},
		{"parts too large", []message{{'S', text("id-1") + text("")}, {'C', large}, {'C', "x"}, {'C', large}, {'T', text("")}}, "", "Function.ResponseSizeTooLarge", string(lifecycle.ResponseTooLarge(maxPayload).Document)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLinkTest(t)
			turn := l.running("id-1")
			go func() {
				for _, m := range tt.messages {
					l.runtimeOut.Write(appendMessage(nil, m.kind, []byte(m.body))) // an error shows below
				}
			}()
			for range tt.messages {
				if err := l.read(); err != nil {
					t.Fatal(err)
				}
			}
			out, _ := l.session.abandon(turn)
			if out == nil {
				t.Fatal("no outcome")
			}
			got := [3]string{string(out.payload), "", ""}
			if f := out.failure; f != nil {
				got[1], got[2] = f.Type, string(f.Document)
			}
			if want := [3]string{tt.payload, tt.failure, tt.document}; got != want {
				t.Errorf("got %.200q, want %.200q", got, want)
			}
			l.running("id-2") // and on it goes
		})
	}
}

func TestLinkInitError(t *testing.T) {
	l := newLinkTest(t)
	if err := l.says('F', text("Runtime.ImportModuleError")+`{"errorMessage":"no"}`); err != nil {
		t.Fatal(err)
	}
	f := l.session.initFailure()
	if f == nil || f.Type != "Runtime.ImportModuleError" || string(f.Document) != `{"errorMessage":"no"}` || !f.Fatal {
		t.Errorf("got %+v", f)
	}
}

func TestLinkRefusesWhatTheProtocolDoesNotAllow(t *testing.T) {
	fresh := func(*linkTest) {}
	waiting := func(l *linkTest) {
		if err := l.says('N', ""); err != nil {
			l.Fatal(err)
		}
	}
	running := func(l *linkTest) { l.running("id-1") }
	answered := func(l *linkTest) {
		l.running("id-1")
		if err := l.says('R', text("id-1")+text("")); err != nil {
			l.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		state func(*linkTest)
		kind  byte
		body  string
	}{
		{"no kind", fresh, 'x', ""},
		{"the server's kind", fresh, 'I', ""},
		{"a stem's", fresh, 'B', ""},
		{"a response to nothing", waiting, 'R', text("id-1") + text("")},
		{"a response to another", running, 'R', text("id-2") + text("")},
		{"a second response", answered, 'R', text("id-1") + text("")},
		{"a response cut short", running, 'R', "\x04id"},
		{"a response of no type", running, 'R', text("id-1")},
		{"an error of no type", running, 'E', text("id-1")},
		{"next in between", running, 'N', ""},
		{"next with a body", waiting, 'N', "x"},
		{"a part of nothing", running, 'C', "x"},
		{"the end of nothing", running, 'T', text("")},
		{"a beginning with more", running, 'S', text("id-1") + text("") + "x"},
		{"a second beginning", answered, 'S', text("id-1") + text("")},
		{"a late failure of Init", waiting, 'F', text("") + "{}"},
		{"a failure of Init cut short", fresh, 'F', "\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLinkTest(t)
			tt.state(l)
			if err := l.says(tt.kind, tt.body); !errors.Is(err, errViolation) {
				t.Errorf("got %v, want %v", err, errViolation)
			}
		})
	}
}

func TestLinkReaderBelievesNoLength(t *testing.T) {
	for _, head := range []string{"\x00\x00\x00\x00N", "\xff\xff\xff\xffR", "\x00\x60\x03\x00R", "\x00\x00\x02\x02S"} {
		d := linkReader{src: strings.NewReader(head)}
		if _, _, err := d.next(); !errors.Is(err, errViolation) {
			t.Errorf("%q: got %v, want %v", head, err, errViolation)
		}
	}
	d := linkReader{src: strings.NewReader("\x00\x60\x00\x00R and no more")}
	if _, _, err := d.next(); !errors.Is(err, io.EOF) || cap(d.body) > 128<<10 {
		t.Errorf("got %v, and room for %d bytes", err, cap(d.body))
	}
}

// TestLinkReaderGoesOn: an error of the source loses nothing.
func TestLinkReaderGoesOn(t *testing.T) {
	want := strings.Repeat("abc", 50_000)
	stream := appendMessage(appendMessage(nil, 'R', []byte(want)), 'N', nil)
	d := linkReader{src: iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(stream)))}
	errs := 0
	kind, body, err := d.next()
	for ; err != nil && errs < 10; kind, body, err = d.next() {
		errs++
		d.src = iotest.HalfReader(bytes.NewReader(stream[d.w:])) // one byte at a time until then
	}
	if errs != 1 || kind != 'R' || string(body) != want {
		t.Errorf("got %q of %d bytes after %d errors", kind, len(body), errs)
	}
	if kind, body, err = d.next(); kind != 'N' || len(body) != 0 || err != nil {
		t.Errorf("got %q %q %v, want the next message", kind, body, err)
	}
}

func FuzzLink(f *testing.F) {
	f.Add(appendMessage(appendMessage(nil, 'N', nil), 'R', []byte(text("id-1")+text("a")+"{}")), 3)
	f.Add(appendMessage(appendMessage(nil, 'F', []byte(text("a")+"{}")), 'N', nil), 1)
	f.Add(appendMessage(appendMessage(appendMessage(nil, 'S', []byte(text("id-1")+text(""))), 'C', []byte("x")), 'T', []byte("\x00")), 4096)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		s := newSession(exampleVersion())
		s.state = stateReady
		turn := newTurn(&millicent.Invocation{ID: "id-1"}, time.Now())
		s.turn = turn
		s.take()
		l := &link{session: s}
		l.in.src = pieces{bytes.NewReader(stream), max(1, min(piece, 1<<16))}
		read := 0
		for {
			kind, body, err := l.in.next()
			if err != nil {
				if !errors.Is(err, errViolation) && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
			whole := appendMessage(nil, kind, body)
			if !bytes.Equal(stream[read:read+len(whole)], whole) {
				t.Fatalf("got %q at %d of %q", whole, read, stream)
			}
			read += len(whole)
			if l.apply(kind, body) != nil {
				break
			}
		}
		if out := turn.outcome; out != nil && (len(out.payload) > maxPayload || out.failure != nil && len(out.failure.Document) > maxPayload) {
			t.Error("an outcome over the limit")
		}
	})
}

// pieces gives a few bytes at a time.
type pieces struct {
	io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

// TestPresentIsBounded: whoever writes without an end is not read without one.
func TestPresentIsBounded(t *testing.T) {
	l := newLinkTest(t)
	if _, err := l.runtimeOut.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ left, want int }{{600, 600}, {600, 400}, {600, 0}} {
		got, err := io.ReadAll(&present{l.r, c.left})
		if len(got) != c.want || err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("got %d bytes, want %d (%v)", len(got), c.want, err)
		}
	}
}
