package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/board"
)

// metrics are the operator's own, beside those of controller-runtime.
type metrics struct {
	compile prometheus.Histogram
	shards  prometheus.Counter
	bytes   prometheus.Counter

	domains, held, pods, programmed, blocking *prometheus.GaugeVec
}

// newMetrics registers them; with nil they are counted for nobody.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	labels := []string{"namespace", "gateway"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		compile: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "calfed_manager_compile_seconds", Help: "Time to compile what a change touched.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		shards:     prometheus.NewCounter(prometheus.CounterOpts{Name: "calfed_manager_shards_written_total", Help: "Shards of snapshots written."}),
		bytes:      prometheus.NewCounter(prometheus.CounterOpts{Name: "calfed_manager_snapshot_written_bytes_total", Help: "Bytes of snapshots written, indexes included."}),
		domains:    gauge("calfed_manager_domains", "Domains in the snapshot of a gateway."),
		held:       gauge("calfed_manager_held_removals", "Domains that wait for calfed.dev/confirm-removal before they go."),
		pods:       gauge("calfed_manager_pods", "Pods of a gateway."),
		programmed: gauge("calfed_manager_pods_programmed", "Pods of a gateway that serve its newest snapshot."),
		blocking:   gauge("calfed_manager_pods_blocking", "Pods of a gateway that reject a snapshot, hear of none or cannot be asked."),
	}
	if to == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.compile, m.shards, m.bytes, m.domains, m.held, m.pods, m.programmed, m.blocking} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// gateway shows what was posted of a gateway.
func (m *metrics) gateway(name types.NamespacedName, post board.Gateway) {
	programmed, blocking := 0, 0
	for _, p := range post.Pods {
		if p.Programmed {
			programmed++
		}
		if p.Problem != "" {
			blocking++
		}
	}
	for vec, value := range map[*prometheus.GaugeVec]int{
		m.domains: post.Domains, m.held: len(post.Held), m.pods: len(post.Pods), m.programmed: programmed, m.blocking: blocking,
	} {
		vec.WithLabelValues(name.Namespace, name.Name).Set(float64(value))
	}
}

func (m *metrics) forget(name types.NamespacedName) {
	for _, vec := range []*prometheus.GaugeVec{m.domains, m.held, m.pods, m.programmed, m.blocking} {
		vec.DeleteLabelValues(name.Namespace, name.Name)
	}
}
