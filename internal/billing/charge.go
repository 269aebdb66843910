package billing

import (
	"time"

	"github.com/millicent-run/millicent"
)

// Amounts are prices of the items.
type Amounts [NumItems]millicent.Money

// A Charge is what usage costs at list prices.
type Charge struct {
	Quantities Quantities
	Prices     Amounts // per unit, as in the book
	Amounts    [NumItems]millicent.MoneySum
	Total      millicent.MoneySum // of Amounts
}

// A Line is an item of a receipt or an invoice: Amount is Price × Quantity ÷
// Per, rounded half up to 10⁻¹² of the currency's unit.
type Line struct {
	Item     string             `json:"item"`
	Quantity int64              `json:"quantity"`
	Unit     string             `json:"unit"` // of Quantity, such as MB-ms
	Price    millicent.Money    `json:"price"`
	Per      int64              `json:"per"`     // how many Unit the price is for
	PerUnit  string             `json:"perUnit"` // what so many are called, such as GB-second
	Amount   millicent.MoneySum `json:"amount"`
}

// Lines returns the items that were used and have a price, in a fixed order.
func (c *Charge) Lines() []Line {
	lines := []Line{}
	for i := range Item(NumItems) {
		if c.Quantities[i] == 0 || c.Prices[i] == 0 {
			continue
		}
		per, perUnit := i.Per()
		lines = append(lines, Line{
			Item: i.String(), Quantity: c.Quantities[i], Unit: i.Unit(),
			Price: c.Prices[i], Per: per, PerUnit: perUnit, Amount: c.Amounts[i],
		})
	}
	return lines
}

// Price returns the charge of one record: what its receipt says. The same
// record and book always give the same charge.
func (b *Book) Price(rec *millicent.UsageRecord) Charge { return b.Total(Measure(rec)) }

// A Receipt is the charge of one record, as its receipt says it.
type Receipt struct {
	Book     string             `json:"book"`
	Currency string             `json:"currency"`
	Lines    []Line             `json:"lines"`
	Total    millicent.MoneySum `json:"total"`
}

// Receipt returns what the receipt of a record says.
func (b *Book) Receipt(rec *millicent.UsageRecord) *Receipt {
	c := b.Price(rec)
	return &Receipt{Book: b.ID(), Currency: b.Currency, Lines: c.Lines(), Total: c.Total}
}

// Total returns the price of quantities, of however many records.
func (b *Book) Total(q Quantities) Charge {
	c := Charge{Quantities: q, Prices: b.Prices}
	for i := range q {
		if q[i] == 0 {
			continue // most are
		}
		c.Amounts[i] = b.Prices[i].Of(q[i], measures[i].per)
		c.Total = c.Total.Add(c.Amounts[i])
	}
	return c
}

// Egress returns the price of bytes sent out, at list prices.
func (b *Book) Egress(bytes int64) millicent.Money {
	return b.Prices[Egress].Of(bytes, measures[Egress].per).Money()
}

// MostInit is the most Init time, or time of a snapshot's start, that one
// invocation is billed.
const MostInit = 10 * time.Second

// Most returns the most that one invocation of v can cost at list prices, its
// egress aside, which nothing bounds ahead: the request, the whole timeout and
// the whole Init phase at v's memory size, and all CPU that comes with it.
// Price never gives more for a record of v whose Duration is at most the
// timeout and whose Init is at most MostInit.
func (b *Book) Most(v *millicent.Version) millicent.Money {
	memory := atLeast0(v.MemoryMB)
	timeout, init := ceilMs(v.Timeout), ceilMs(MostInit)
	var q Quantities
	q[Requests] = 1
	q[CPU] = mostCPU(timeout+init, memory)
	q[Compute] = multiply(timeout, memory)
	q[Init] = multiply(init, memory)
	return b.Total(q).Total.Money()
}
