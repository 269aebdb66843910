package billing

import (
	"strings"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
)

const head = "format: 1\nname: a\nversion: 1\ncurrency: EUR\n"

func TestParse(t *testing.T) {
	b, err := Parse([]byte(head + `valid: {from: 2026-01-01, until: 2027-01-01}
prices:
  gb_second: "0.00002"
  init_gb_second: 0
free: {gb_second: 10}
tiers:
  gb_second: [{above: 100, price: 0.00001}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if b.ID() != "a@1" || b.From != time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) || b.Until.Year() != 2027 {
		t.Errorf("got %+v", b)
	}
	if b.Prices[Compute] != 20*1_000_000 || b.Prices[Init] != 0 || b.Free[Compute] != 10*1024*1000 {
		t.Errorf("got prices %v, free %v", b.Prices, b.Free)
	}
	if got := b.Tiers[Compute]; len(got) != 1 || got[0] != (Tier{Above: 100 * 1024 * 1000, Price: 10 * 1_000_000}) {
		t.Errorf("got tiers %v", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "empty",
		"- a":                             "line 1: want keys and values",
		"format: 2":                       "line 1: want 1, not \"2\"",
		"name: a":                         "line 1: format is missing",
		head + "x: 1":                     `line 5: "x" is not known here`,
		head + "prices:\n  gb_secnd: 1":   `line 6: "gb_secnd" is not known here`,
		head + "prices:\n  request: 1e-3": "line 6: \"1e-3\" is not an amount",
		head + "prices:\n  request: -1":   "line 6: want an amount from 0",
		head + "prices:\n  request: 0.0000000000001":                                                    "at most 12 decimal places",
		head + "prices:\n  request: 1001":                                                               "line 6: want an amount from 0 to 1000",
		head + "prices:\n  request: [1]":                                                                "line 6: want a value",
		head + "prices: {request: 1}\nprices: {request: 2}":                                             "line 6: ",
		head + "free: {request: 0.5}":                                                                   "want a whole number",
		head + "tiers: {request: [{above: 5}]}":                                                         "price is missing",
		head + "tiers: {request: [{above: 5, price: 1}]}":                                               "lower price",
		head + "prices: {request: 2}\ntiers: {request: [{above: 5, price: 1}, {above: 5, price: 0.5}]}": "begins above the one before",
		head + "valid: {from: 2026-02-30}":                                                              "want a day",
		head + "valid: {from: 2026-02-01, until: 2026-02-01}":                                           "has to be after",
		head + "prices: {gb_second: 1}\nmachine: {per_month: 1, watts: 1, per_kwh: 1, memory_gb: 1, cores: 1, utilisation_percent: 50}": "come from the machine",
		head + "machine: {per_month: 1}":                  "watts is missing",
		head + "---\na: 1":                                "one YAML document",
		strings.Replace(head, "EUR", "eur", 1):            "line 4: ",
		strings.Replace(head, "name: a", "name: ../a", 1): "line 2: ",
		head + "#" + strings.Repeat("x", maxBook):         "at most 65536 bytes",
		head + "a: &a [*a]":                               "line 5",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzParse: what is read can price anything, and never to less than nothing.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"default", "hardware"} {
		text, _ := Embedded(name)
		f.Add(text)
	}
	f.Add([]byte(head + "tiers: {request: [{above: 5, price: 0}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse(text)
		if err != nil {
			return
		}
		v := &millicent.Version{MemoryMB: 10240, Timeout: 900 * time.Second}
		rec := &millicent.UsageRecord{Kind: millicent.UsageInvocation, MemoryMB: 10240, Billed: 910 * time.Second, CPU: time.Hour}
		if most, c := b.Most(v), b.Price(rec); c.Total.Sign() < 0 || c.Total.Compare(most.Sum()) > 0 && most < millicent.MaxMoney {
			t.Errorf("costs %v, at most %v", c.Total, most)
		}
		if _, err := NewBooks([]*Book{Default(), b}, nil); err == nil && b.Currency != "USD" {
			t.Error("two currencies")
		}
	})
}
