package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

const tenant = "000000000000"

func open(t testing.TB, cfg LogsConfig) *Logs {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	l, err := NewLogs(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func record(function, message string) millicent.LogRecord {
	return millicent.LogRecord{
		Tenant: tenant, Function: function, Version: millicent.Latest, Stream: "s",
		Time: time.Now().UnixMicro(), Message: message,
	}
}

func read(t testing.TB, l *Logs, q Query) []string {
	t.Helper()
	q.Tenant = tenant
	records, err := l.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	messages := make([]string, len(records))
	for i, rec := range records {
		if rec.Function != q.Function || rec.Tenant != tenant {
			t.Errorf("got a record of %s/%s", rec.Tenant, rec.Function)
		}
		messages[i] = rec.Message
	}
	return messages
}

// numbers returns "from" to "to" as decimal strings.
func numbers(from, to int) (s []string) {
	for i := from; i <= to; i++ {
		s = append(s, strconv.Itoa(i))
	}
	return s
}

func wantMessages(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func logFiles(t *testing.T, dir, function string) (names []string, bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, tenant, function))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, entry.Name())
		bytes += info.Size()
	}
	return names, bytes
}

func TestReadWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	l := open(t, LogsConfig{Dir: dir})
	var since time.Time
	for i := 1; i <= 30; i++ {
		if i == 21 {
			time.Sleep(time.Millisecond) // another microsecond, at least
			since = time.Now()
		}
		l.Write(record("a", strconv.Itoa(i)))
		l.Write(record("b", "other"))
	}
	check := func(l *Logs) {
		t.Helper()
		wantMessages(t, read(t, l, Query{Function: "a"}), numbers(1, 30))
		wantMessages(t, read(t, l, Query{Function: "a", Limit: 5}), numbers(26, 30))
		wantMessages(t, read(t, l, Query{Function: "a", Since: since}), numbers(21, 30))
		wantMessages(t, read(t, l, Query{Function: "a", Since: time.Now().Add(time.Hour)}), []string{})
		wantMessages(t, read(t, l, Query{Function: "nobody"}), []string{})
	}
	check(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write(record("a", "too late"))
	if _, err := l.Read(t.Context(), Query{Tenant: tenant, Function: "a"}); millicent.ErrorCode(err) != millicent.CodeServerUnavailable {
		t.Errorf("Read after Close: %v", err)
	}
	check(open(t, LogsConfig{Dir: dir}))
}

func TestBadNames(t *testing.T) {
	dir := t.TempDir()
	l := open(t, LogsConfig{Dir: filepath.Join(dir, "logs")})
	for _, name := range []string{"", "..", "../../x", "a/b"} {
		_, err := l.Read(t.Context(), Query{Tenant: tenant, Function: name})
		if millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("%q: Read returned %v", name, err)
		}
		err = l.Follow(t.Context(), Query{Tenant: name, Function: "a"}, nil)
		if millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("%q: Follow returned %v", name, err)
		}
		l.Write(record(name, "x"))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var found []string
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		found = append(found, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 { // dir and logs
		t.Errorf("files were made: %v", found)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, LogsConfig{Dir: dir, FileBytes: 2000, FunctionBytes: 10_000})
	wrote := 0
	for range 20 { // in batches of several sizes
		for range wrote%7 + 3 {
			wrote++
			l.Write(record("a", strconv.Itoa(wrote)))
		}
		read(t, l, Query{Function: "a", Limit: 1})
	}
	got := read(t, l, Query{Function: "a"})
	first, err := strconv.Atoi(got[0])
	if err != nil {
		t.Fatal(err)
	}
	wantMessages(t, got, numbers(first, wrote))
	names, bytes := logFiles(t, dir, "a")
	if bytes > 10_000 || bytes < 6_000 || len(names) < 4 || names[0] == "000000000001.jsonl" {
		t.Errorf("%d bytes are kept in %v", bytes, names)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, tenant, "a", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 2000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes, mode %v", name, info.Size(), info.Mode())
		}
	}

	// A record larger than a file still has its place.
	l.Write(record("b", strings.Repeat("x", 5000)))
	l.Write(record("b", "small"))
	if got := read(t, l, Query{Function: "b"}); len(got) != 2 || len(got[0]) != 5000 {
		t.Errorf("got %d records", len(got))
	}
}

