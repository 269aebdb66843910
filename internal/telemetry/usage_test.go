package telemetry

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUsageMetrics(t *testing.T) {
	m := NewMetrics(func() Load { return Load{} })
	m.CountUsage(func() []Usage {
		return []Usage{{Tenant: "000000000000", Receipts: 3, Charged: 9_007_199_254_740_991, Quantities: map[string]int64{"gb_second": 4}}}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`millicent_usage_receipts_total{tenant="000000000000"} 3`,
		`millicent_usage_charged_trillionths_total{tenant="000000000000"} 9.007199254740991e+15`,
		`millicent_usage_quantity_total{item="gb_second",tenant="000000000000"} 4`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
