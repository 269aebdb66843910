package meter

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// damagedLedger returns the state of a ledger of 200 groups of a record each, of
// which some are damaged, and one is missing.
func damagedLedger(t *testing.T, missing uint64, damaged ...uint64) (js jetstream.JetStream, dir string) {
	t.Helper()
	from, stopFrom := startJetStream(t, t.TempDir())
	defer stopFrom()
	whole := openMeter(t, from, t.TempDir())
	for i := range uint64(200) {
		whole.Record(someRecord(i))
		if err := whole.Durable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	dir = t.TempDir()
	js, stop := startJetStream(t, dir)
	t.Cleanup(stop)
	log, err := openStream(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	err = whole.log.Replay(t.Context(), 0, func(seq uint64, message []byte) error {
		if slices.Contains(damaged, seq) {
			message[len(message)/2] ^= 1
		}
		_, err := log.Append(t.Context(), message)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "usage")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	copyTree(t, whole.cfg.Dir, filepath.Join(dir, "usage"))
	kill(t, whole)
	return js, dir
}

// Nothing is read beyond a damaged group, and it is said which one that is and
// what can be done; the operator may have it left out, which is remembered, and
// verification finds it all the same.
func TestSkip(t *testing.T) {
	js, dir := damagedLedger(t, 150, 40, 197, 200)
	m := openMeter(t, js, dir)
	bad := []uint64{40, 150, 197, 200}
	for n := range bad[:3] {
		for _, after := range []uint64{0, bad[n] - 2} {
			last := after
			err := m.Groups(t.Context(), after, func(g Group) error {
				if g.Seq != last+1 || (len(g.Records) == 0) != slices.Contains(bad[:n], g.Seq) {
					t.Errorf("group %d with %d records after group %d", g.Seq, len(g.Records), last)
				}
				last = g.Seq
				return nil
			})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("ledger skip %d`", bad[n])) || last != bad[n]-1 {
				t.Fatalf("after group %d: %v", last, err)
			}
		}
		to := bad[n]
		if n == 2 {
			to = 200 // with the last
		}
		got, err := m.Skip(t.Context(), bad[n], to)
		if want := bad[n : n+1+int(to-bad[n])/3]; err != nil || !slices.Equal(got, want) {
			t.Fatalf("skipped %v, want %v (%v)", got, want, err)
		}
		if n == 1 {
			kill(t, m)
			m = openMeter(t, js, dir)
		}
	}
	m.Record(someRecord(1000)) // goes on from the damaged end
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := errors.New("done")
	seen := 0
	err := m.Groups(t.Context(), 0, func(g Group) error {
		if seen += len(g.Records); g.Seq == 201 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) || seen != 200+1-len(bad) {
		t.Errorf("%d records, %v", seen, err)
	}
	for _, whole := range []uint64{0, 1, 39, 201, 202} {
		if _, err := m.Skip(t.Context(), whole, whole); millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("group %d, which is not damaged: %v", whole, err)
		}
	}
	if r, err := m.Verify(t.Context()); err != nil || r.OK || r.BadGroup != 40 {
		t.Errorf("verification does not tell: %+v, %v", r, err)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
