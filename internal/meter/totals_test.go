package meter

import (
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millicent-run/millicent"
)

// The sums of all series are those of the ledger, also with more functions than
// have their own.
func TestTotals(t *testing.T) {
	m, _ := startMeter(t)
	want := map[string]float64{}
	const n = 2 * maxSeries
	for i := range uint64(n) {
		rec := someRecord(i)
		rec.Function = strconv.FormatUint(i, 10)
		rec.Quantity, rec.Egress = rec.Quantity%1e6, rec.Egress%1e6 // exact as floats
		m.Record(rec)
		if rec.Kind != millicent.UsageInvocation {
			want["millicent_usage_other_quantity_total"] += float64(rec.Quantity)
			continue
		}
		want["millicent_usage_invocations_total"]++
		want["millicent_usage_billed_milliseconds_total"] += float64(rec.Billed.Milliseconds())
		want["millicent_usage_megabyte_milliseconds_total"] += float64(rec.Billed.Milliseconds() * int64(rec.MemoryMB))
		want["millicent_usage_cpu_microseconds_total"] += float64(rec.CPU.Microseconds())
		want["millicent_usage_bytes_total"] += float64(rec.In + rec.Out + rec.Egress)
	}
	if err := m.Durable(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.Metric {
			if metric.Counter != nil {
				got[f.GetName()] += metric.Counter.GetValue()
			} else if f.GetName() == "millicent_usage_records" && metric.Gauge.GetValue() != n {
				t.Errorf("%v records", metric.Gauge.GetValue())
			}
		}
		if len(f.Metric) > 3*(maxSeries+1) {
			t.Errorf("%d series of %s", len(f.Metric), f.GetName())
		}
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s: got %v, want %v", name, got[name], v)
		}
	}
}
