package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/billing"
)

// invocations returns a stream of n invocations of one month, the last one
// before now, of 4 tenants with 50 functions each, each with an alias that has
// half of the calls.
func invocations(n int) Source {
	const groupSize = 4000
	return func(_ context.Context, after uint64, each func(Group) error) error {
		r := rand.New(rand.NewPCG(1, after))
		span := 30 * 24 * time.Hour
		records := make([]millicent.UsageRecord, groupSize)
		for seq := after + 1; int(seq)*groupSize <= n; seq++ {
			for i := range records {
				f := r.IntN(200)
				at := (time.Duration(seq-1)*groupSize + time.Duration(i)) * (span / time.Duration(n))
				d := time.Duration(1000+r.IntN(500_000)) * time.Microsecond
				records[i] = millicent.UsageRecord{
					Kind: millicent.UsageInvocation, Tenant: fmt.Sprintf("%012d", f%4), Function: "function-" + strconv.Itoa(f),
					Alias: []string{"", "live"}[r.IntN(2)], MemoryMB: 128 << (f % 4), PeakMemoryMB: 64 + r.IntN(64),
					Start: now.Add(at - span).Truncate(time.Millisecond), Duration: d, CPU: d / 2, Billed: (d + time.Millisecond - 1).Truncate(time.Millisecond),
					In: 1000, Out: 2000, Outcome: millicent.OutcomeSuccess, PriceBook: "default@1",
					Tags: map[string]string{"team": "team-" + strconv.Itoa(f%7)},
				}
			}
			g := Group{Seq: seq, Records: records}
			binary.BigEndian.PutUint64(g.Hash[:], seq)
			if err := each(g); err != nil {
				return err
			}
		}
		return nil
	}
}

// BenchmarkMonth measures counting a month, of MILLICENT_BENCH_RECORDS
// invocations, and then what bills and charts ask for.
func BenchmarkMonth(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("MILLICENT_BENCH_RECORDS"))
	if err != nil {
		n = 200_000
	}
	dir := b.TempDir()
	l := openLedger(b, dir, invocations(n))
	begin := time.Now()
	catchUp(b, l)
	took := time.Since(begin)
	info, err := os.Stat(filepath.Join(dir, "usage.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d records counted in %v, %.0f a second; the file has %d MB", n, took.Round(time.Millisecond), float64(n)/took.Seconds(), info.Size()>>20)
	month, to := Month.Floor(now), now
	for _, c := range []struct {
		name string
		q    Query
	}{
		{"invoice", Query{Tenant: "000000000001", From: month, To: Month.Next(month), By: []Dimension{ByFunction, ByBook}}},
		{"all tenants by function", Query{From: now.AddDate(0, -1, 0), To: to, By: []Dimension{ByTenant, ByFunction}}},
		{"month by day and function", Query{Tenant: "000000000001", From: now.AddDate(0, -1, 0), To: to, Each: all(Day), By: []Dimension{ByFunction}}},
		{"month by hour", Query{Tenant: "000000000001", From: now.AddDate(0, -1, 0), To: to, Each: all(Hour)}},
		{"month by hour, all tenants", Query{From: now.AddDate(0, -1, 0), To: to, Each: all(Hour)}},
		{"month by hour, one function", Query{Function: "function-5", From: now.AddDate(0, -1, 0), To: to, Each: all(Hour), By: []Dimension{ByAlias}}},
		{"day by minute", Query{Tenant: "000000000001", From: now.AddDate(0, 0, -1), To: to, Each: all(Minute)}},
		{"hour by minute and function", Query{Tenant: "000000000001", From: now.Add(-time.Hour), To: to, Each: all(Minute), By: []Dimension{ByFunction}}},
		{"month by tag", Query{Tenant: "000000000001", From: now.AddDate(0, -1, 0), To: to, By: []Dimension{"tag:team"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var rows []Row
			for b.Loop() {
				if rows, err = l.Series(context.Background(), c.q); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(rows)), "rows")
		})
	}
	var got millicent.MoneySum
	rows, err := l.Series(context.Background(), Query{From: now.AddDate(0, -2, 0), To: to.Add(time.Hour)})
	if err != nil || len(rows) != 1 || rows[0].Quantities[billing.Requests] != int64(n/4000*4000) {
		b.Errorf("got %v, %v of %d records", rows, err, n)
	}
	for _, row := range rows {
		got = got.Add(row.Charged)
	}
	if got.Sign() <= 0 {
		b.Error("nothing was charged")
	}
}
