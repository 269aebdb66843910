package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent/internal/wasm"
)

// sent returns what a Conn writes.
func sent(t testing.TB, send func(c *Conn) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := send(NewConn(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFrames(t *testing.T) {
	var stream []byte
	bodies := []string{"", "short", strings.Repeat("x", keep), strings.Repeat("y", apart+1), strings.Repeat("z", MaxPart), "end"}
	for _, body := range bodies {
		stream = append(stream, sent(t, func(c *Conn) error { return c.Send(c.Begin(Part), []byte(body)) })...)
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"by halves": iotest.HalfReader(bytes.NewReader(stream)), "with the end": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		c := NewConn(struct {
			io.Reader
			io.Writer
		}{r, io.Discard})
		for i, want := range bodies {
			kind, got, err := c.Next()
			if err != nil || kind != Part || string(got) != want {
				t.Errorf("%s, frame %d: got %d of %d bytes, %v", name, i, kind, len(got), err)
			}
		}
		if _, _, err := c.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

func TestBadFrames(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   error
	}{
		"a kind that is none": {"\xff\x00\x00\x00\x00", ErrFrame},
		"too long":            {string([]byte{byte(Log)}) + "\x01\x00\x04\x00", ErrFrame},
		"4 GB":                {string([]byte{byte(Answer)}) + "\xff\xff\xff\xff", ErrFrame},
		"half a head":         {string([]byte{byte(Log)}) + "\x01", io.ErrUnexpectedEOF},
		"half a body":         {string([]byte{byte(Log)}) + "\x02\x00\x00\x00a", io.ErrUnexpectedEOF},
	} {
		if _, _, err := NewConn(bytes.NewBufferString(c.stream)).Next(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	c := NewConn(&bytes.Buffer{})
	if err := c.Send(c.Begin(Log), make([]byte, MaxLog+1)); !errors.Is(err, ErrFrame) {
		t.Errorf("sent too long a log: %v", err)
	}
}

// fill sets every field of a struct to something that is not zero, so that a
// field that does not travel is found here.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		name := v.Type().Field(i).Name
		if name == "Dir" || name == "Log" || name == "Fetch" {
			continue
		}
		switch f.Interface().(type) {
		case string:
			f.SetString("text of " + name)
		case []string:
			f.Set(reflect.ValueOf([]string{"A=" + name, "", "B=2"}))
		case int, int64, time.Duration:
			f.SetInt(int64(1000 + i))
		case uint64:
			f.SetUint(1<<63 + uint64(i))
		case bool:
			f.SetBool(true)
		case []byte:
			f.SetBytes([]byte("bytes of " + name))
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1_700_000_000, 12345)))
		case *wasm.Failure:
			failure := &wasm.Failure{}
			fill(reflect.ValueOf(failure).Elem())
			f.Set(reflect.ValueOf(failure))
		default:
			panic("a field of a kind that does not travel: " + name)
		}
	}
}

func TestMessages(t *testing.T) {
	var spec, gotSpec Spec
	fill(reflect.ValueOf(&spec.Spec).Elem())
	if err := gotSpec.Decode(spec.Append(nil)); err != nil || !reflect.DeepEqual(gotSpec, spec) {
		t.Errorf("spec: got %+v, %v", gotSpec, err)
	}
	var opening wasm.Opening
	fill(reflect.ValueOf(&opening).Elem())
	if got, err := DecodeOpening(AppendOpening(nil, opening)); err != nil || got != opening {
		t.Errorf("opening: got %+v, %v", got, err)
	}
	head, gotHead := FileHead{"a/b", 1 << 20, time.Unix(1_700_000_000, 0)}, FileHead{}
	if err := gotHead.Decode(head.Append(nil)); err != nil || gotHead != head {
		t.Errorf("file: got %+v, %v", gotHead, err)
	}
	var req, gotReq wasm.Request
	fill(reflect.ValueOf(&req).Elem())
	gotReq.Environ = make([]string, 1, 10)
	if err := DecodeRequest(append(AppendRequest(nil, &req), req.Event...), &gotReq); err != nil || !reflect.DeepEqual(gotReq, req) {
		t.Errorf("request: got %+v, %v", gotReq, err)
	}
	var answer wasm.Answer
	fill(reflect.ValueOf(&answer).Elem())
	got, err := DecodeAnswer(append(AppendAnswer(nil, &answer), answer.Payload...))
	if err != nil || !reflect.DeepEqual(got, &answer) {
		t.Errorf("answer: got %+v, %v", got, err)
	}
	own := &wasm.Failure{Type: "T", Message: "M", Timeout: true, Document: []byte("{}")}
	var gotOwn *wasm.Failure
	if err := DecodeFailed(AppendFailed(nil, own)); !errors.As(err, &gotOwn) || !reflect.DeepEqual(gotOwn, own) {
		t.Errorf("failure: got %v", err)
	}
	if err := DecodeFailed(AppendFailed(nil, io.ErrNoProgress)); errors.As(err, &gotOwn) || err.Error() != io.ErrNoProgress.Error() {
		t.Errorf("error: got %v", err)
	}
	if err := DecodeFailed(AppendFailed(nil, fmt.Errorf("open: %w", wasm.ErrNotPrepared))); !errors.Is(err, wasm.ErrNotPrepared) {
		t.Errorf("not prepared: got %v", err)
	}
	control, gotControl := Control{1 << 63, 7}, Control{}
	if err := gotControl.Decode(control.Append(nil)); err != nil || gotControl != control {
		t.Errorf("control: got %+v, %v", gotControl, err)
	}
	if err := gotControl.Decode([]byte("short")); !errors.Is(err, ErrFrame) {
		t.Errorf("short control: %v", err)
	}
}

// An answer without a payload is an empty one, if the function succeeded.
func TestEmptyPayload(t *testing.T) {
	got, err := DecodeAnswer(AppendAnswer(nil, &wasm.Answer{}))
	if diff := cmp.Diff(&wasm.Answer{Payload: []byte{}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(byte(Answer), AppendAnswer(nil, &wasm.Answer{CPU: 5, Failure: &wasm.Failure{Type: "T"}}))
	f.Add(byte(Request), AppendRequest(nil, &wasm.Request{Environ: []string{"a", "b"}}))
	f.Add(byte(Open), (&Spec{wasm.Spec{Digest: "d", Environ: []string{"a"}}}).Append(nil))
	f.Add(byte(Compiled), (&FileHead{Path: "p", Size: 1}).Append(nil))
	f.Add(byte(Failed), AppendFailed(nil, io.EOF))
	f.Add(byte(Failed), AppendFailed(nil, wasm.ErrNotPrepared))
	f.Add(byte(Opened), AppendOpening(nil, wasm.Opening{Loaded: true}))
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		switch Kind(kind) {
		case Answer:
			if a, err := DecodeAnswer(body); err == nil && (a.CPU < 0 || a.Peak < 0) {
				t.Errorf("got %+v", a)
			}
		case Request:
			var r wasm.Request
			if DecodeRequest(body, &r) == nil && len(r.Environ) > len(body) {
				t.Errorf("got %d strings of %d bytes", len(r.Environ), len(body))
			}
		case Open:
			var s Spec
			if s.Decode(body) == nil && (s.MemoryMB < 0 || s.InitTime < 0) {
				t.Errorf("got %+v", s)
			}
		case Compiled:
			var h FileHead
			if h.Decode(body) == nil && (h.Size < 0 || h.Size > maxFile) {
				t.Errorf("got %+v", h)
			}
		case Opened:
			if o, err := DecodeOpening(body); err == nil && (o.Load < 0 || o.Init < 0 || o.Idle < 0) {
				t.Errorf("got %+v", o)
			}
		default:
			if DecodeFailed(body) == nil {
				t.Error("a failure is no error")
			}
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(sent(f, func(c *Conn) error { return c.Send(c.Begin(Log), []byte("line")) }))
	f.Add([]byte{byte(Answer), 0xff, 0xff, 0x7f, 0, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := NewConn(struct {
			io.Reader
			io.Writer
		}{iotest.HalfReader(bytes.NewReader(stream)), io.Discard})
		for left := len(stream); ; {
			_, body, err := c.Next()
			if len(c.in) > len(stream)+headSize+growth {
				t.Fatalf("%d bytes of memory for %d that came", len(c.in), len(stream))
			}
			if err != nil {
				return
			}
			if left -= headSize + len(body); left < 0 {
				t.Fatal("more bodies than stream")
			}
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	ours, theirs := net.Pipe()
	go func() {
		c := NewConn(theirs)
		for {
			if _, _, err := c.Next(); err != nil {
				return
			}
		}
	}()
	c := NewConn(ours)
	req := wasm.Request{Event: []byte("event"), Environ: []string{"A=1", "B=2"}, Deadline: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Send(AppendRequest(c.Begin(Request), &req), req.Event); err != nil {
			b.Fatal(err)
		}
	}
	ours.Close()
}

// writes counts what is written, and takes it.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return w.Buffer.Write(p)
}

// What is held goes with the next frame, in one write, in order; much of it
// does not wait.
func TestHold(t *testing.T) {
	var w writes
	c := NewConn(&w)
	hold := func(text string) {
		t.Helper()
		if err := c.Hold(c.Begin(Log), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(most int, want ...string) {
		t.Helper()
		if w.n == 0 || w.n > most {
			t.Errorf("%d writes, want at most %d", w.n, most)
		}
		for i, text := range want {
			if kind, body, err := c.Next(); string(body) != text || err != nil {
				t.Fatalf("frame %d: kind %d, %.50q of %d bytes, %v", i, kind, body, len(body), err)
			}
		}
		if w.Len() > 0 {
			t.Errorf("%d bytes more", w.Len())
		}
		w.n = 0
	}
	hold("one")
	hold("two")
	if err := c.Send(append(c.Begin(Answer), "three "...), []byte("four")); err != nil {
		t.Fatal(err)
	}
	expect(1, "one", "two", "three four")

	hold("five")
	for range 2 {
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	expect(1, "five")

	large := strings.Repeat("x", MaxLog)
	hold("six")
	if err := c.Hold(c.Begin(Log), []byte(large+"x")); !errors.Is(err, ErrFrame) {
		t.Errorf("too large: %v", err)
	}
	hold(large)
	expect(2, "six", large)

	many := make([]string, 100)
	for i := range many {
		many[i] = strings.Repeat("y", keep/10)
		hold(many[i])
	}
	if w.n == 0 {
		t.Error("100 frames wait")
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	expect(100, many...)
}
