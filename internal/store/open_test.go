package store

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

const testTenant = "000000000000"

// startJetStream starts a state server on a directory, as natsd does.
func startJetStream(t testing.TB, dir string) (js jetstream.JetStream, stop func()) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	js, err = jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, func() {
		nc.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

// newJetStream starts a state server that ends with the test.
func newJetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, stop := startJetStream(t, t.TempDir())
	t.Cleanup(stop)
	return js
}

// mustOpen opens a store that is closed with the test.
func mustOpen(t testing.TB, js jetstream.JetStream, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := Open(testContext(t), js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testContext bounds what a test waits for.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// file is an entry of a zip file made for a test.
type file struct {
	name    string
	content string
	mode    fs.FileMode
}

func zipOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate,
			Modified: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
		if f.mode == 0 {
			f.mode = 0o644
		}
		h.SetMode(f.mode)
		e, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func putZip(t testing.TB, s *Store, content []byte) millicent.Package {
	t.Helper()
	p, err := s.PutPackage(testContext(t), bytes.NewReader(content), 50<<20)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newFunction returns a function that is ready to be created. It is Active at
// once if it has no package.
func newFunction(name string, p millicent.Package) *millicent.Function {
	f := &millicent.Function{
		Tenant: testTenant,
		Name:   name,
		Draft: &millicent.Version{
			Runtime: "python3.13", Handler: "app.handler", Role: "arn:aws:iam::000000000000:role/r",
			Timeout: 3 * time.Second, MemoryMB: 128, TmpMB: 512, Arch: "x86_64", Package: p,
			Environment: map[string]string{"KEY": "value"},
		},
	}
	if p.SHA256 == "" {
		f.Draft.State, f.Draft.LastUpdate = millicent.StateActive, millicent.UpdateSuccessful
	}
	return f
}

func mustCreate(t testing.TB, s *Store, f *millicent.Function) *millicent.Function {
	t.Helper()
	f, err := s.Create(testContext(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustPublish(t testing.TB, s *Store, name string) *millicent.Version {
	t.Helper()
	v, err := s.Publish(testContext(t), testTenant, name, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustUpdate(t testing.TB, s *Store, name string, change func(*millicent.Function)) *millicent.Function {
	t.Helper()
	f, err := s.Update(testContext(t), testTenant, name, func(f *millicent.Function) error {
		change(f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// awaitSettled waits until a draft or version is not waiting for its
// activation any more.
func awaitSettled(t testing.TB, s *Store, name, number string) *millicent.Version {
	t.Helper()
	ctx := testContext(t)
	for {
		v, err := s.Version(testTenant, name, number)
		if err != nil {
			t.Fatal(err)
		}
		if !unsettled(v) {
			return v
		}
		if err := s.functions.awaitChange(ctx); err != nil {
			t.Fatalf("%s:%s is still %s, %s: %v", name, number, v.State, v.LastUpdate, err)
		}
	}
}

func wantError(t testing.TB, err error, code, message string) {
	t.Helper()
	var e *millicent.Error
	if !errors.As(err, &e) || e.Code != code || e.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}
