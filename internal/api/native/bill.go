package native

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/ledger"
)

// Repriced is what a month cost, and what it would have by another price book.
type Repriced struct {
	Billed     billing.Invoice    `json:"billed"`
	Repriced   billing.Invoice    `json:"repriced"`
	Difference millicent.MoneySum `json:"difference"` // of the totals, repriced less billed
}

// Book is a price book on the wire.
type Book struct {
	ID       string                     `json:"id"`
	Currency string                     `json:"currency"`
	InForce  bool                       `json:"inForce"` // now
	Prices   map[string]millicent.Money `json:"prices"`  // by item, without those that cost nothing
}

// prices answers the price books that there are.
func (h *Handler) prices(w http.ResponseWriter, _ *http.Request) error {
	books, now := []Book{}, h.cfg.Books.At(time.Now())
	for _, b := range h.cfg.Books.All() {
		out := Book{ID: b.ID(), Currency: b.Currency, InForce: b.ID() == now.ID(), Prices: map[string]millicent.Money{}}
		for i, price := range b.Prices {
			if price > 0 {
				out.Prices[billing.Item(i).String()] = price
			}
		}
		books = append(books, out)
	}
	return writeJSON(w, http.StatusOK, map[string][]Book{"books": books})
}

// invoice answers the invoice of a month, or with book=ID also what the month
// would have cost by that price book.
func (h *Handler) invoice(w http.ResponseWriter, r *http.Request) error {
	if id := r.URL.Query().Get("book"); id != "" {
		book, ok := h.cfg.Books.Book(id)
		if !ok {
			return millicent.Errorf(millicent.CodeNotFound, "Price book not found: %.60s", id)
		}
		return h.writeRepriced(w, r, book)
	}
	inv, _, err := h.bill(r)
	if err != nil {
		return err
	}
	return writeInvoice(w, inv, r.URL.Query().Get("format"))
}

func writeInvoice(w http.ResponseWriter, inv billing.Invoice, format string) error {
	switch format {
	case "", "json":
		return writeJSON(w, http.StatusOK, inv)
	case "csv":
		return writeFile(w, "text/csv; charset=utf-8", inv.CSV)
	case "html":
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		return writeFile(w, "text/html; charset=utf-8", inv.HTML)
	}
	return millicent.Errorf(millicent.CodeInvalid, "format %.40q: choose json, csv or html", format)
}

// writeFile writes an answer that is no JSON. A client that left is no error.
func writeFile(w http.ResponseWriter, kind string, write func(io.Writer) error) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = write(w) // fails as the client's connection does
	return nil
}

// reprice answers what a month would have cost by the price book in the body.
func (h *Handler) reprice(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return &millicent.Error{Code: "RequestTooLargeException", Message: "A price book has at most 64 KB.", Err: err}
	}
	book, err := billing.Parse(text)
	if err != nil {
		return millicent.Errorf(millicent.CodeInvalid, "Price book: %v", err)
	}
	return h.writeRepriced(w, r, book)
}

func (h *Handler) writeRepriced(w http.ResponseWriter, r *http.Request, book *billing.Book) error {
	inv, used, err := h.bill(r)
	if err != nil {
		return err
	}
	period := billing.Period{Tenant: inv.Tenant, Month: inv.From, Issued: inv.Issued}
	out := Repriced{Billed: inv, Repriced: billing.Reprice(period, used, book)}
	out.Difference = out.Repriced.Total.Sub(inv.Total)
	return writeJSON(w, http.StatusOK, out)
}

// bill returns the invoice that a request asks for, and what it is made of.
func (h *Handler) bill(r *http.Request) (inv billing.Invoice, used []billing.Used, err error) {
	tenant, err := billedTenant(r, r.URL.Query())
	if err != nil {
		return inv, nil, err
	}
	if tenant == "" {
		return inv, nil, millicent.Errorf(millicent.CodeInvalid, "An invoice is one tenant's: name it.")
	}
	month, err := monthOf(r.PathValue("month"))
	if err != nil {
		return inv, nil, err
	}
	used, functions, err := h.used(r.Context(), tenant, month)
	if err != nil {
		return inv, nil, err
	}
	return billing.Bill(billing.Period{Tenant: tenant, Month: month, Issued: time.Now().UTC().Truncate(time.Second)}, used, functions, h.cfg.Books), used, nil
}

// monthOf returns the begin of a month such as 2026-11.
func monthOf(name string) (time.Time, error) {
	month, err := time.Parse("2006-01", name)
	if err != nil || month.Year() < 1970 {
		return month, millicent.Errorf(millicent.CodeInvalid, "Month %.40q: want one such as 2026-11", name)
	}
	return month, nil
}

// used returns what a tenant used in a month, by price book and by function.
func (h *Handler) used(ctx context.Context, tenant string, month time.Time) (used []billing.Used, functions []billing.Share, err error) {
	rows, err := h.series(ctx, ledger.Query{
		Tenant: tenant, From: month, To: month.AddDate(0, 1, 0), By: []ledger.Dimension{ledger.ByBook, ledger.ByFunction},
	})
	if err != nil {
		return nil, nil, err
	}
	books, shares := map[string]int{}, map[string]int{}
	for _, row := range rows {
		id, function := row.Names[0], row.Names[1]
		n, ok := books[id]
		if !ok {
			book, known := h.cfg.Books.Book(id)
			if !known {
				return nil, nil, millicent.Errorf(millicent.CodeInternal, "The price book %s is lost.", id)
			}
			n = len(used)
			books[id], used = n, append(used, billing.Used{Book: book})
		}
		u := &used[n]
		u.Receipts += row.Records
		u.Charged = u.Charged.Add(row.Charged)
		u.Quantities.Add(row.Quantities)
		if n, ok = shares[function]; !ok {
			n = len(functions)
			shares[function], functions = n, append(functions, billing.Share{Name: function})
		}
		f := &functions[n]
		f.Requests += row.Invocations()
		f.Errors += row.Errors
		f.Amount = f.Amount.Add(row.Charged)
	}
	return used, functions, nil
}

// focus answers a month as a FOCUS dataset.
func (h *Handler) focus(w http.ResponseWriter, r *http.Request) error {
	inv, _, err := h.bill(r)
	if err != nil {
		return err
	}
	day := ledger.Day
	rows, err := h.series(r.Context(), ledger.Query{
		Tenant: inv.Tenant, From: inv.From, To: inv.To, Each: &day,
		By: []ledger.Dimension{ledger.ByFunction, ledger.ByAlias, ledger.ByTags, ledger.ByBook},
	})
	if err != nil {
		return err
	}
	uses := make([]billing.DailyUse, 0, len(rows))
	for _, row := range rows {
		book, ok := h.cfg.Books.Book(row.Names[3])
		if !ok {
			return millicent.Errorf(millicent.CodeInternal, "The price book %s is lost.", row.Names[3])
		}
		uses = append(uses, billing.DailyUse{
			Day: row.Time, Function: row.Names[0], Alias: row.Names[1], Tags: row.Names[2], Book: book, Quantities: row.Quantities,
		})
	}
	return writeFile(w, "text/csv; charset=utf-8", func(to io.Writer) error { return inv.FOCUS(to, h.cfg.Info.Region, uses) })
}
