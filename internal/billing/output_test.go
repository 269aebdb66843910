package billing

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

// someInvoice is of a month with two books, credits and roundings, and of a
// function whose name is as bad as can be.
func someInvoice(t *testing.T) (Invoice, []DailyUse) {
	t.Helper()
	other := Default()
	other.Name, other.From = "other", november.Month.AddDate(0, 0, 20)
	other.Prices[CPU], other.Prices[Storage] = 1_234_567, 3_333_333
	other.Free = Quantities{}
	other.Tiers[Requests] = []Tier{{1000, 7}}
	var used []Used
	var uses []DailyUse
	for n, b := range []*Book{Default(), other} {
		u := Used{Book: b}
		for day := range 3 {
			d := DailyUse{Day: november.Month.AddDate(0, 0, 20*n+day), Function: "hello", Alias: []string{"", "live", ""}[day], Book: b}
			if day == 1 {
				d.Tags = `{"team":"a, \"b\""}`
			}
			for i := range 400 {
				rec := &millicent.UsageRecord{
					Kind: millicent.UsageInvocation, MemoryMB: 1769, Duration: time.Second, Init: 77 * time.Millisecond,
					Billed: time.Duration(3077+i) * time.Millisecond, CPU: time.Duration(i) * 1371 * time.Microsecond, Egress: int64(i) << 23,
				}
				if i%100 == 0 {
					rec.Kind, rec.Quantity = millicent.UsageStorage, int64(i+1)<<38
				}
				if i%100 == 1 {
					rec.Kind, rec.Quantity = millicent.UsageQueue, 12
				}
				c := b.Price(rec)
				u.Receipts, u.Charged = u.Receipts+1, u.Charged.Add(c.Total)
				u.Quantities.Add(c.Quantities)
				d.Quantities.Add(c.Quantities)
			}
			uses = append(uses, d)
		}
		used = append(used, u)
	}
	inv := Bill(november, used, []Share{{Name: `<script>&"'`, Requests: 2398, Amount: millicent.Money(5).Sum()}, {}}, mustBooks(t, Default()))
	if inv.Credited.Sign() == 0 || inv.Sections[0].Rounding.Sign() == 0 || inv.Sections[1].Rounding.Sign() == 0 {
		t.Fatalf("too plain an invoice: %+v", inv)
	}
	return inv, uses
}

// TestHTML: the page is well formed, escapes, and has its amounts.
func TestHTML(t *testing.T) {
	inv, _ := someInvoice(t)
	empty := Bill(november, nil, nil, mustBooks(t, Default()))
	for _, inv := range []Invoice{inv, empty} {
		var b bytes.Buffer
		if err := inv.HTML(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		dec := xml.NewDecoder(&b)
		dec.Strict, dec.Entity = true, xml.HTMLEntity
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
		}
		for _, want := range []string{inv.ID, inv.Total.String() + " USD", "November 2026"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q", want)
			}
		}
		if strings.Contains(text, "<script") || strings.Contains(text, "%!") {
			t.Error("not escaped, or ill formatted")
		}
		for _, s := range inv.Sections {
			for _, l := range s.Lines {
				if !strings.Contains(text, l.Amount.String()) {
					t.Errorf("no amount of %s", l.Item)
				}
			}
		}
	}
}

// TestCSV: the rows add up to the total.
func TestCSV(t *testing.T) {
	inv, _ := someInvoice(t)
	var b bytes.Buffer
	if err := inv.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var sum millicent.Money
	kinds := map[string]int{}
	for _, row := range rows[1:] {
		kinds[row[5]]++
		amount := money(t, row[len(row)-1])
		if row[5] == "total" {
			if amount.Sum() != inv.Total || sum.Sum() != inv.Total {
				t.Errorf("the total is %v, the rows add up to %v, want %v", amount, sum, inv.Total)
			}
		}
		sum += amount
	}
	if kinds["item"] < 8 || kinds["rounding"] != 2 || kinds["credit"] < 4 || kinds["total"] != 1 {
		t.Errorf("got %v", kinds)
	}
}
