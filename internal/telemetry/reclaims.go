package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Reclaims is what was taken from idle environments so far. Its fields are
// those of the scheduler's Reclaims, which converts to it.
type Reclaims struct {
	Room    int   // environments closed because another version needed the room
	Memory  int   // closed because the machine was short of memory
	Expired int   // closed because they had been idle for too long
	Bytes   int64 // given back by frozen environments, which stayed
}

var (
	evictionsDesc = prometheus.NewDesc("millicent_evictions_total",
		"Idle execution environments that were closed, by reason.", []string{"reason"}, nil)
	reclaimedDesc = prometheus.NewDesc("millicent_reclaimed_bytes_total",
		"Memory that frozen execution environments gave back while the machine was short of it.", nil, nil)
)

// A reclaimsCollector makes counters of what was reclaimed at each scrape.
type reclaimsCollector func() Reclaims

// CountReclaims has reclaims asked at each scrape. Call it once.
func (m *Metrics) CountReclaims(reclaims func() Reclaims) {
	m.registry.MustRegister(reclaimsCollector(reclaims))
}

// Describe implements prometheus.Collector.
func (c reclaimsCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- evictionsDesc
	descs <- reclaimedDesc
}

// Collect implements prometheus.Collector.
func (c reclaimsCollector) Collect(metrics chan<- prometheus.Metric) {
	r := c()
	for reason, n := range map[string]int{"room": r.Room, "memory": r.Memory, "expired": r.Expired} {
		metrics <- prometheus.MustNewConstMetric(evictionsDesc, prometheus.CounterValue, float64(n), reason)
	}
	metrics <- prometheus.MustNewConstMetric(reclaimedDesc, prometheus.CounterValue, float64(r.Bytes))
}
