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

	// findGroups is how many are searched for an id of which nothing else is
	// known: at 25 a second, the busiest there is, the last hour or more.
	findGroups = 100_000
)

// Receipt returns the receipt of a tenant's record with an id, of the latest
// attempt. It searches the latest groups, some seconds at most; ReceiptIn needs
// no search. An error has CodeNotFound where there is no such record.
func (m *Meter) Receipt(ctx context.Context, tenant, id string) (*Receipt, error) {
	pattern := []byte(id)
	if u, ok := plainUUID(id); ok {
		pattern = u[:]
	}
	if err := m.Durable(ctx); err != nil { // it may be of just now
		return nil, err
	}
	first, err := m.log.First(ctx)
	if err != nil {
		return nil, err
	}
	begin, end := m.Head().Seq, m.Head().Seq
	for begin+1 > first && end-begin < findGroups {
		after := max(begin-min(begin, findChunk), first-1)
		var found *Receipt
		err := m.log.Replay(ctx, after, func(seq uint64, message []byte) error {
			if seq > begin {
				return errFound
			}
			if bytes.Contains(message, pattern) {
				if r := find(message, tenant, id); r != nil {
					found = r
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return nil, err
		}
		if found != nil {
			return found, m.complete(ctx, found)
		}
		begin = after
	}
	return nil, millicent.Errorf(millicent.CodeNotFound, "The ledger has no record of the request %.100s, or it is too old to be searched for.", id)
}

var errFound = errors.New("enough was read")

// ReceiptIn is Receipt for a record that is known to be in a group.
func (m *Meter) ReceiptIn(ctx context.Context, seq uint64, tenant, id string) (*Receipt, error) {
	message, err := m.log.Read(ctx, seq)
	if err != nil && !errors.Is(err, packs.ErrNoPack) {
		return nil, err
	}
	r := find(message, tenant, id)
	if r == nil {
		return nil, millicent.Errorf(millicent.CodeNotFound, "The group %d of the ledger has no record of the request %.100s.", seq, id)
	}
	return r, m.complete(ctx, r)
}

// find returns the receipt of a tenant's latest record with an id in a group,
// without its links; nil when there is none.
func find(message []byte, tenant, id string) *Receipt {
	g, err := decodeGroup(message)
	if err != nil {
		return nil // of what is damaged there are no receipts
	}
	for i := len(g.records) - 1; i >= 0; i-- {
		if g.records[i].ID == id && g.records[i].Tenant == tenant {
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
