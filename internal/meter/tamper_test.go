package meter

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/millicent-run/millicent/internal/natsd"
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
	jumps(t, whole)
	for range rounds(t, 8) {
		dir := t.TempDir()
		copyTree(t, whole, dir)
		blocks := blocksOf(t, dir)
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
		r, err := verifyState(t, dir)
		if err != nil || r.OK || r.BadGroup == 0 || r.BadRecord == 0 {
			t.Errorf("byte %d of %d: %+v, %v", at, len(content), r, err)
		}
		t.Logf("byte %d of %d: %s, record %d", at, len(content), r.Problem, r.BadRecord)
	}
}

// blocksOf lists the files of a ledger.
func blocksOf(t *testing.T, dir string) []string {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(natsd.Blocks(filepath.Join(dir, "state"), Stream), "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatal("no blocks", err)
	}
	return blocks
}

// jumps changes each bit of a group's sequence that makes it a far one: no
// state server is asked to read that, which would not come to an end.
func jumps(t *testing.T, whole string) {
	content, err := os.ReadFile(blocksOf(t, whole)[0])
	if err != nil {
		t.Fatal(err)
	}
	const group = 41 // after 40 groups of 3 records on average
	at := 0
	for range group - 1 {
		at += int(binary.LittleEndian.Uint32(content[at:]) &^ (1 << 31))
	}
	dir := t.TempDir()
	for bit := 21; bit < 62; bit++ {
		content[at+4+bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(filepath.Join(dir, "1.blk"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		content[at+4+bit/8] ^= 1 << (bit % 8)
		if r, err := CheckFiles(dir); err != nil || r.OK || r.BadGroup != group || r.BadRecord != 40*3+1 {
			t.Errorf("bit %d: %+v, %v", bit, r, err)
		}
	}
	if r, err := CheckFiles(filepath.Dir(blocksOf(t, whole)[0])); err != nil || !r.OK {
		t.Errorf("the whole: %+v, %v", r, err)
	}
}

// verifyState verifies the ledger of a server that does not run.
func verifyState(t *testing.T, dir string) (Report, error) {
	t.Helper()
	if r, err := CheckFiles(natsd.Blocks(filepath.Join(dir, "state"), Stream)); err != nil || !r.OK {
		return r, err
	}
	js, stop := startJetStream(t, dir)
	defer stop()
	return VerifyStopped(context.Background(), js, filepath.Join(dir, "usage"))
}

// A chain that is made anew, as one who has the disk may, is as good as the one
// before, but for who noted its head.
func TestAnchor(t *testing.T) {
	chain := func(billed int) *Meter {
		m, _ := startMeter(t)
		for i := range uint64(5) {
			rec := someRecord(i)
			rec.MemoryMB = billed
			m.Record(rec)
			if err := m.Durable(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	was, is := chain(128), chain(64)
	noted := was.Head()
	if r, err := was.Verify(t.Context(), noted); err != nil || !r.OK {
		t.Errorf("with its own head: %+v, %v", r, err)
	}
	if r, err := is.Verify(t.Context()); err != nil || !r.OK {
		t.Errorf("without an anchor: %+v, %v", r, err)
	}
	if r, err := is.Verify(t.Context(), noted); err != nil || r.OK || r.BadGroup != 5 {
		t.Errorf("with the head that was noted: %+v, %v", r, err)
	}
	noted.Seq = 9
	if r, err := is.Verify(t.Context(), noted); err != nil || r.OK || r.BadGroup != 6 || r.BadRecord != 6 {
		t.Errorf("with a head that it never had: %+v, %v", r, err)
	}
}

// A group that is written anew with all that belongs to it does not fit the
// next one; nor do groups that are left out or change places.
func TestChainTampered(t *testing.T) {
	var messages [][]byte
	var head Head
	for seq := uint64(1); seq <= 6; seq++ {
		rec := someRecord(seq)
		h := header{seq: seq, first: seq, time: time.UnixMilli(1), previous: head.Hash}
		h, message := encodeGroup(h, rec)
		head = Head{seq, seq, h.hash()}
		messages = append(messages, message)
	}
	another := someRecord(77)
	g, err := decodeGroup(messages[2])
	if err != nil {
		t.Fatal(err)
	}
	_, forged := encodeGroup(g.header, another)
	for name, c := range map[string]struct {
		chain [][]byte
		bad   uint64
	}{
		"whole":    {messages, 0},
		"forged":   {[][]byte{messages[0], messages[1], forged, messages[3], messages[4], messages[5]}, 4},
		"last":     {[][]byte{messages[0], messages[1], messages[2], messages[3], messages[4]}, 6},
		"swapped":  {[][]byte{messages[0], messages[2], messages[1], messages[3], messages[4], messages[5]}, 2},
		"repeated": {[][]byte{messages[0], messages[0], messages[1], messages[2], messages[3], messages[4]}, 2},
		"left out": {[][]byte{messages[0], messages[1], messages[3], messages[4], messages[5]}, 3},
	} {
		v := &verifier{anchors: []Anchor{head}}
		var err error
		for i, message := range c.chain {
			if err = v.group(uint64(i+1), message); err != nil {
				break
			}
		}
		if err == nil {
			err = v.end()
		}
		if r, err := v.finish(err); err != nil || r.OK != (c.bad == 0) || r.BadGroup != c.bad {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
