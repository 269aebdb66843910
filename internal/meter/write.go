package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millicent-run/millicent/internal/packs"
)

// write makes groups of what was recorded, one after another: while one is on
// its way, the next takes in what comes. It ends when the Meter is closed and
// everything is written, or at the end of its life.
func (m *Meter) write() {
	defer close(m.done)
	for m.await() {
		b, closed := m.swap()
		if len(b.ends) == 0 && closed {
			return
		}
		begun := time.Now()
		if err := m.publish(m.life, b); err != nil {
			m.cfg.Log.Error("the ledger can't be written any more; what is recorded stays in the journal", "error", err)
			m.mu.Lock()
			m.trouble = err
			m.judge()
			m.mu.Unlock()
			return
		}
		m.slow = pace(m.slow, time.Since(begun))
		m.recovered(b)
		m.trim(m.life)
	}
}

// await returns when it is time for a group; false at the end of life.
func (m *Meter) await() bool {
	select {
	case <-m.life.Done():
		return false
	case <-m.wake:
	}
	timer := time.NewTimer(waitOf(m.slow))
	defer timer.Stop()
	select {
	case <-m.hurry:
	case <-timer.C:
	case <-m.life.Done():
		return false
	}
	return true
}

// pace returns how long a write is expected to take at most, which was slow, when
// another one took a time: as long as the slowest of late, which is forgotten
// little by little.
func pace(slow, took time.Duration) time.Duration { return max(took, slow-slow/16) }

// waitOf returns how long the first record of a group waits for others where
// writes take as long as pace says. Fewer groups are fewer syncs, which cost
// processor time, too.
func waitOf(slow time.Duration) time.Duration {
	return max(promise-slack-slow, leastWait)
}

// swap returns what was recorded, to be written.
func (m *Meter) swap() (b *batch, closed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	full := m.open
	m.open, m.spare = m.spare, batch{}
	return &full, m.closed
}

// recovered ends a trouble with the journal, if it was one, and keeps what a
// batch that is written needed for the next to come.
func (m *Meter) recovered(b *batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cap(b.buf) <= maxSpare {
		m.spare = batch{buf: b.buf[:0], ends: b.ends[:0]}
	}
	if m.trouble != nil && len(m.open.ends) == 0 {
		if err := m.journal.reset(m.next); err == nil {
			m.trouble = nil
			m.judge()
			m.cfg.Log.Info("usage can be written to the journal again")
		}
	}
	if m.closed || m.trouble != nil {
		signal(m.wake) // again
	}
}

// publish brings a batch into the ledger, as one group or several.
func (m *Meter) publish(ctx context.Context, b *batch) error {
	for i := 0; i < len(b.ends); {
		end, size := i, 0
		for end < len(b.ends) && end-i < groupRecords && size < groupBytes {
			size += frameHead + len(b.alone(end))
			end++
		}
		head := m.Head()
		h := header{
			seq: head.Seq + 1, first: head.Records + 1, time: m.cfg.Now(), previous: head.Hash, skip: m.skipHash(ctx, head.Seq+1),
		}
		h, message := m.press.group(h, b, i, end)
		if err := m.append(ctx, message); err != nil {
			return err
		}
		if i = end; i == len(b.ends) {
			m.totals.add(&b.sums)
		}
		m.advance(&h, message, size)
		if err := m.reached(fmt.Sprintf("group %d", h.seq)); err != nil {
			return err
		}
	}
	return nil
}

// append appends a group to the log, for as long as it takes.
func (m *Meter) append(ctx context.Context, message []byte) error {
	var told time.Time
	for {
		_, err := m.log.Append(ctx, message)
		if !errors.Is(err, packs.ErrRefused) {
			return err
		}
		if time.Since(told) > tellPause {
			told = time.Now()
			m.cfg.Log.Error("the ledger takes no records: they wait in the journal", "error", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(retryRest):
		}
	}
}

// Head returns the end of the chain.
func (m *Meter) Head() Head {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

// advance makes a group that is durable the end of the chain; its records had
// a size in the journal.
func (m *Meter) advance(g *header, message []byte, size int) {
	h := Head{Seq: g.seq, Records: g.next() - 1, Hash: g.hash()}
	m.skips.put(h.Seq, h.Hash)
	if err := writeHead(m.noted, h); err != nil {
		m.cfg.Log.Warn("the end of the ledger could not be noted", "error", err)
	}
	kept := bytes.Clone(message)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = h
	m.recent.add(recentGroup{h.Seq, int(g.count), kept})
	if m.backlog -= size; m.refusal.Load() != nil {
		m.judge()
	}
	close(m.turn)
	m.turn = make(chan struct{})
}

// skipHash returns the hash that a group skips to; zeros where there is none,
// or it is not in the ledger any more.
func (m *Meter) skipHash(ctx context.Context, seq uint64) Hash {
	to := skipTo(seq)
	if to == 0 {
		return Hash{}
	}
	if hash, ok := m.skips.get(to); ok {
		return hash
	}
	message, err := m.log.Read(ctx, to)
	if err != nil {
		return Hash{}
	}
	r := reader{b: message}
	h := r.header()
	if r.err != nil {
		return Hash{}
	}
	return h.hash()
}

// Durable returns when all that was recorded before the call is in the ledger,
// on disk: some 0.3 ms. It does not wait for a group to fill.
func (m *Meter) Durable(ctx context.Context) error {
	m.mu.Lock()
	last := m.next - 1
	m.mu.Unlock()
	for {
		m.mu.Lock()
		done, turn := m.head.Records >= last, m.turn
		m.mu.Unlock()
		if done {
			return nil
		}
		signal(m.hurry)
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for usage to be recorded: %w", ctx.Err())
		case <-turn:
		case <-m.done:
			if m.Head().Records < last {
				return errors.New("usage is in the journal only: the ledger is not written any more")
			}
		}
	}
}

// signal tells a goroutine that there is something to do.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it knows
	}
}
