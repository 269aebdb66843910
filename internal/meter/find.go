package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/packs"
)

const (
	// findChunk is how many groups are searched at a time.
	findChunk = 512

	// findGroups is how many of the latest groups are searched at most: of
	// those before them it is known where records are.
	findGroups = 8192
)

// Places knows where records are.
type Places interface {
	// Find calls each with the groups that may have a tenant's record of an
	// id, the latest first, until it returns false. It knows of all groups up
	// to through.
	Find(ctx context.Context, tenant, id string, each func(seq uint64) bool) (through uint64, err error)
}

// Receipt returns the receipt of a tenant's record with an id, of an attempt, or
// of the latest for zero. The groups that places does not know of are searched. An error has
// CodeNotFound where there is no such record, and CodeServerUnavailable where
// too many groups would have to be searched.
func (m *Meter) Receipt(ctx context.Context, places Places, tenant, id string, attempt int) (*Receipt, error) {
	if err := m.Durable(ctx); err != nil { // it may be of just now
		return nil, err
	}
	var known *Receipt
	var failed error
	through, err := places.Find(ctx, tenant, id, func(seq uint64) bool {
		known, failed = m.inGroup(ctx, seq, tenant, id, attempt)
		return known == nil && failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	found, err := m.search(ctx, through, tenant, id, attempt)
	if err != nil {
		return nil, err
	}
	if found == nil {
		found = known
	}
	switch {
	case found == nil && attempt > 0:
		return nil, millicent.Errorf(millicent.CodeNotFound, "The ledger has no record of attempt %d of the request %.100s.", attempt, id)
	case found == nil:
		return nil, millicent.Errorf(millicent.CodeNotFound, "The ledger has no record of the request %.100s.", id)
	}
	return found, m.complete(ctx, found)
}

// search looks for a record in the groups after one, and returns its receipt
// without links, or nil.
func (m *Meter) search(ctx context.Context, after uint64, tenant, id string, attempt int) (*Receipt, error) {
	end := m.Head().Seq
	if end > after && end-after > findGroups {
		return nil, millicent.Errorf(millicent.CodeServerUnavailable, "The usage is being counted; receipts are given when that is done.")
	}
	pattern := []byte(id)
	if u, ok := plainUUID(id); ok {
		pattern = u[:]
	}
	for begin := end; begin > after; {
		from := max(begin-min(begin, findChunk), after)
		var found *Receipt
		err := m.log.Replay(ctx, from, func(seq uint64, message []byte) error {
			if seq > begin {
				return errFound
			}
			if bytes.Contains(message, pattern) {
				if r := find(message, tenant, id, attempt); r != nil {
					found = r
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return nil, err
		}
		if found != nil {
			return found, nil
		}
		begin = from
	}
	return nil, nil
}

var errFound = errors.New("enough was read")

// inGroup returns the receipt of a record in a group, without links; nil where
// that has none or is gone.
func (m *Meter) inGroup(ctx context.Context, seq uint64, tenant, id string, attempt int) (*Receipt, error) {
	message, err := m.log.Read(ctx, seq)
	if errors.Is(err, packs.ErrNoPack) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return find(message, tenant, id, attempt), nil
}

// find returns the receipt of a tenant's record with an id in a group, of an
// attempt or the latest, without its links; nil when there is none.
func find(message []byte, tenant, id string, attempt int) *Receipt {
	g, err := decodeGroup(message)
	if err != nil {
		return nil // of what is damaged there are no receipts
	}
	for i := len(g.records) - 1; i >= 0; i-- {
		if rec := &g.records[i]; rec.ID == id && rec.Tenant == tenant && (attempt == 0 || rec.Attempt == attempt) {
			return receiptOf(&g, i)
		}
	}
	return nil
}

// complete adds the links from the head to the receipt's group.
func (m *Meter) complete(ctx context.Context, r *Receipt) error {
	group, head := r.Head, m.Head()
	for seq := head.Seq; seq > group.Seq; {
		message, err := m.log.Read(ctx, seq)
		if err != nil {
			return fmt.Errorf("link from the head: %w", err)
		}
		reader := reader{b: message}
		h := reader.header()
		if reader.err != nil || len(r.Links) == maxLinks {
			return &millicent.Error{
				Code: millicent.CodeInternal, Message: fmt.Sprintf("The ledger is damaged at group %d: see millicent ledger verify.", seq), Err: reader.err,
			}
		}
		r.Links = append(r.Links, h.append(nil))
		next := nextDown(seq, group.Seq)
		if next != seq-1 && h.skip == (Hash{}) {
			next = seq - 1 // what it skips to was not at hand
		}
		seq = next
	}
	r.Head = head
	return nil
}