func TestOpensWhatACrashLeft(t *testing.T) {
	whole := string(headerLine()) + `{"tenant":"000000000000","function":"a","message":"1"}` + "\n"
	tests := []struct {
		name, content string
		want          []string
	}{
		{"whole", whole, []string{"1", "new", "newer"}},
		{"torn line", whole + `{"tenant":"00000`, []string{"1", "new", "newer"}},
		{"torn line, complete but for the newline", whole[:len(whole)-1], []string{"1", "new", "newer"}},
		{"torn header", whole[:9], []string{"new", "newer"}},
		{"empty", "", []string{"new", "newer"}},
		{"garbage within", whole + "garbage\n\x00\x00\n", []string{"1", "new", "newer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			folder := filepath.Join(dir, tenant, "a")
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "000000000001.jsonl"), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			l := open(t, LogsConfig{Dir: dir})
			l.Write(record("a", "new"))
			read(t, l, Query{Function: "a"})
			l.Write(record("a", "newer"))
			wantMessages(t, read(t, l, Query{Function: "a"}), tt.want)
		})
	}
}

func TestUnknownFormatVersion(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, tenant, "a")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	newer := []byte(`{"format":"millicent.log","version":2}` + "\n")
	path := filepath.Join(folder, "000000000001.jsonl")
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, LogsConfig{Dir: dir})
	l.Write(record("a", "new"))
	if _, err := l.Read(t.Context(), Query{Tenant: tenant, Function: "a"}); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got error %v, want one of the version", err)
	}
	wantMessages(t, read(t, l, Query{Function: "a", Limit: 1}), []string{"new"})
	if got, err := os.ReadFile(path); err != nil || string(got) != string(newer) {
		t.Errorf("the newer file was touched: %q, %v", got, err)
	}
}

// hold keeps the writer from its work until the returned function is called.
func hold(l *Logs) (release func()) {
	l.mu.Lock()
	return l.mu.Unlock
}

func TestOverflowIsCounted(t *testing.T) {
	l := open(t, LogsConfig{BufferBytes: 200 * (recordBytes + 10)}) // half of it for one function
	release := hold(l)
	for i := range 1000 {
		l.Write(record("a", fmt.Sprintf("%010d", i)))
	}
	release()
	kept, records, bytes := 0, 0, 0
	for _, message := range read(t, l, Query{Function: "a"}) {
		var notice struct {
			Type   string
			Record struct{ DroppedBytes, DroppedRecords int }
		}
		if len(message) == 10 {
			kept++
		} else if err := json.Unmarshal([]byte(message), &notice); err != nil || notice.Type != "platform.logsDropped" {
			t.Errorf("got %s, want a notice", message)
		}
		records += notice.Record.DroppedRecords
		bytes += notice.Record.DroppedBytes
	}
	// Up to two shares full: what the writer had taken, and what came then.
	if kept < 100 || kept > 200 {
		t.Errorf("%d records were kept, want 100 to 200", kept)
	}
	if records != 1000-kept || bytes != 10*records {
		t.Errorf("%d records of %d bytes are told to be missing, of %d kept", records, bytes, kept)
	}
}

