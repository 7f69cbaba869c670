package secretsource

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	connected prometheus.Gauge
	serial    prometheus.Gauge
	refused   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_snapshot_source_connected", Help: "1 while the index of the snapshot is watched at the API server.",
		}),
		serial: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_snapshot_index_serial", Help: "Serial number of the index served.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_snapshot_parts_refused_total", Help: "Indexes, shards and whole snapshots that were refused, by reason code.",
		}, []string{"reason"}),
	}
	for _, reason := range reasons {
		m.refused.WithLabelValues(reason)
	}
	r.MustRegister(m.connected, m.serial, m.refused)
	return m
}
