package meter

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// rounds of the tests that take long; MILLICENT_TAMPERS asks for others.
func rounds(t testing.TB, usual int) int {
	n, err := strconv.Atoi(os.Getenv("MILLICENT_TAMPERS"))
	if err != nil {
		return usual
	}
	return n
}

// copyTree copies a directory of plain files.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestTampered changes a byte of the ledger's files: verification finds it,
// and names the group.
func TestTampered(t *testing.T) {
	whole := t.TempDir()
	js, stop := startJetStream(t, whole)
	m := openMeter(t, js, whole)
	for i := range uint64(60) {
		for j := range 1 + i%5 {
			m.Record(someRecord(10*i + j))
		}
		if err := m.Durable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := VerifyStopped(t.Context(), js, filepath.Join(whole, "usage")); err != nil || !r.OK || r.Groups != 60 || r.Head != m.Head() {
		t.Fatalf("the whole: %+v, %v", r, err)
	}
	stop()
	for range rounds(t, 8) {
		dir := t.TempDir()
		copyTree(t, whole, dir)
		blocks, err := filepath.Glob(filepath.Join(dir, "state/jetstream/jetstream/*/streams/usage/msgs/*.blk"))
		if err != nil || len(blocks) == 0 {
			t.Fatal("no blocks", err)
		}
		block := blocks[rand.IntN(len(blocks))]
		content, err := os.ReadFile(block)
		if err != nil {
			t.Fatal(err)
		}
		at := rand.IntN(len(content))
		content[at] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(block, content, 0o600); err != nil {
			t.Fatal(err)
		}
		js, stop := startJetStream(t, dir)
		r, err := VerifyStopped(context.Background(), js, filepath.Join(dir, "usage"))
		if err != nil || r.OK || r.BadGroup == 0 || r.BadRecord == 0 {
			t.Errorf("byte %d of %d: %+v, %v", at, len(content), r, err)
		}
		t.Logf("byte %d of %d: %s, record %d", at, len(content), r.Problem, r.BadRecord)
		stop()
	}
}