func TestDiskErrorIsCounted(t *testing.T) {
	dir := t.TempDir()
	// A file stands where the function's folder has to be.
	if err := os.MkdirAll(filepath.Join(dir, tenant), 0o700); err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(dir, tenant, "a")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	l := open(t, LogsConfig{Dir: dir, Log: slog.New(slog.NewTextHandler(&said, nil))})
	for range 7 {
		l.Write(record("a", "lost"))
		if err := l.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	l.Write(record("a", "kept"))
	got := read(t, l, Query{Function: "a"})
	if len(got) != 2 || got[0] != "kept" || !strings.Contains(got[1], `"droppedBytes":28,"droppedRecords":7,`) {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(said.String(), "log can't be written"); n != 1 {
		t.Errorf("the server's log has %d complaints, want one for all that failed at once:\n%s", n, &said)
	}
}

func TestSurplus(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	file := func(name string, age time.Duration, size int64) fileInfo {
		return fileInfo{functionKey{tenant, name}, logFile{1, size}, now.Add(-age)}
	}
	tests := []struct {
		name  string
		files []fileInfo
		want  []string
	}{
		{"none", nil, nil},
		{"all is well", []fileInfo{file("a", time.Hour, 50), file("b", time.Minute, 50)}, nil},
		{"too old", []fileInfo{file("a", time.Hour, 1), file("b", 25*time.Hour, 1), file("c", 48*time.Hour, 1)}, []string{"c", "b"}},
		{"too much", []fileInfo{file("a", time.Hour, 60), file("b", 2*time.Hour, 41)}, []string{"b"}},
		{"a tenth more", []fileInfo{file("a", 1, 85), file("b", 2, 5), file("c", 3, 6), file("d", 4, 5)}, []string{"d", "c"}},
		{"age makes the room", []fileInfo{file("a", time.Hour, 99), file("b", 25*time.Hour, 50)}, []string{"b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range surplus(tt.files, now, 24*time.Hour, 100) {
				got = append(got, f.key.name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSweepAtOpen(t *testing.T) {
	dir := t.TempDir()
	l := open(t, LogsConfig{Dir: dir})
	l.Write(record("old", "x"))
	l.Write(record("new", "x"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, tenant, "old", "000000000001.jsonl"), long, long); err != nil {
		t.Fatal(err)
	}
	l = open(t, LogsConfig{Dir: dir})
	wantMessages(t, read(t, l, Query{Function: "old"}), []string{})
	wantMessages(t, read(t, l, Query{Function: "new"}), []string{"x"})
	if _, err := os.Stat(filepath.Join(dir, tenant, "old")); !os.IsNotExist(err) {
		t.Errorf("the empty folder is still there: %v", err)
	}
	l.Write(record("old", "again"))
	wantMessages(t, read(t, l, Query{Function: "old"}), []string{"again"})
}

func TestTotalIsBounded(t *testing.T) {
	dir := t.TempDir()
	l := open(t, LogsConfig{Dir: dir, TotalBytes: 20_000, FileBytes: 1000})
	message := strings.Repeat("x", 100)
	for i := range 300 {
		l.Write(record("f"+strconv.Itoa(i%30), message))
		if i%10 == 0 {
			read(t, l, Query{Function: "f0"})
		}
	}
	read(t, l, Query{Function: "f0"})
	read(t, l, Query{Function: "f0"}) // the sweep after the writing is over
	var sum int64
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, err := d.Info()
			if err != nil {
				return err
			}
			sum += info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if sum > 20_000 || sum < 10_000 {
		t.Errorf("%d bytes are kept, want 10,000 to 20,000", sum)
	}
}

func TestConcurrentUse(t *testing.T) {
	l := open(t, LogsConfig{FileBytes: 10_000})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				l.Write(record("f"+strconv.Itoa(i%3), strconv.Itoa(w)+" "+strconv.Itoa(i)))
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := l.Read(ctx, Query{Tenant: tenant, Function: "f0", Limit: 50}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for i := range 3 {
		sum += len(read(t, l, Query{Function: "f" + strconv.Itoa(i), Limit: 5000}))
	}
	if sum != 2000 {
		t.Errorf("%d records are kept, want 2000", sum)
	}
}

func BenchmarkLogsWrite(b *testing.B) {
	l := open(b, LogsConfig{})
	rec := record("a", strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		l.Write(rec)
	}
}

// BenchmarkLogsThroughput waits for the writer: the time of a record from
// Write into the file.
func BenchmarkLogsThroughput(b *testing.B) {
	l := open(b, LogsConfig{})
	rec := record("a", strings.Repeat("x", 100))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		l.Write(rec)
		if n++; n%1000 == 0 {
			if err := l.sync(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkLogsRead(b *testing.B) {
	l := open(b, LogsConfig{})
	for range 50_000 {
		l.Write(record("a", strings.Repeat("x", 100)))
	}
	for b.Loop() {
		if got := read(b, l, Query{Function: "a", Limit: 100}); len(got) != 100 {
			b.Fatalf("read %d records", len(got))
		}
	}
}
