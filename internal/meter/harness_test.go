package meter

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
)

// startJetStream starts a server on a directory of the state.
func startJetStream(t testing.TB, dir string) (js jetstream.JetStream, stop func()) {
	t.Helper()
	srv, err := natsd.Start(filepath.Join(dir, "state"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return js, func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
}

func openMeter(t testing.TB, js jetstream.JetStream, dir string) *Meter {
	t.Helper()
	m, err := Open(t.Context(), js, Config{Dir: filepath.Join(dir, "usage")})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// encodeGroup returns a group of records, and its header.
func encodeGroup(h header, records ...millicent.UsageRecord) (header, []byte) {
	var b batch
	for i := range records {
		b.add(&records[i], appendRecord(appendFrame(b.buf, uint64(i)), &records[i]))
	}
	return new(press).group(h, &b, 0, len(records))
}

// startMeter opens a Meter on a server of its own, both closed at the end.
func startMeter(t testing.TB) (*Meter, jetstream.JetStream) {
	t.Helper()
	dir := t.TempDir()
	js, stop := startJetStream(t, dir)
	m := openMeter(t, js, dir)
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		stop()
	})
	return m, js
}

// kill ends a Meter as the end of its process would.
func kill(t testing.TB, m *Meter) {
	t.Helper()
	m.end()
	<-m.done
	if err := m.closeFiles(); err != nil {
		t.Error(err)
	}
}

// someRecord returns a record in whose fields a seed decides.
func someRecord(seed uint64) millicent.UsageRecord {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	id := uuid.UUID{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 6: 0x40, 8: 0x80, 15: 7}.String()
	rec := millicent.UsageRecord{
		Kind: millicent.UsageInvocation, ID: id, Attempt: 1 + r.IntN(3),
		Tenant: pick("000000000000", "111111111111"), Function: "function-" + strconv.Itoa(r.IntN(20)), Version: pick("$LATEST", "7"),
		Alias: pick("", "live"), Key: pick("", "AKIA0123"), Root: pick(id, "another root", uuid.Nil.String()), Parent: pick("", uuid.Nil.String()),
		Start: time.UnixMilli(1_800_000_000_000 + r.Int64N(1e9)).UTC(), Duration: time.Duration(r.IntN(1e6)) * time.Microsecond,
		Init: time.Duration(r.IntN(1e5)) * time.Microsecond, Billed: time.Duration(r.IntN(1e4)) * time.Millisecond,
		MemoryMB: 128 << r.IntN(5), PeakMemoryMB: r.IntN(128), CPU: time.Duration(r.IntN(1e6)) * time.Microsecond,
		In: r.Int64N(6 << 20), Out: r.Int64N(6 << 20), Egress: r.Int64N(1 << 40), Cold: r.IntN(2) == 0,
		Outcome:   millicent.Outcome(pick("success", "function_error", "timeout", "out_of_memory")),
		PriceBook: "default@1",
	}
	if r.IntN(2) == 0 {
		rec.Tags = map[string]string{"team": pick("a", "b"), "stage": "ü", "": ""}
	}
	if r.IntN(10) == 0 {
		rec.Kind, rec.ID, rec.Quantity = millicent.UsageStorage, fmt.Sprint("storage/", seed), r.Int64N(1<<50)
	}
	return rec
}

// read returns the records of all groups up to a number of them.
func read(t testing.TB, m *Meter, n int) (groups []Group, records []millicent.UsageRecord) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n == 0 {
		return nil, nil
	}
	err := m.Groups(ctx, 0, func(g Group) error {
		g.Records = slices.Clone(g.Records)
		groups, records = append(groups, g), append(records, g.Records...)
		if len(records) >= n {
			cancel()
			return context.Canceled
		}
		return nil
	})
	if len(records) < n {
		t.Fatalf("%d records of %d: %v", len(records), n, err)
	}
	return groups, records
}
