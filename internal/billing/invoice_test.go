package billing

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

var (
	november = Period{Tenant: "000000000000", Month: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Issued: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	gbSecond = int64(1024 * 1000)
)

func mustBooks(t *testing.T, chosen ...*Book) *Books {
	t.Helper()
	books, err := NewBooks(chosen, nil)
	if err != nil {
		t.Fatal(err)
	}
	return books
}

// TestInvoiceIsTheSumOfReceipts: for random records under random books, one
// after the other in a month.
func TestInvoiceIsTheSumOfReceipts(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	for range 300 {
		var used []Used
		var receipts millicent.MoneySum
		for n := range 1 + r.IntN(3) {
			b := randomBook(r)
			b.Version, b.From = n+1, november.Month.AddDate(0, 0, 7*n)
			for i := range b.Free {
				if r.IntN(2) == 0 {
					b.Free[i] = r.Int64N(1 << r.IntN(50))
				}
				for above, price := b.Free[i]+1+r.Int64N(1<<30), b.Prices[i]/2; price > 0 && len(b.Tiers[i]) < 3; above, price = above*2, price/3 {
					b.Tiers[i] = append(b.Tiers[i], Tier{above, price})
				}
			}
			u := Used{Book: b}
			v := &millicent.Version{MemoryMB: 128 + r.IntN(3000), Timeout: time.Minute}
			for range r.IntN(100) {
				c := b.Price(randomRecord(r, v))
				u.Receipts++
				u.Charged = u.Charged.Add(c.Total)
				u.Quantities.Add(c.Quantities)
			}
			receipts = receipts.Add(u.Charged)
			used = append(used, u)
		}
		base := randomBook(r)
		inv := Bill(november, used, nil, mustBooks(t, base))
		if inv.Charged != receipts {
			t.Fatalf("the invoice says %v, the receipts add up to %v", inv.Charged, receipts)
		}
		var lines, credits millicent.MoneySum
		for _, s := range inv.Sections {
			lines = lines.Add(s.Rounding)
			for _, l := range s.Lines {
				lines = lines.Add(l.Amount)
			}
			for _, c := range s.Credits {
				if c.Amount.Sign() <= 0 && c.Item != rounding {
					t.Fatalf("a credit of %v", c.Amount)
				}
				credits = credits.Add(c.Amount)
			}
		}
		if lines != receipts || inv.Total != receipts.Sub(credits) || inv.Credited != credits {
			t.Fatalf("lines %v, credits %v of %+v", lines, credits, inv)
		}
		if inv.Total.Sign() < 0 {
			t.Fatalf("a total of %v", inv.Total)
		}
	}
}

// TestCredits goes along a month's quantity with two books: 10 free, half the
// price above 100 and a fifth above 1000; then 200 free, less above 300.
func TestCredits(t *testing.T) {
	first := &Book{Name: "a", Version: 1, Currency: "EUR"}
	first.Prices[Requests] = 10
	first.Free[Requests] = 10
	first.Tiers[Requests] = []Tier{{100, 5}, {1000, 2}}
	second := &Book{Name: "b", Version: 1, Currency: "EUR", From: november.Month.AddDate(0, 0, 9)}
	second.Prices[Requests] = 100
	second.Free[Requests] = 200
	second.Tiers[Requests] = []Tier{{300, 60}}
	credit := func(reason string, quantity int64, amount millicent.Money) Credit {
		return Credit{Item: "request", Reason: reason, Quantity: quantity, Unit: "requests", Amount: amount.Sum()}
	}
	for _, c := range []struct {
		first, second int64
		want          [][]Credit // of each section
		total         millicent.Money
	}{
		{5, 0, [][]Credit{{credit("free", 5, 50)}}, 0},
		{10, 0, [][]Credit{{credit("free", 10, 100)}}, 0},
		{100, 0, [][]Credit{{credit("free", 10, 100)}}, 900},
		{150, 0, [][]Credit{{credit("free", 10, 100), credit("volume", 50, 250)}}, 1150},
		{1500, 0, [][]Credit{{credit("free", 10, 100), credit("volume", 900, 4500), credit("volume", 500, 4000)}}, 6400},
		{150, 100, [][]Credit{{credit("free", 10, 100), credit("volume", 50, 250)}, {credit("free", 50, 5000)}}, 1150 + 5000},
		{150, 300, [][]Credit{{credit("free", 10, 100), credit("volume", 50, 250)}, {credit("free", 50, 5000), credit("volume", 150, 6000)}}, 1150 + 19000},
	} {
		var used []Used
		for n, b := range []*Book{first, second} {
			q := Quantities{Requests: []int64{c.first, c.second}[n]}
			if q[Requests] > 0 {
				used = append(used, Used{Book: b, Receipts: q[Requests], Charged: b.Total(q).Total, Quantities: q})
			}
		}
		inv := Bill(november, used, nil, mustBooks(t, first))
		var got [][]Credit
		for _, s := range inv.Sections {
			got = append(got, s.Credits)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || inv.Total != c.total.Sum() {
			t.Errorf("%d and %d: total %v, want %v\n%s", c.first, c.second, inv.Total, c.total, diff)
		}
	}
}

// TestAllFree: roundings alone are not charged.
func TestAllFree(t *testing.T) {
	b := Default()
	u := Used{Book: b}
	for range 1000 {
		c := b.Price(&millicent.UsageRecord{Kind: millicent.UsageInvocation, MemoryMB: 128, Billed: 3 * time.Millisecond})
		u.Receipts, u.Charged = u.Receipts+1, u.Charged.Add(c.Total)
		u.Quantities.Add(c.Quantities)
	}
	inv := Bill(november, []Used{u}, nil, mustBooks(t, b))
	if inv.Sections[0].Rounding.Sign() == 0 || inv.Total.Sign() != 0 || inv.Charged != u.Charged {
		t.Errorf("got %+v", inv)
	}
}

func TestReprice(t *testing.T) {
	b, other := Default(), &Book{Name: "other", Version: 2, Currency: "EUR"}
	other.Prices[Compute] = millicent.Cent
	q := Quantities{Requests: 7, Compute: 3 * gbSecond}
	used := []Used{{Book: b, Receipts: 7, Charged: b.Total(q).Total, Quantities: q}, {Book: b, Receipts: 1, Quantities: Quantities{Compute: gbSecond}}}
	inv := Reprice(november, used, other)
	if inv.Total != (4*millicent.Cent).Sum() || inv.Currency != "EUR" || !inv.Repriced || inv.Sections[0].Receipts != 8 {
		t.Errorf("got %+v", inv)
	}
	if inv := Reprice(november, nil, other); inv.Total.Sign() != 0 || len(inv.Sections) != 0 {
		t.Errorf("of nothing: got %+v", inv)
	}
}

// TestDecimal holds quotients against exact ones.
func TestDecimal(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	for range 5000 {
		n, per, places := r.Int64N(1<<r.IntN(63)+1), 1+r.Int64N(1<<r.IntN(60)), r.IntN(25)
		got, ok := new(big.Rat).SetString(Decimal(n, per, places))
		if !ok {
			t.Fatalf("%d ÷ %d: %s is no number", n, per, Decimal(n, per, places))
		}
		d := got.Sub(got, big.NewRat(n, per))
		half := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
		if half.Mul(half, big.NewRat(1, 2)); d.Abs(d).Cmp(half) > 0 {
			t.Fatalf("%d ÷ %d in %d places: %s", n, per, places, Decimal(n, per, places))
		}
	}
	if got := Decimal(12800, gbSecond, 30); got != "0.0125" {
		t.Errorf("got %s", got)
	}
}
