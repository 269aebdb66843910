package billing

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// CSV writes the invoice as comma-separated values (RFC 4180) with a head. The
// amounts of its rows of the kinds item, rounding and credit add up to that of
// the row total.
func (inv *Invoice) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	row := func(kind, book, item, quantity, unit string, price, per string, amount millicent.MoneySum) {
		// What cannot be written is told by Error, at the end.
		_ = out.Write([]string{inv.ID, inv.Tenant, inv.From.Format(time.DateOnly), inv.To.Format(time.DateOnly), inv.Currency,
			kind, book, item, quantity, unit, price, per, amount.String()})
	}
	_ = out.Write([]string{"invoice", "tenant", "from", "to", "currency", "kind", "book", "item", "quantity", "unit", "price", "per", "amount"})
	for _, s := range inv.Sections {
		for _, l := range s.Lines {
			row("item", s.Book, l.Item, strconv.FormatInt(l.Quantity, 10), l.Unit, l.Price.String(), strconv.FormatInt(l.Per, 10)+" "+l.Unit, l.Amount)
		}
		if s.Rounding.Sign() != 0 {
			row("rounding", s.Book, rounding, strconv.FormatInt(s.Receipts, 10), "receipts", "", "", s.Rounding)
		}
		for _, c := range s.Credits {
			row("credit", s.Book, c.Item, strconv.FormatInt(c.Quantity, 10), c.Unit, "", "", c.Amount.Neg())
		}
	}
	row("total", "", "", "", "", "", "", inv.Total)
	out.Flush()
	return out.Error()
}
