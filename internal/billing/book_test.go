package billing

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func money(t *testing.T, text string) millicent.Money {
	t.Helper()
	m, err := millicent.ParseMoney(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDefaultPrice prices one invocation by hand: 128 MB for 100 ms after an
// Init of 50 ms.
func TestDefaultPrice(t *testing.T) {
	c := Default().Price(&millicent.UsageRecord{
		Kind: millicent.UsageInvocation, MemoryMB: 128,
		Duration: 99_200 * time.Microsecond, Init: 50 * time.Millisecond, Billed: 150 * time.Millisecond,
		CPU: time.Second, Egress: 1 << 20,
	})
	want := []Line{
		{Item: "request", Quantity: 1, Unit: "requests", Price: money(t, "0.0000002"), Per: 1, PerUnit: "request", Amount: money(t, "0.0000002").Sum()},
		// 12,800 MB-ms are 0.0125 GB-seconds: 0.00000020833375, rounded half up.
		{Item: "gb_second", Quantity: 12800, Unit: "MB-ms", Price: money(t, "0.0000166667"), Per: 1024000, PerUnit: "GB-second", Amount: money(t, "0.000000208334").Sum()},
		{Item: "init_gb_second", Quantity: 6400, Unit: "MB-ms", Price: money(t, "0.0000166667"), Per: 1024000, PerUnit: "GB-second", Amount: money(t, "0.000000104167").Sum()},
		{Item: "egress_gb", Quantity: 1 << 20, Unit: "bytes", Price: money(t, "0.09"), Per: 1 << 30, PerUnit: "GB", Amount: money(t, "0.000087890625").Sum()},
	}
	if diff := cmp.Diff(want, c.Lines()); diff != "" {
		t.Error(diff)
	}
	if got, want := c.Total, money(t, "0.000088403126").Sum(); got != want {
		t.Errorf("total: got %v, want %v", got, want)
	}
}

func TestOtherKinds(t *testing.T) {
	b := Default()
	for kind, c := range map[millicent.UsageKind]struct {
		quantity int64
		want     string
	}{
		millicent.UsageProvisioned: {1024 * 1000 * 3600, "0.01500012"},          // a GB-hour
		millicent.UsageStorage:     {(1 << 30) * 730 * 3600, "0.023"},           // a GB-month
		millicent.UsageQueue:       {1000, "0.0004"},                            //
		"of a later version":       {1000, "0"},                                 //
		millicent.UsageInvocation:  {1000, Default().Prices[Requests].String()}, // has no quantity
	} {
		if got := b.Price(&millicent.UsageRecord{Kind: kind, Quantity: c.quantity}).Total; got != money(t, c.want).Sum() {
			t.Errorf("%s: got %v, want %s", kind, got, c.want)
		}
	}
}

// randomBook has prices for everything, of any number of digits.
func randomBook(r *rand.Rand) *Book {
	b := &Book{Name: "random", Version: 1, Currency: "EUR"}
	for i := range b.Prices {
		b.Prices[i] = millicent.Money(r.Int64N(1 << r.IntN(40)))
	}
	return b
}

func randomRecord(r *rand.Rand, v *millicent.Version) *millicent.UsageRecord {
	rec := &millicent.UsageRecord{
		Kind: millicent.UsageInvocation, MemoryMB: v.MemoryMB,
		Duration: time.Duration(r.Int64N(int64(v.Timeout) + 1)), CPU: time.Duration(r.Int64N(int64(time.Hour))),
	}
	if r.IntN(2) == 0 {
		rec.Init = time.Duration(r.Int64N(int64(MostInit) + 1))
	}
	if r.IntN(4) == 0 {
		rec.Duration, rec.Init = v.Timeout, MostInit
	}
	rec.Billed = millicent.Usage{Duration: rec.Duration, Init: rec.Init}.Billed()
	return rec
}

// TestMostIsTheMost holds the reservation against the charges of many
// invocations, at the bounds and within.
func TestMostIsTheMost(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := randomBook(r)
		v := &millicent.Version{MemoryMB: 128 + r.IntN(10113), Timeout: time.Duration(1+r.IntN(900)) * time.Second}
		rec := randomRecord(r, v)
		if got, most := b.Price(rec).Total.Money(), b.Most(v); got > most {
			t.Fatalf("%+v of %+v costs %v, more than %v", rec, v, got, most)
		}
	}
}

// TestMostIsReached: nothing is reserved that cannot be used.
func TestMostIsReached(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		b := randomBook(r)
		v := &millicent.Version{MemoryMB: 128 + r.IntN(10113), Timeout: time.Duration(1+r.IntN(900)) * time.Second}
		rec := &millicent.UsageRecord{
			Kind: millicent.UsageInvocation, MemoryMB: v.MemoryMB,
			Duration: v.Timeout, Init: MostInit, Billed: v.Timeout + MostInit, CPU: 1000 * time.Hour,
		}
		if got, most := b.Price(rec).Total.Money(), b.Most(v); got != most {
			t.Fatalf("%+v: the longest costs %v, reserved is %v", v, got, most)
		}
	}
}

