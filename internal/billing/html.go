package billing

import (
	"bufio"
	_ "embed" // of the style
	"fmt"
	"html"
	"io"
	"time"
)

//go:embed invoice.css
var invoiceStyle string

// A page writes HTML. It has no error until it is flushed.
type page struct{ *bufio.Writer }

// add writes markup, in which %s and %d stand for args; text among them is
// escaped.
func (p page) add(markup string, args ...any) {
	for i, a := range args {
		if _, number := a.(int64); !number {
			args[i] = html.EscapeString(fmt.Sprint(a))
		}
	}
	fmt.Fprintf(p.Writer, markup+"\n", args...)
}

// HTML writes the invoice as a page that needs nothing else, laid out for the
// screen and for printing. (It uses no html/template, for the sake of the
// program's size: see docs/rationale.md.)
func (inv *Invoice) HTML(w io.Writer) error {
	p := page{bufio.NewWriter(w)}
	p.add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />")
	p.add(`<meta name="viewport" content="width=device-width, initial-scale=1" />`)
	p.add("<title>Invoice %s</title>\n<style>", inv.ID)
	_, _ = p.WriteString(invoiceStyle) // Flush tells
	p.add("</style>\n</head>\n<body>\n<main>")
	inv.header(p)
	for i := range inv.Sections {
		inv.Sections[i].table(p, inv.Currency)
	}
	if len(inv.Sections) == 0 {
		p.add("<h2>Nothing was used.</h2>")
	}
	inv.totals(p)
	inv.shares(p)
	p.add(`<p class="note">Amounts are exact to 0.000000000001 %s. Items are quantity times price, rounded once; a receipt is rounded for each of its items.</p>`, inv.Currency)
	p.add("</main>\n</body>\n</html>")
	return p.Flush()
}

func (inv *Invoice) header(p page) {
	title, soFar := "Invoice", ""
	if inv.Repriced {
		title = "What it would have cost"
	}
	if !inv.Final {
		soFar = ", so far"
	}
	p.add("<header>\n<div><h1>%s</h1><p>%s%s</p></div>\n<dl>", title, inv.From.Format("January 2006"), soFar)
	for _, fact := range [][2]string{
		{"Number", inv.ID}, {"Account", inv.Tenant},
		{"Period", inv.From.Format(time.DateOnly) + " to " + inv.To.AddDate(0, 0, -1).Format(time.DateOnly) + ", UTC"},
		{"Issued", inv.Issued.Format("2006-01-02 15:04") + " UTC"},
	} {
		p.add("<dt>%s</dt><dd>%s</dd>", fact[0], fact[1])
	}
	p.add("</dl>\n</header>")
}

func (s *Section) table(p page, currency string) {
	p.add("<h2>Prices: %s</h2>\n<div class=\"scroll\"><table>", s.Book)
	p.add(`<thead><tr><th scope="col">Item</th><th scope="col" class="n">Quantity</th><th scope="col" class="n">Price</th><th scope="col" class="n">%s</th></tr></thead><tbody>`, currency)
	row := func(item, quantity, price string, amount any) {
		p.add(`<tr><td>%s</td><td class="n">%s</td><td class="n">%s</td><td class="n">%s</td></tr>`, item, quantity, price, amount)
	}
	for _, l := range s.Lines {
		row(Title(l.Item), Decimal(l.Quantity, l.Per, 6), l.Price.String()+" per "+l.PerUnit, l.Amount)
	}
	if s.Rounding.Sign() != 0 {
		row(Title(rounding), fmt.Sprint(s.Receipts, " receipts"), "", s.Rounding)
	}
	for _, c := range s.Credits {
		row(c.Title(), "", "", c.Amount.Neg())
	}
	p.add("</tbody>\n</table></div>")
}

func (inv *Invoice) totals(p page) {
	list := "Sum of the receipts"
	if inv.Repriced {
		list = "At list prices"
	}
	p.add(`<div class="scroll"><table><tbody>`)
	p.add(`<tr><td>%s</td><td class="n">%s</td></tr>`, list, inv.Charged)
	if inv.Credited.Sign() != 0 {
		p.add(`<tr><td>Credits</td><td class="n">%s</td></tr>`, inv.Credited.Neg())
	}
	p.add(`<tr class="total"><td>Total</td><td class="n">%s %s</td></tr>`, inv.Total, inv.Currency)
	p.add("</tbody></table></div>")
}

func (inv *Invoice) shares(p page) {
	if len(inv.Functions) == 0 {
		return
	}
	p.add("<h2>By function, at list prices</h2>\n<div class=\"scroll\"><table>")
	p.add(`<thead><tr><th scope="col">Function</th><th scope="col" class="n">Invocations</th><th scope="col" class="n">Errors</th><th scope="col" class="n">%s</th></tr></thead><tbody>`, inv.Currency)
	for _, f := range inv.Functions {
		name := f.Name
		if name == "" {
			name = "none"
		}
		p.add(`<tr><td>%s</td><td class="n">%d</td><td class="n">%d</td><td class="n">%s</td></tr>`, name, f.Requests, f.Errors, f.Amount)
	}
	p.add("</tbody>\n</table></div>")
}
