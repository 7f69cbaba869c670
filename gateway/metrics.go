package gateway

import (
	"crypto/x509"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/calfed/calfed/gateway/snapshot"
)

// metrics are the gateway's own; receiver and sender add theirs to the same registry.
type metrics struct {
	registry *prometheus.Registry

	requests    *prometheus.CounterVec
	inFlight    *prometheus.GaugeVec
	connections *prometheus.GaugeVec
	refused     *prometheus.CounterVec
	panics      *prometheus.CounterVec

	serial   prometheus.Gauge
	applied  prometheus.Gauge
	domains  prometheus.Gauge
	expires  prometheus.Gauge
	rejected prometheus.Counter
	stale    prometheus.Gauge
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_http_requests_total", Help: "Requests by listener and class of status code, or aborted.",
		}, []string{"listener", "code"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "calfed_http_requests_in_flight", Help: "Requests being answered, by listener.",
		}, []string{"listener"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "calfed_http_connections", Help: "Open connections by listener.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_http_connections_refused_total", Help: "Connections closed at once, by listener and the bound they were over (total, source).",
		}, []string{"listener", "bound"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_http_panics_total", Help: "Requests that made a handler panic: each is a bug.",
		}, []string{"listener"}),
		serial: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_capabilities_serial", Help: "Serial number of the capabilities served.",
		}),
		applied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_snapshot_applied_timestamp_seconds", Help: "When the snapshot served was applied.",
		}),
		domains: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_snapshot_domains", Help: "Calendar domains in the snapshot served.",
		}),
		expires: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_certificate_expires_timestamp_seconds", Help: "Until when the certificate served is valid.",
		}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "calfed_snapshots_rejected_total", Help: "Snapshots that could not be applied.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_configuration_stale", Help: "1 while the newest configuration is refused and an older one is served.",
		}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "calfed_build_info", Help: "1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(info, m.requests, m.inFlight, m.connections, m.refused, m.panics, m.serial, m.applied, m.domains, m.expires, m.rejected, m.stale,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// expectConnections makes the samples of a listener appear before anything happens there.
func (m *metrics) expectConnections(listener string) {
	m.connections.WithLabelValues(listener)
	m.refused.WithLabelValues(listener, refusedTotal)
	m.refused.WithLabelValues(listener, refusedSource)
}

// expectRequests does it for what only HTTP has.
func (m *metrics) expectRequests(listener string) {
	m.inFlight.WithLabelValues(listener)
	m.panics.WithLabelValues(listener)
}

func (m *metrics) serving(s *snapshot.Snapshot, certificate *x509.Certificate, unix float64) {
	m.serial.Set(float64(s.Gateway.Capabilities.Serial))
	m.domains.Set(float64(len(s.Domains)))
	m.expires.Set(float64(certificate.NotAfter.Unix()))
	m.applied.Set(unix)
}
