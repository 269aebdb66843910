package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent/internal/natsd"
)

const formatKey = "millicent-format" // in the metadata of streams and buckets

// described returns what docs/formats has in backquotes.
func described(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../docs/formats/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no formats: %v", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(string(text), -1) {
			names[strings.TrimSuffix(m[1], "/")] = true
		}
	}
	return names
}

// withStreams calls f with a data directory's state engine, no server running.
func withStreams(t *testing.T, data string, f func(js jetstream.JetStream)) {
	t.Helper()
	nats, err := natsd.Start(filepath.Join(data, "standalone"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	conn, err := nats.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	f(js)
}

// setFormat changes the format of a stream, and returns the one before.
func setFormat(t *testing.T, data, stream, format string) (old string) {
	t.Helper()
	withStreams(t, data, func(js jetstream.JetStream) {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		old = cfg.Metadata[formatKey]
		cfg.Metadata = maps.Clone(cfg.Metadata)
		cfg.Metadata[formatKey] = format
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
	return old
}

// refuses expects a server not to start on a data directory, and to name what
// is of another format.
func refuses(t *testing.T, data, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Run(ctx, Config{Data: data, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Ready: func(string) { cancel() }})
	if err == nil || !strings.Contains(err.Error(), "format") || !strings.Contains(err.Error(), name) {
		t.Errorf("%s of a newer format: got %v, want an error that names both", name, err)
	}
}

// All that a server keeps is described in docs/formats, and has a version there
// of which a newer one is refused.
func TestFormats(t *testing.T) {
	names := described(t)
	data := t.TempDir()
	s := start(t, Config{Data: data})
	s.stop(t)
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !names[e.Name()] {
			t.Errorf("docs/formats does not say what %s in the data directory is", e.Name())
		}
	}
	var streams []string
	withStreams(t, data, func(js jetstream.JetStream) {
		list := js.ListStreams(t.Context())
		for info := range list.Info() {
			name, bucket := strings.CutPrefix(info.Config.Name, "KV_")
			if !names[name] {
				t.Errorf("docs/formats does not describe %s (a bucket: %v)", name, bucket)
			}
			if info.Config.Metadata[formatKey] == "" {
				t.Errorf("%s has no format", name)
			}
			streams = append(streams, info.Config.Name)
		}
		if list.Err() != nil {
			t.Fatal(list.Err())
		}
	})
	if len(streams) < 10 {
		t.Errorf("only %v: the test tests nothing", streams)
	}
	for _, stream := range slices.Sorted(slices.Values(streams)) {
		old := setFormat(t, data, stream, "99")
		refuses(t, data, strings.TrimPrefix(stream, "KV_"))
		setFormat(t, data, stream, old)
	}
	for _, name := range []string{"standalone", "packages"} {
		file := filepath.Join(data, name, "format.json")
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := json.Unmarshal(old, &content); err != nil {
			t.Fatal(err)
		}
		content["format"] = 99
		newer, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{newer, old} {
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if string(b) != string(old) {
				refuses(t, data, name)
			}
		}
	}
	start(t, Config{Data: data}).stop(t) // and nothing was changed by the refusals
}
