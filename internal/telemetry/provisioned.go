package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Provisioned is what provisioned concurrency comes to on this node. Its
// fields are those of the scheduler's Provisioned, which converts to it.
type Provisioned struct {
	Requested, Allocated, Available int // environments

	Invocations, Spillovers uint64 // of versions that have some: with one, and without
}

var (
	provisionedDesc = prometheus.NewDesc("millicent_provisioned_environments",
		"Provisioned environments: requested, allocated of these, available of these.", []string{"state"}, nil)
	provisionedInvocationsDesc = prometheus.NewDesc("millicent_provisioned_invocations_total",
		"Invocations that provisioned environments served.", nil, nil)
	spilloversDesc = prometheus.NewDesc("millicent_provisioned_spillovers_total",
		"Invocations that other environments served because all provisioned ones were in use.", nil, nil)
)

// A provisionedCollector makes metrics of provisioned concurrency at each
// scrape.
type provisionedCollector func() Provisioned

// CountProvisioned has provisioned asked at each scrape. Call it once.
func (m *Metrics) CountProvisioned(provisioned func() Provisioned) {
	m.registry.MustRegister(provisionedCollector(provisioned))
}

// Describe implements prometheus.Collector.
func (c provisionedCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- provisionedDesc
	descs <- provisionedInvocationsDesc
	descs <- spilloversDesc
}

// Collect implements prometheus.Collector.
func (c provisionedCollector) Collect(metrics chan<- prometheus.Metric) {
	p := c()
	for state, n := range map[string]int{"requested": p.Requested, "allocated": p.Allocated, "available": p.Available} {
		metrics <- prometheus.MustNewConstMetric(provisionedDesc, prometheus.GaugeValue, float64(n), state)
	}
	metrics <- prometheus.MustNewConstMetric(provisionedInvocationsDesc, prometheus.CounterValue, float64(p.Invocations))
	metrics <- prometheus.MustNewConstMetric(spilloversDesc, prometheus.CounterValue, float64(p.Spillovers))
}
