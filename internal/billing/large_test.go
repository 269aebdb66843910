package billing

import (
	"bytes"
	"encoding/csv"
	"math/big"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

// TestLargeInvoice: an invoice beyond 9.2 million units is exact in all of its
// forms. In some currencies that is not much.
func TestLargeInvoice(t *testing.T) {
	b := &Book{Name: "dear", Version: 1, Currency: "VND"}
	b.Prices[Requests] = 1_234_567 * millicent.Unit
	b.Free[Requests] = 100
	q := Quantities{Requests: 5_000_000_000}
	u := Used{Book: b, Receipts: q[Requests], Charged: b.Total(q).Total, Quantities: q}
	inv := Bill(november, []Used{u}, []Share{{Name: "fn", Amount: u.Charged}}, mustBooks(t, b))
	const charged, total = "6172835000000000", "6172834876543300"
	if inv.Charged.String() != charged || inv.Total.String() != total {
		t.Errorf("got %v charged, %v in all", inv.Charged, inv.Total)
	}
	if again := Reprice(november, []Used{u}, b); again.Total != inv.Total {
		t.Errorf("by the same book it costs %v", again.Total)
	}
	var page, table, focus bytes.Buffer
	for _, err := range []error{inv.HTML(&page), inv.CSV(&table), inv.FOCUS(&focus, "local", []DailyUse{{Day: november.Month, Function: "fn", Book: b, Quantities: q}})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(page.String(), total+" VND") || !strings.Contains(table.String(), total+"\n") {
		t.Errorf("the total is not told:\n%s\n%s", &page, &table)
	}
	rows, err := csv.NewReader(&focus).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := new(big.Rat)
	for _, row := range rows[1:] {
		cost, ok := new(big.Rat).SetString(row[0])
		if !ok {
			t.Fatalf("%q is no cost", row[0])
		}
		sum.Add(sum, cost)
	}
	if sum.FloatString(0) != total || !sum.IsInt() {
		t.Errorf("the rows of FOCUS add up to %v, want %s", sum, total)
	}
}
