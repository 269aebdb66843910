package natsd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// childDir tells a re-executed test binary to start a server and hold it.
const childDir = "MILLICENT_NATSD_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child starts a server, writes a key, says so, and waits to be killed.
func child(dir string) int {
	srv, err := Start(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	kv, err := bucket(srv)
	if err == nil {
		_, err = kv.PutString(context.Background(), "key", "from the child")
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent does
	return 0
}

func bucket(srv *Server) (jetstream.KeyValue, error) {
	nc, err := srv.Connect()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return js.CreateOrUpdateKeyValue(context.Background(), jetstream.KeyValueConfig{Bucket: "test"})
}

func mustStart(t *testing.T, dir string) *Server {
	t.Helper()
	srv, err := Start(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestStateSurvivesRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "standalone")
	srv := mustStart(t, dir)
	kv, err := bucket(srv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := srv.Connect(); err == nil {
		t.Error("Connect after Close succeeded")
	}

	kv, err = bucket(mustStart(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(e.Value()); got != "value" {
		t.Errorf("got %q after restart, want %q", got, "value")
	}
}

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "standalone")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir)
	fi, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := fi.Mode().Perm(); got != 0o700 {
		t.Errorf("mode %o, want 700", got)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustStart(t, dir)
	want := fmt.Sprintf("the data directory %s is in use by another millicent server (process %d)", dir, os.Getpid())
	_, err := Start(dir, slog.New(slog.DiscardHandler))
	if err == nil || err.Error() != want {
		t.Errorf("in the same process: got %v, want %s", err, want)
	}

	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.Output()
	if err == nil {
		t.Error("another process started a server on the same directory")
	}
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("in another process: got %q, want %q", got, want)
	}
}

// A server that was killed leaves no lock, and what it acknowledged is there.
func TestKilledServer(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatalf("child ended with %v, want a kill", err)
	}

	kv, err := bucket(mustStart(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(e.Value()); got != "from the child" {
		t.Errorf("got %q, want what the child wrote", got)
	}
}

func TestDecideFormat(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"current", `{"format":1,"mode":"standalone"}`, ""},
		{"newer", `{"format":2,"mode":"standalone"}`, "written by a newer millicent"},
		{"cluster", `{"format":1,"mode":"cluster"}`, `belongs to a server of mode "cluster"`},
		{"no mode", `{"format":1}`, `mode ""`},
		{"no format", `{"mode":"standalone"}`, "damaged"},
		{"not JSON", `format`, "damaged"},
		{"empty", ``, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := decideFormat("/data", []byte(tt.content))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want nil", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func FuzzDecideFormat(f *testing.F) {
	f.Add([]byte(`{"format":1,"mode":"standalone"}`))
	f.Add([]byte(`{"format":2,"mode":"cluster"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if decideFormat("/data", content) == nil && !bytes.Contains(content, []byte("1")) {
			t.Errorf("%q passed", content)
		}
	})
}

// A refused directory is let go of and not changed.
func TestStartRefusesForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "format.json")
	if err := os.WriteFile(name, []byte(`{"format":1,"mode":"cluster"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(dir, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("started on a cluster's directory")
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the refused directory was written to: %v", err)
	}

	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no format.json") {
		t.Errorf("got %v for data without a format", err)
	}
}

// A start that fails within NATS says why and lets go of the directory.
func TestStartFailure(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "jetstream"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "format.json"), []byte(`{"format":1,"mode":"standalone"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := filepath.Join(dir, "jetstream", "jetstream")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(dir, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("started on a store that is a file")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir)
}

func TestMessagesOfStoreSizePass(t *testing.T) {
	kv, err := bucket(mustStart(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := kv.Put(ctx, "big", make([]byte, 6<<20)); err != nil {
		t.Errorf("6 MB value: %v", err)
	}
}

func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		srv, err := Start(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := srv.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