// TestSumsAndReceipts: the price of many records together and what their
// receipts add up to differ by half a unit for each item of each at most, and
// quantities add up in any order.
func TestSumsAndReceipts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		b := randomBook(r)
		v := &millicent.Version{MemoryMB: 128 + r.IntN(2000), Timeout: time.Minute}
		var forth, left, right Quantities
		var receipts, lines millicent.Money
		for range 1 + r.IntN(200) {
			c := b.Price(randomRecord(r, v))
			forth.Add(c.Quantities)
			if r.IntN(2) == 0 {
				left.Add(c.Quantities)
			} else {
				right.Add(c.Quantities)
			}
			receipts = receipts.Add(c.Total.Money())
			lines += millicent.Money(len(c.Lines()))
		}
		right.Add(left)
		if forth != right {
			t.Fatalf("added up in another order: got %v, want %v", right, forth)
		}
		together := b.Total(forth).Total.Money()
		if d := max(receipts-together, together-receipts); 2*d > lines+NumItems {
			t.Fatalf("%d lines of receipts come to %v, together they are %v", lines, receipts, together)
		}
	}
}

func TestHardwarePrices(t *testing.T) {
	text, _ := Embedded("hardware")
	b, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	// 45 + 0.065 × 1.2 × 730 × 0.25 = 59.235 a month. Half of it for 64 GB, and
	// for 16 cores, each for 2,628,000 s at 30 %:
	// 29.6175 ÷ (64 × 2628000 × .3) and 29.6175 ÷ (16 × 2628000 × .3).
	if got, want := b.Prices[Compute], money(t, "0.000000586978"); got != want {
		t.Errorf("GB-second: got %v, want %v", got, want)
	}
	if got, want := b.Prices[CPU], money(t, "0.000002347912"); got != want {
		t.Errorf("CPU-second: got %v, want %v", got, want)
	}
	if b.Prices[Init] != b.Prices[Compute] {
		t.Errorf("Init costs %v, want what the handler costs", b.Prices[Init])
	}
}

func TestBooks(t *testing.T) {
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	base := &Book{Name: "a", Version: 1, Currency: "EUR"}
	summer := &Book{Name: "b", Version: 1, Currency: "EUR", From: day("2026-06-01"), Until: day("2026-09-01")}
	july := &Book{Name: "b", Version: 2, Currency: "EUR", From: day("2026-07-01"), Until: day("2026-08-01")}
	old := &Book{Name: "a", Version: 0, Currency: "EUR"}
	books, err := NewBooks([]*Book{summer, base, july}, []*Book{old})
	if err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]*Book{
		"2020-01-01": base, "2026-05-31": base, "2026-06-01": summer, "2026-07-01": july, "2026-08-01": summer, "2026-09-01": base,
	} {
		if got, id := books.At(day(date)), books.IDAt(day(date)); got != want || id != want.ID() {
			t.Errorf("%s: got %s and %s, want %s", date, got.ID(), id, want.ID())
		}
	}
	for rec, want := range map[*millicent.UsageRecord]*Book{
		{PriceBook: "a@0", Start: day("2026-07-01")}: old,
		{Start: day("2026-07-01")}:                   july,
		{PriceBook: "c@1"}:                           nil,
	} {
		if got := books.Of(rec); got != want {
			t.Errorf("%+v: got %v, want %v", rec, got, want)
		}
	}
	for problem, chosen := range map[string][]*Book{
		"has to be without":    {summer},
		"from the same time":   {base, old},
		"different currencies": {base, {Name: "c", Version: 1, Currency: "USD", From: day("2026-01-01")}},
	} {
		if _, err := NewBooks(chosen, nil); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: got %v", problem, err)
		}
	}
}
