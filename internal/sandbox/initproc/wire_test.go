package initproc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWire(t *testing.T) {
	cfg := Config{
		UID: 1_900_000_001, GID: 4_294_967_295, Rootless: true, Hostname: "h", HasRoot: true, HasTmp: true,
		TmpSize: 1 << 40, Targets: []string{"/var/task", "/opt"}, Sources: []string{"/a", "/b"}, Tasks: 5, Redirect: 65535, Filter: []byte{0, 255}, Files: 65536,
		Ports: []Port{{TCP, [4]byte{127, 0, 0, 1}, 80}, {UDP, [4]byte{}, 65535}},
	}
	var gotCfg Config
	if err := gotCfg.Unmarshal(cfg.Marshal()); err != nil || !cmp.Equal(gotCfg, cfg) {
		t.Error(err, cmp.Diff(gotCfg, cfg))
	}
	req := Request{
		Kind: Start, Seq: 7, Path: "/bin/sh", Dir: "/", Args: []string{"sh", "", "-c"}, Env: []string{"A=b"},
		Std: 5, PID: 3, Signal: 9, Target: "/opt", Port: Port{UDP, [4]byte{1, 2, 3, 4}, 53},
	}
	var gotReq Request
	if err := gotReq.Unmarshal(req.Marshal()); err != nil || !cmp.Equal(gotReq, req) {
		t.Error(err, cmp.Diff(gotReq, req))
	}
	ev := Event{
		Kind: Answer, Seq: 1 << 31, Errno: 2, Op: "exec", PID: 77, Code: 255, Signal: 64,
		Missing: []string{"landlock"},
	}
	var gotEv Event
	if err := gotEv.Unmarshal(ev.Marshal()); err != nil || !cmp.Equal(gotEv, ev) {
		t.Error(err, cmp.Diff(gotEv, ev))
	}
}

func TestWireRefuses(t *testing.T) {
	good := (&Request{Kind: Start, Args: []string{"x"}}).Marshal()
	other := (&Config{}).Marshal()
	other[0]++ // another version
	for name, f := range map[string]func() error{
		"empty":           func() error { return new(Request).Unmarshal(nil) },
		"cut":             func() error { return new(Request).Unmarshal(good[:len(good)-1]) },
		"too long":        func() error { return new(Request).Unmarshal(append(bytes.Clone(good), 0)) },
		"an event":        func() error { return new(Request).Unmarshal((&Event{Kind: Ready}).Marshal()) },
		"a request":       func() error { return new(Event).Unmarshal(good) },
		"another version": func() error { return new(Config).Unmarshal(other) },
		"a huge list":     func() error { return new(Request).Unmarshal([]byte{1, 0, 0, 0, 0xff, 0x1f, 0}) },
		"a huge string":   func() error { return new(Request).Unmarshal([]byte{1, 0, 0xff, 0xff, 0x07}) },
		"an endless varint": func() error {
			return new(Request).Unmarshal(append([]byte{1}, bytes.Repeat([]byte{0xff}, 20)...))
		},
	} {
		if err := f(); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %v, want ErrMessage", name, err)
		}
	}
}

// FuzzWire checks that whatever is taken for a message is the message that
// it is written as.
func FuzzWire(f *testing.F) {
	f.Add((&Request{Kind: Start, Path: "/bin/sh", Args: []string{"sh"}, Env: []string{"A=b", ""}}).Marshal())
	f.Add((&Config{Hostname: "h", Targets: []string{"/opt"}}).Marshal())
	f.Add((&Event{Kind: Exited, PID: 4, Missing: []string{"x"}}).Marshal())
	f.Fuzz(func(t *testing.T, p []byte) {
		var c, c2 Config
		if c.Unmarshal(p) == nil && (c2.Unmarshal(c.Marshal()) != nil || !cmp.Equal(c, c2)) {
			t.Errorf("config %+v reads back as %+v", c, c2)
		}
		var r, r2 Request
		if r.Unmarshal(p) == nil && (r2.Unmarshal(r.Marshal()) != nil || !cmp.Equal(r, r2)) {
			t.Errorf("request %+v reads back as %+v", r, r2)
		}
		var e, e2 Event
		if e.Unmarshal(p) == nil && (e2.Unmarshal(e.Marshal()) != nil || !cmp.Equal(e, e2)) {
			t.Errorf("event %+v reads back as %+v", e, e2)
		}
	})
}
