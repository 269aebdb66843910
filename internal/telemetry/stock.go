package telemetry

import "github.com/prometheus/client_golang/prometheus"

// A Stock is what this node holds in readiness for starts at a moment. Its
// fields are those of the launcher's Stock, which converts to it.
type Stock struct {
	Sandboxes map[string]int // prepared, by what runs in them
	Changing  int            // being prepared, or given up
	Zygotes   int
	Disks     int // for sandboxes to come
}

var (
	preparedDesc = prometheus.NewDesc("millicent_prepared_sandboxes",
		"Sandboxes that are prepared for starts to come, by what runs in them.", []string{"kind"}, nil)
	changingDesc = prometheus.NewDesc("millicent_changing_sandboxes",
		"Sandboxes that are being prepared or given up.", nil, nil)
	zygotesDesc = prometheus.NewDesc("millicent_zygotes",
		"Processes that runtimes are forked from, each in a sandbox of its own.", nil, nil)
	disksDesc = prometheus.NewDesc("millicent_spare_disks",
		"Disks that are kept for sandboxes to come.", nil, nil)
)

// A stockCollector makes gauges of the stock at each scrape.
type stockCollector func() Stock

// CountStock has stock asked at each scrape. Call it once.
func (m *Metrics) CountStock(stock func() Stock) { m.registry.MustRegister(stockCollector(stock)) }

// Describe implements prometheus.Collector.
func (c stockCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- preparedDesc
	descs <- changingDesc
	descs <- zygotesDesc
	descs <- disksDesc
}

// Collect implements prometheus.Collector.
func (c stockCollector) Collect(metrics chan<- prometheus.Metric) {
	stock := c()
	for kind, n := range stock.Sandboxes {
		metrics <- prometheus.MustNewConstMetric(preparedDesc, prometheus.GaugeValue, float64(n), kind)
	}
	metrics <- prometheus.MustNewConstMetric(changingDesc, prometheus.GaugeValue, float64(stock.Changing))
	metrics <- prometheus.MustNewConstMetric(zygotesDesc, prometheus.GaugeValue, float64(stock.Zygotes))
	metrics <- prometheus.MustNewConstMetric(disksDesc, prometheus.GaugeValue, float64(stock.Disks))
}
