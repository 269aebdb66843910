package meter

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/packs"
)

const (
	// promise is when a record is on disk at the latest, while the disk does what
	// it did before; its group waits for others for at least leastWait, and never
	// for the last slack of it.
	promise   = 50 * time.Millisecond
	slack     = 3 * time.Millisecond
	leastWait = 25 * time.Millisecond

	// groupRecords and groupBytes, of the records alone, are when a group does
	// not wait for more.
	groupRecords = 4096
	groupBytes   = 1 << 20

	// maxBacklog bounds the bytes of records that the ledger has not taken:
	// with more, the Meter is not ready.
	maxBacklog = 32 << 20

	// maxSpare bounds the memory of a batch that is kept for the next.
	maxSpare = 4 << 20

	// tellPause is how long a trouble is not told again.
	tellPause = 10 * time.Second

	// retryRest is how long a ledger that refuses is left alone.
	retryRest = 200 * time.Millisecond

	// maxStream bounds the ledger on disk.
	maxStream = 16 << 30
)

// Config configures a Meter.
type Config struct {
	Dir  string           // of the journal; required
	Keep time.Duration    // how long records are kept; default DefaultKeep
	Now  func() time.Time // default time.Now
	Log  *slog.Logger     // default: none

	kill     func(point string) error // where recovery ends, in tests
	maxBytes int64                    // at which the oldest go; default maxStream
}

// A Meter writes the ledger. It is safe for concurrent use.
type Meter struct {
	cfg     Config
	log     *packs.Log
	journal *journal
	noted   *os.File      // the head
	wake    chan struct{} // tells the writer that records wait
	hurry   chan struct{} // tells it not to wait for more
	life    context.Context
	end     context.CancelFunc // ends what Close waited for in vain
	done    chan struct{}      // closed when the writer has ended

	slow    time.Duration // the writer's: see pace
	press   press         // likewise
	skips   skips         // likewise
	trimmed time.Time     // likewise: when trim looked
	totals  totals

	mu      sync.Mutex
	open    batch         // takes in records
	spare   batch         // empty, to be the next
	names   latestNames   // of the latest record
	next    uint64        // number of the next record
	backlog int           // bytes of records that are not durable
	head    Head          // of the groups that are durable
	recent  recent        // the last of these
	turn    chan struct{} // closed when head moves on
	trouble error         // why records can't be kept; nil when all is well
	once    names         // of records that may come again
	skipped []skipped     // replaced, never changed
	closed  bool

	refusal atomic.Pointer[millicent.Error] // what Ready answers
}

// A batch is records on their way to be a group.
type batch struct {
	buf  []byte // frames, one after the other
	ends []int  // of each record's frame in buf
	sums sums   // of the records
}

// add adds a record; buf is the batch's, with the record's frame at the end.
func (b *batch) add(rec *millicent.UsageRecord, buf []byte) {
	b.buf = buf
	b.sums.add(rec)
	b.ends = append(b.ends, len(buf))
}

// alone returns the single form of a record.
func (b *batch) alone(i int) []byte {
	begin := frameHead
	if i > 0 {
		begin += b.ends[i-1]
	}
	return b.buf[begin:b.ends[i]]
}

// Record adds a record to the ledger, whose kind, id and attempt no other has.
// It is in the journal when Record returns, and in the ledger within the next
// 50 ms. Record waits for nothing but a copy into the kernel's memory. It returns
// the record's number in the ledger, zero when the Meter is closed.
func (m *Meter) Record(rec millicent.UsageRecord) (number uint64) {
	normalise(&rec)
	number, _ = m.record(&rec) // which logs its error
	return number
}

var errClosed = errors.New("the ledger is closed")

// record is Record for a normal record; its error is logged.
func (m *Meter) record(rec *millicent.UsageRecord) (number uint64, err error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		m.cfg.Log.Error("usage not recorded", "error", errClosed, "id", rec.ID, "tenant", rec.Tenant, "function", rec.Function)
		return 0, errClosed
	}
	number = m.next
	m.take(rec)
	n, size := len(m.open.ends), len(m.open.buf)
	m.mu.Unlock()
	if n == 1 {
		signal(m.wake)
	}
	if n == groupRecords || size >= groupBytes {
		signal(m.hurry)
	}
	return number, nil
}

// take takes a record in, and writes it to the journal. The lock is held.
func (m *Meter) take(rec *millicent.UsageRecord) {
	begin := len(m.open.buf)
	buf := appendAlike(appendFrame(m.open.buf, m.next), rec, &m.names)
	buf = seal(buf, begin)
	if err := m.journal.append(buf[begin:], m.next, m.head.Records+1); err != nil && m.trouble == nil {
		m.trouble = err
		m.judge()
		m.cfg.Log.Error("usage can't be written to the journal: nothing is run until the ledger has it", "error", err)
		signal(m.hurry)
	}
	m.next++
	m.open.add(rec, buf[:len(buf)-frameEnd])
	size := len(m.open.buf) - begin
	if m.backlog += size; m.backlog > maxBacklog && m.backlog-size <= maxBacklog {
		m.judge()
	}
}

// Ready returns why usage can't be recorded, with CodeServerUnavailable; nil
// when it can. What would not be on a bill should not run.
func (m *Meter) Ready() error {
	if e := m.refusal.Load(); e != nil {
		return e
	}
	return nil
}

// judge decides what Ready answers from now on. The lock is held.
func (m *Meter) judge() {
	err := m.trouble
	if err == nil && m.backlog > maxBacklog {
		err = errOverfull
	}
	if err == nil {
		m.refusal.Store(nil)
		return
	}
	m.refusal.Store(&millicent.Error{
		Code: millicent.CodeServerUnavailable, Message: "Usage cannot be recorded at the moment, so nothing is run.", Err: err,
	})
}
