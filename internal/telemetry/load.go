package telemetry

import "github.com/prometheus/client_golang/prometheus"

// A Load is what the environments of this node use at a moment. Its fields
// are those of the scheduler's Load, which converts to it.
type Load struct {
	Launching, Idle, Busy, Closing int // environments by state
	Frozen                         int // of the idle ones

	MemoryMB int // configured memory of all of these
	Waiting  int // invocations that wait for room
}

var (
	environmentsDesc = prometheus.NewDesc("millicent_environments",
		"Execution environments by state.", []string{"state"}, nil)
	memoryDesc = prometheus.NewDesc("millicent_environments_memory_bytes",
		"Configured memory of all execution environments.", nil, nil)
	waitingDesc = prometheus.NewDesc("millicent_waiting_invocations",
		"Invocations that wait for room on this machine.", nil, nil)
)

// A loadCollector makes gauges of the load at each scrape.
type loadCollector func() Load

// Describe implements prometheus.Collector.
func (c loadCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- environmentsDesc
	descs <- memoryDesc
	descs <- waitingDesc
}

// Collect implements prometheus.Collector.
func (c loadCollector) Collect(metrics chan<- prometheus.Metric) {
	load := c()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(environmentsDesc, float64(load.Launching), "launching")
	gauge(environmentsDesc, float64(load.Idle-load.Frozen), "idle")
	gauge(environmentsDesc, float64(load.Frozen), "frozen")
	gauge(environmentsDesc, float64(load.Busy), "busy")
	gauge(environmentsDesc, float64(load.Closing), "closing")
	gauge(memoryDesc, float64(load.MemoryMB)*(1<<20))
	gauge(waitingDesc, float64(load.Waiting))
}
