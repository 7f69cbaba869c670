package sender

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Metrics are the sender's counters. They outlive a change of configuration. Label values are bounded: what a peer
// says never becomes one.
type Metrics struct {
	refusals   *prometheus.CounterVec
	requests   *prometheus.CounterVec
	recipients *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	echoes     prometheus.Counter
}

// NewMetrics makes the metrics and registers them; a nil Registerer keeps them private.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_sender_refusals_total", Help: "Submissions refused as a whole, by iSchedule error.",
		}, []string{"error"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_sender_requests_total", Help: "Requests to receivers, by outcome.",
		}, []string{"outcome"}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_sender_recipients_total", Help: "Recipients of submitted messages, by request-status.",
		}, []string{"status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "calfed_sender_request_duration_seconds", Help: "From signing to the answer of one request.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"receiver"}),
		echoes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "calfed_sender_echoes_total", Help: "Messages not sent: a calendar server wrote them only because this gateway wrote to it.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.refusals, m.requests, m.recipients, m.duration, m.echoes)
	}
	return m
}

func (m *Metrics) refused(e *ischedule.Error) { m.refusals.WithLabelValues(string(e.Name)).Inc() }

func (m *Metrics) request(outcome, kind string, took time.Duration) {
	m.requests.WithLabelValues(outcome).Inc()
	m.duration.WithLabelValues(kind).Observe(took.Seconds())
}

// known are the statuses of IS-STAT-1; a peer may answer with any other.
var known = []string{"1.0", "1.1", "2.0", "3.7", "3.8", "3.14", "5.1", "5.2", "5.3"}

func (m *Metrics) recipient(s ischedule.RequestStatus) {
	code := s.Code
	if !slices.Contains(known, code) {
		code = "other"
	}
	m.recipients.WithLabelValues(code).Inc()
}
