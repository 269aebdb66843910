package native

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/meter"
)

// maxAnchors bounds the heads that one verification is to meet.
const maxAnchors = 100

// Ledger is what the endpoints need of the ledger of usage.
type Ledger interface {
	Head() meter.Head
	Verify(ctx context.Context, anchors ...meter.Anchor) (meter.Report, error)
	Receipt(ctx context.Context, tenant, id string, attempt int) (*meter.Receipt, error)
	Durable(ctx context.Context) error
	Skip(ctx context.Context, from, to uint64) (damaged []uint64, err error)
	Groups(ctx context.Context, after uint64, f func(meter.Group) error) error
}

// ledger returns the ledger, if there is one.
func (h *Handler) ledger() (Ledger, error) {
	if h.cfg.Ledger == nil {
		return nil, millicent.Errorf(millicent.CodeNotFound, "This server records no usage: it runs with --metering=false.")
	}
	return h.cfg.Ledger, nil
}

func (h *Handler) ledgerHead(w http.ResponseWriter, _ *http.Request) error {
	l, err := h.ledger()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, l.Head())
}

func (h *Handler) verifyLedger(w http.ResponseWriter, r *http.Request) error {
	if id := millicent.IdentityFrom(r.Context()); !id.Operator && id.Tenant != h.cfg.Info.Account {
		return millicent.Errorf(millicent.CodeAccessDenied, "The whole ledger is verified by the server's own account, or on the admin socket.")
	}
	l, err := h.ledger()
	if err != nil {
		return err
	}
	given := r.URL.Query()["anchor"]
	if len(given) > maxAnchors {
		return millicent.Errorf(millicent.CodeInvalid, "At most %d anchors are checked at a time.", maxAnchors)
	}
	var anchors []meter.Anchor
	for _, text := range given {
		a, err := meter.ParseHead(text)
		if err != nil {
			return &millicent.Error{Code: millicent.CodeInvalid, Message: err.Error(), Err: err}
		}
		anchors = append(anchors, a)
	}
	done, err := h.read(r.Context())
	if err != nil {
		return err
	}
	defer done()
	report, err := l.Verify(r.Context(), anchors...)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// skipGroup has a damaged group left out of all sums, for the operator.
func (h *Handler) skipGroup(w http.ResponseWriter, r *http.Request) error {
	if !millicent.IdentityFrom(r.Context()).Operator {
		return millicent.Errorf(millicent.CodeAccessDenied, "Groups of the ledger are skipped on the admin socket.")
	}
	l, err := h.ledger()
	if err != nil {
		return err
	}
	from, err := strconv.ParseUint(r.URL.Query().Get("group"), 10, 63)
	if err != nil {
		return millicent.Errorf(millicent.CodeInvalid, "group is the number of a group")
	}
	to := from
	if s := r.URL.Query().Get("to"); s != "" {
		if to, err = strconv.ParseUint(s, 10, 63); err != nil {
			return millicent.Errorf(millicent.CodeInvalid, "to is the number of a group")
		}
	}
	damaged, err := l.Skip(r.Context(), from, to)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string][]uint64{"groups": damaged})
}

func (h *Handler) receipt(w http.ResponseWriter, r *http.Request) error {
	l, err := h.ledger()
	if err != nil {
		return err
	}
	id, q := millicent.IdentityFrom(r.Context()), r.URL.Query()
	attempt := 0
	if s := q.Get("attempt"); s != "" {
		if attempt, err = strconv.Atoi(s); err != nil || attempt < 1 {
			return millicent.Errorf(millicent.CodeInvalid, "attempt is the number of a run of the event, from 1")
		}
	}
	tenant := q.Get("tenant")
	switch {
	case tenant == "":
		tenant = id.Tenant
	case tenant != id.Tenant && !id.Operator:
		return millicent.Errorf(millicent.CodeAccessDenied, "Receipts of another account are given on the admin socket.")
	}
	ctx, cancel := context.WithTimeout(r.Context(), receiptTime)
	defer cancel()
	done, err := h.read(ctx)
	if err != nil {
		return err
	}
	defer done()
	receipt, err := l.Receipt(ctx, tenant, r.PathValue("id"), attempt)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, h.priced(receipt))
}

// A PricedReceipt is a receipt with what it charges. That follows from its
// record and the price book that the record names.
type PricedReceipt struct {
	*meter.Receipt
	Charge *billing.Receipt `json:"charge,omitempty"` // none when the book is not known
}

func (h *Handler) priced(receipt *meter.Receipt) PricedReceipt {
	out := PricedReceipt{Receipt: receipt}
	rec, _, err := receipt.Check()
	if err != nil {
		return out // who reads it will see
	}
	if book := h.cfg.Books.Of(&rec); book != nil {
		out.Charge = book.Receipt(&rec)
	}
	return out
}

// A usageLine is one record of the ledger, in a line of JSON.
type usageLine struct {
	Group  uint64          `json:"group"`
	Number uint64          `json:"number"` // of the record
	Usage  meter.UsageText `json:"usage"`
}

var errEnd = errors.New("the end of what is asked for")

// ledgerRecords writes the caller's records after a group, up to the end of the
// ledger when the call begins, oldest first; with all=1, on the admin socket,
// those of all accounts.
func (h *Handler) ledgerRecords(w http.ResponseWriter, r *http.Request) error {
	l, err := h.ledger()
	if err != nil {
		return err
	}
	id, q := millicent.IdentityFrom(r.Context()), r.URL.Query()
	all := q.Get("all") == "1"
	if all && !id.Operator {
		return millicent.Errorf(millicent.CodeAccessDenied, "The records of all accounts are told on the admin socket.")
	}
	after := uint64(0)
	if s := q.Get("after"); s != "" {
		if after, err = strconv.ParseUint(s, 10, 63); err != nil {
			return millicent.Errorf(millicent.CodeInvalid, "after is the number of a group")
		}
	}
	done, err := h.read(r.Context())
	if err != nil {
		return err
	}
	defer done()
	if err := l.Durable(r.Context()); err != nil {
		return err
	}
	end := l.Head().Seq
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if after >= end {
		return nil
	}
	lines := json.NewEncoder(w)
	err = l.Groups(r.Context(), after, func(g meter.Group) error {
		for i, rec := range g.Records {
			if !all && rec.Tenant != id.Tenant {
				continue
			}
			if err := lines.Encode(usageLine{g.Seq, g.First + uint64(i), meter.TextOf(rec)}); err != nil {
				return errEnd // the client left
			}
		}
		if g.Seq >= end {
			return errEnd
		}
		return nil
	})
	if errors.Is(err, errEnd) || r.Context().Err() != nil {
		return nil
	}
	return err
}
