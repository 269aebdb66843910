package queue

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/natsd"
	"github.com/millicent-run/millicent/internal/packs"
)

// memoryLog is a journal that a crash does not touch: what was appended is
// durable.
type memoryLog struct {
	mu     sync.Mutex
	first  uint64 // sequence of packs[0]
	packs  [][]byte
	gone   [][]byte      // cut off: the packs before first
	refuse error         // for the next appends
	delay  time.Duration // of an append
}

func (l *memoryLog) Append(_ context.Context, pack []byte) (uint64, error) {
	time.Sleep(l.delay)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return 0, l.refuse
	}
	if l.first == 0 {
		l.first = 1
	}
	l.packs = append(l.packs, slices.Clone(pack))
	return l.first + uint64(len(l.packs)) - 1, nil
}

func (l *memoryLog) Read(_ context.Context, seq uint64) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.first || seq >= l.first+uint64(len(l.packs)) {
		return nil, packs.ErrNoPack
	}
	return l.packs[seq-l.first], nil
}

func (l *memoryLog) Last(context.Context) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.packs) == 0 {
		return nil, nil
	}
	return l.packs[len(l.packs)-1], nil
}

func (l *memoryLog) Replay(_ context.Context, after uint64, f func(uint64, []byte) error) error {
	for i, p := range l.packs {
		if l.first+uint64(i) <= after {
			continue
		}
		if err := f(l.first+uint64(i), p); err != nil {
			return err
		}
	}
	return nil
}

func (l *memoryLog) Cut(_ context.Context, below uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.first < below {
		l.gone = append(l.gone, l.packs[0])
		l.packs = l.packs[1:]
		l.first++
	}
	return nil
}

// crash returns the log as another process finds it: up to back packs that
// were cut off are there again.
func (l *memoryLog) crash(back int) *memoryLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	back = min(back, len(l.gone))
	at := len(l.gone) - back
	return &memoryLog{first: l.first - uint64(back), gone: slices.Clone(l.gone[:at]), packs: slices.Concat(l.gone[at:], l.packs)}
}

// openMemory opens queues over a log in memory.
func openMemory(t testing.TB, l *memoryLog, cfg Config) *Queues {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	q, err := open(t.Context(), l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustClose(t testing.TB, q *Queues) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// inBubble runs f with queues over a log in memory and fake time.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, q *Queues, l *memoryLog)) {
	t.Helper()
	cfg.Dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		q := openMemory(t, l, cfg)
		defer mustClose(t, q)
		f(t, q, l)
	})
}

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

// openStored opens queues in JetStream.
func openStored(t testing.TB, dir string, cfg Config) (q *Queues, stop func()) {
	t.Helper()
	js, stopServer := startJetStream(t, dir)
	cfg.Dir = filepath.Join(dir, "queues")
	q, err := Open(t.Context(), js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q, func() {
		mustClose(t, q)
		stopServer()
	}
}

var orders = Name{"sqs", "000000000000", "orders"}

func text(format string, args ...any) Message {
	return Message{Queue: orders, Body: fmt.Appendf(nil, format, args...)}
}

func mustPut(t testing.TB, q *Queues, messages ...Message) []Receipt {
	t.Helper()
	r, err := q.Put(t.Context(), messages...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustLease leases messages for 30 s.
func mustLease(t testing.TB, q *Queues, n int) []Delivery {
	t.Helper()
	d, err := q.Lease(t.Context(), LeaseRequest{Queue: orders, Max: n, Visibility: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustSettle(t testing.TB, q *Queues, deliveries ...Delivery) {
	t.Helper()
	for _, d := range deliveries {
		if errs := q.Settle(t.Context(), d.Queue, d.Handle); errs != nil {
			t.Fatal(errs)
		}
	}
}

// bodiesOf returns the bodies of deliveries.
func bodiesOf(deliveries []Delivery) []string {
	var out []string
	for _, d := range deliveries {
		out = append(out, string(d.Body))
	}
	return out
}

func wantBodies(t testing.TB, got []Delivery, want ...string) {
	t.Helper()
	if !slices.Equal(bodiesOf(got), want) {
		t.Errorf("got %q, want %q", bodiesOf(got), want)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	if got := millicent.ErrorCode(err); got != code {
		t.Errorf("got %v, want the code %q", err, code)
	}
}
