package billing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
)

// Used is what was used in a month while one book was in force.
type Used struct {
	Book       *Book
	Receipts   int64
	Charged    millicent.MoneySum // that the receipts add up to
	Quantities Quantities
}

// A Share is a part of a bill: that of a function, for example.
type Share struct {
	Name     string             `json:"name"`
	Requests int64              `json:"requests"`
	Errors   int64              `json:"errors"`
	Amount   millicent.MoneySum `json:"amount"` // that the receipts add up to
}

// A Credit is what is not charged of an item, or less than by the list.
type Credit struct {
	Item     string             `json:"item"`
	Reason   string             `json:"reason"`   // free or volume
	Quantity int64              `json:"quantity"` // in the item's unit
	Unit     string             `json:"unit"`
	Amount   millicent.MoneySum `json:"amount"` // the invoice is less by it; negative for roundings only
}

// Title returns what the credit is called on an invoice.
func (c *Credit) Title() string {
	if c.Reason == CreditVolume {
		return "Volume price: " + Title(c.Item)
	}
	return "Not charged: " + Title(c.Item)
}

// The reasons of credits.
const (
	CreditFree   = "free"
	CreditVolume = "volume"
)

// rounding is the item of the credit for roundings.
const rounding = "rounding"

// A Section is the part of an invoice that one price book rules.
type Section struct {
	Book     string             `json:"book"`
	Lines    []Line             `json:"lines"`
	Rounding millicent.MoneySum `json:"rounding"` // Charged without Lines
	Receipts int64              `json:"receipts"`
	Charged  millicent.MoneySum `json:"charged"` // that the receipts add up to; of another book than theirs: the sum of Lines
	Credits  []Credit           `json:"credits"`
}

