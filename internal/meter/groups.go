package meter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/millicent-run/millicent/internal/packs"
)

// readAhead is how many groups are read one by one; more are streamed.
const readAhead = 64

// Groups calls f with each group after the one with a sequence, in order: first
// with those that are there, then with each that becomes durable, until ctx
// ends or the Meter is closed, or f returns an error, which Groups returns.
// Groups that retention has removed are left out. Of a damaged group the error,
// which wraps ErrDamaged, says what is wrong and what can be done, and none after
// it is read; one that was skipped has no records. A group's records are f's until
// it returns.
func (m *Meter) Groups(ctx context.Context, after uint64, f func(Group) error) error {
	each := func(seq uint64, message []byte) error {
		if err := m.passMissing(ctx, &after, seq, f); err != nil {
			return err
		}
		g, err := decodeGroup(message)
		if err == nil && g.seq != seq {
			err = &damage{group: seq, err: errPlace}
		}
		if err != nil && !m.isSkipped(seq) {
			return wayOut(seq, err)
		}
		after = seq
		if err != nil {
			return f(Group{Seq: seq, Hash: sha256.Sum256(message)})
		}
		return f(Group{Seq: g.seq, First: g.first, Hash: g.hash(), Records: g.records})
	}
	var own group // whose memory is used again
	for {
		m.mu.Lock()
		end, turn, recent := m.head.Seq, m.turn, m.recent.after(after)
		m.mu.Unlock()
		switch {
		case len(recent) > 0:
			for _, kept := range recent {
				if err := own.decodeOwn(kept.message); err != nil {
					return fmt.Errorf("group %d, which was just made: %w", kept.Seq, err)
				}
				if err := f(Group{Seq: own.seq, First: own.first, Hash: own.hash(), Records: own.records}); err != nil {
					return err
				}
				after = own.seq
			}
		case after+readAhead < end:
			if err := m.log.Replay(ctx, after, each); err != nil {
				return err
			}
		case after < end:
			if err := m.nextGroup(ctx, &after, each, f); err != nil {
				return err
			}
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-m.done:
				return nil
			case <-turn:
			}
		}
	}
}

// First returns the sequence of the first group that is left.
func (m *Meter) First(ctx context.Context) (uint64, error) { return m.log.First(ctx) }

// nextGroup calls f with the group after the one with a sequence, or the first one
// that is left.
func (m *Meter) nextGroup(ctx context.Context, after *uint64, f func(uint64, []byte) error, each func(Group) error) error {
	message, err := m.log.Read(ctx, *after+1)
	if err == nil {
		return f(*after+1, message)
	}
	if !errors.Is(err, packs.ErrNoPack) {
		return err
	}
	first, err := m.log.First(ctx)
	if err != nil {
		return err
	}
	if first > *after+1 {
		*after = first - 1
		return nil
	}
	return m.passMissing(ctx, after, *after+2, each)
}

// passMissing calls each for the groups after one and before another that are
// missing, and not by retention; each has to be skipped.
func (m *Meter) passMissing(ctx context.Context, after *uint64, before uint64, each func(Group) error) error {
	if *after+1 >= before {
		return nil
	}
	first, err := m.log.First(ctx)
	if err != nil {
		return err
	}
	for *after = max(*after, first-1); *after+1 < before; *after++ {
		if !m.isSkipped(*after + 1) {
			return wayOut(*after+1, &damage{err: errors.New("it is missing")})
		}
		if err := each(Group{Seq: *after + 1}); err != nil {
			return err
		}
	}
	return nil
}

// recentRecords bounds the records of the latest groups that stay in memory:
// who follows the ledger closely need not read it.
const recentRecords = 16 << 10

// recent is the latest groups that nobody has followed beyond, without gaps, as
// they are in the ledger: a fifth of the memory of their records, and nothing in it
// for the garbage collector to look at.
type recent struct {
	groups  []recentGroup
	records int
}

type recentGroup struct {
	Seq     uint64
	records int
	message []byte
}

func (r *recent) add(g recentGroup) {
	r.groups = append(r.groups, g)
	r.records += g.records
	for r.records > recentRecords {
		r.drop(1)
	}
}

// after returns the groups after a sequence, if all of them are there. Those up
// to it go.
func (r *recent) after(seq uint64) []recentGroup {
	if len(r.groups) == 0 || r.groups[0].Seq > seq+1 {
		return nil
	}
	r.drop(int(min(seq+1-r.groups[0].Seq, uint64(len(r.groups)))))
	return slices.Clone(r.groups)
}

// drop forgets the oldest n groups.
func (r *recent) drop(n int) {
	for _, g := range r.groups[:n] {
		r.records -= g.records
	}
	r.groups = slices.Delete(r.groups, 0, n)
}
