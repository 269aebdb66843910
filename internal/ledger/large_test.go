package ledger

import (
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// TestLargeSums: a month beyond 9.2 million units, which is not much in some
// currencies, is summed up exactly, in rows of the file and over them; and
// quantities beyond all measure are no trouble to the rest.
func TestLargeSums(t *testing.T) {
	dear := &billing.Book{Name: "dear", Version: 1, Currency: "VND"}
	dear.Prices[billing.Requests] = millicent.MaxMoney/3 + 12345
	books, err := billing.NewBooks([]*billing.Book{dear}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{}
	l, err := Open(Config{Dir: t.TempDir(), Books: books, Source: s.each, First: first, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := rand.New(rand.NewPCG(8, 8))
	var records []millicent.UsageRecord
	for range 20 {
		var group []millicent.UsageRecord
		for range 1 + r.IntN(50) {
			rec := randomRecord(r, books, len(records))
			rec.Kind, rec.Billed, rec.MemoryMB = millicent.UsageInvocation, time.Duration(math.MaxInt64/2), 1<<30
			rec.Function = "fn-" + strconv.Itoa(r.IntN(3))
			group, records = append(group, rec), append(records, rec)
		}
		s.append(group...)
		catchUp(t, l)
	}
	want := new(big.Int).Mul(big.NewInt(int64(dear.Prices[billing.Requests])), big.NewInt(int64(len(records))))
	for _, q := range []Query{
		{To: now.Add(time.Hour)},
		{To: now.Add(time.Hour), By: []Dimension{ByTenant, ByFunction}},
		{To: now.Add(time.Hour), Each: all(Day), By: []Dimension{ByFunction}},
	} {
		got, err := l.Series(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(naive(books, records, q, time.Time{}, q.To), got); diff != "" {
			t.Errorf("(-records +ledger)\n%.2000s", diff)
		}
		var sum millicent.MoneySum
		for _, row := range got {
			sum = sum.Add(row.Charged)
			if row.Quantities[billing.Compute] != math.MaxInt64 {
				t.Errorf("compute is %d, want the most that there is", row.Quantities[billing.Compute])
			}
		}
		units, ok := new(big.Rat).SetString(sum.String())
		if !ok || units.Mul(units, big.NewRat(int64(millicent.Unit), 1)).Cmp(new(big.Rat).SetInt(want)) != 0 {
			t.Errorf("%v is charged, want %v trillionths", sum, want)
		}
	}
}