// An Invoice is what a tenant owes for a calendar month (UTC). Charged is the
// sum of the receipts, to the last unit; Total is that without the credits.
type Invoice struct {
	ID       string    `json:"id"` // TENANT-YYYY-MM
	Tenant   string    `json:"tenant"`
	Currency string    `json:"currency"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Issued   time.Time `json:"issued"`
	Final    bool      `json:"final"`    // the month was over when it was issued
	Repriced bool      `json:"repriced"` // by another book than those of the receipts: nothing is owed by it

	Sections  []Section `json:"sections"`
	Functions []Share   `json:"functions"`

	Charged  millicent.MoneySum `json:"charged"`
	Credited millicent.MoneySum `json:"credited"`
	Total    millicent.MoneySum `json:"total"`
}

// A Period is what an invoice is about, and for whom.
type Period struct {
	Tenant string
	Month  time.Time // its begin
	Issued time.Time
}

func (p *Period) invoice(currency string) Invoice {
	end := p.Month.AddDate(0, 1, 0)
	return Invoice{
		ID: p.Tenant + "-" + p.Month.Format("2006-01"), Tenant: p.Tenant, Currency: currency,
		From: p.Month, To: end, Issued: p.Issued, Final: !p.Issued.Before(end),
		Sections: []Section{}, Functions: []Share{},
	}
}

// Bill returns the invoice of a month, of what was used by each book that was
// in force; books are the platform's, for the currency of a month without any.
func Bill(p Period, used []Used, functions []Share, books *Books) Invoice {
	used = slices.Clone(used)
	slices.SortFunc(used, func(a, b Used) int { // as they came into force
		return cmp.Or(a.Book.From.Compare(b.Book.From), cmp.Compare(a.Book.ID(), b.Book.ID()))
	})
	inv := p.invoice(books.At(p.Month).Currency)
	var before Quantities
	for _, u := range used {
		inv.Currency = u.Book.Currency
		inv.add(section(&u, before))
		before.Add(u.Quantities)
	}
	inv.Functions = slices.Clone(functions)
	slices.SortFunc(inv.Functions, func(a, b Share) int {
		return cmp.Or(b.Amount.Compare(a.Amount), cmp.Compare(a.Name, b.Name))
	})
	return inv
}

// Reprice returns what the month would have cost by another book. There are no
// receipts by it: Charged is the price of the quantities, each item rounded
// once.
func Reprice(p Period, used []Used, book *Book) Invoice {
	together := Used{Book: book}
	for _, u := range used {
		together.Receipts += u.Receipts
		together.Quantities.Add(u.Quantities)
	}
	together.Charged = book.Total(together.Quantities).Total
	inv := p.invoice(book.Currency)
	inv.Repriced = true
	if together.Receipts > 0 {
		inv.add(section(&together, Quantities{}))
	}
	return inv
}

func (inv *Invoice) add(s Section) {
	inv.Sections = append(inv.Sections, s)
	inv.Charged = inv.Charged.Add(s.Charged)
	for _, c := range s.Credits {
		inv.Credited = inv.Credited.Add(c.Amount)
	}
	inv.Total = inv.Charged.Sub(inv.Credited)
}

// section returns the part of an invoice that is ruled by a book, after some
// was used in the month by others.
func section(u *Used, before Quantities) Section {
	total := u.Book.Total(u.Quantities)
	s := Section{
		Book: u.Book.ID(), Lines: total.Lines(), Rounding: u.Charged.Sub(total.Total),
		Receipts: u.Receipts, Charged: u.Charged, Credits: []Credit{},
	}
	var credited millicent.MoneySum
	for i := range Item(NumItems) {
		for _, c := range u.Book.credits(i, before[i], addUp(before[i], u.Quantities[i]), total.Amounts[i]) {
			s.Credits = append(s.Credits, c)
			credited = credited.Add(c.Amount)
		}
	}
	// Roundings alone are neither paid nor paid out.
	if left := total.Total.Sub(credited); s.Rounding.Sign() != 0 && (left.Sign() == 0 || left.Add(s.Rounding).Sign() < 0) {
		s.Credits = append(s.Credits, Credit{Item: rounding, Reason: CreditFree, Amount: s.Rounding})
	}
	return s
}

// credits returns the credits for a month's usage of an item from one quantity
// to another, whose price by the list is amount. Together they are at most
// that.
func (b *Book) credits(i Item, from, to int64, amount millicent.MoneySum) []Credit {
	var list []Credit
	grant := func(reason string, quantity int64, price millicent.Money) {
		c := Credit{Item: i.String(), Reason: reason, Quantity: quantity, Unit: i.Unit()}
		if c.Amount = price.Of(quantity, measures[i].per); c.Amount.Compare(amount) > 0 {
			c.Amount = amount
		}
		if c.Amount.Sign() > 0 {
			amount = amount.Sub(c.Amount)
			list = append(list, c)
		}
	}
	free := b.Free[i]
	grant(CreditFree, overlap(from, to, 0, free), b.Prices[i])
	for n, t := range b.Tiers[i] {
		end := to
		if n+1 < len(b.Tiers[i]) {
			end = b.Tiers[i][n+1].Above
		}
		grant(CreditVolume, overlap(from, to, max(free, t.Above), end), b.Prices[i]-t.Price)
	}
	return list
}

// overlap returns how much of a to b is in c to d.
func overlap(a, b, c, d int64) int64 { return max(0, min(b, d)-max(a, c)) }

// Title returns what an item is called on an invoice.
func Title(item string) string {
	switch item {
	case "request":
		return "Invocations"
	case "gb_second":
		return "Compute"
	case "init_gb_second":
		return "Init"
	case "cpu_second":
		return "CPU"
	case "egress_gb":
		return "Data out"
	case "provisioned_gb_second":
		return "Provisioned concurrency"
	case "storage_gb_month":
		return "Storage"
	case "queue_request":
		return "Queue requests"
	case rounding:
		return "Rounding of receipts"
	}
	return strings.ReplaceAll(item, "_", " ")
}
