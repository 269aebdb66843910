package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Usage is what a tenant has used in all, as the sums of the ledger have it.
type Usage struct {
	Tenant     string
	Receipts   int64
	Charged    float64          // that the receipts add up to, 10⁻¹² of the currency's unit
	Quantities map[string]int64 // by item of the price book, in the item's unit
}

// Numbers of metrics are floats: these are exact to 2⁵³, which of what is
// charged is 9007 of the currency's unit.
var (
	receiptsDesc = prometheus.NewDesc("millicent_usage_receipts_total",
		"Usage records in the ledger.", []string{"tenant"}, nil)
	chargedDesc = prometheus.NewDesc("millicent_usage_charged_trillionths_total",
		"What the receipts add up to, in 10^-12 of the currency's unit.", []string{"tenant"}, nil)
	quantityDesc = prometheus.NewDesc("millicent_usage_quantity_total",
		"Quantities of the price book's items, in the items' units.", []string{"tenant", "item"}, nil)
)

// A usageCollector makes metrics of usage at each scrape.
type usageCollector func() []Usage

// CountUsage has usage asked at each scrape. Call it once.
func (m *Metrics) CountUsage(usage func() []Usage) {
	m.registry.MustRegister(usageCollector(usage))
}

// Describe implements prometheus.Collector.
func (c usageCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- receiptsDesc
	descs <- chargedDesc
	descs <- quantityDesc
}

// Collect implements prometheus.Collector.
func (c usageCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, u := range c() {
		metrics <- prometheus.MustNewConstMetric(receiptsDesc, prometheus.CounterValue, float64(u.Receipts), u.Tenant)
		metrics <- prometheus.MustNewConstMetric(chargedDesc, prometheus.CounterValue, u.Charged, u.Tenant)
		for item, n := range u.Quantities {
			metrics <- prometheus.MustNewConstMetric(quantityDesc, prometheus.CounterValue, float64(n), u.Tenant, item)
		}
	}
}
