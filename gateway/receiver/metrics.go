package receiver

import (
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Metrics are the receiver's counters; made by NewMetrics, registered by the gateway. Labels hold codes of our own
// only, never a word of a peer's. A nil *Metrics counts nothing.
type Metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	recipients *prometheus.CounterVec
	lookups    *prometheus.CounterVec
	replayUsed atomic.Pointer[func() float64]
}

// NewMetrics makes the counters and registers them with reg (nil = nowhere). It panics when reg has them already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_receiver_requests_total",
			Help: "Requests to the iSchedule resource by result (accepted, replayed, refused, failed) and reason code.",
		}, []string{"result", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "calfed_receiver_duration_seconds",
			Help:    "Time from the header of a scheduling message to its answer, by result.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"result"}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_receiver_recipients_total",
			Help: "Recipients answered, by request status.",
		}, []string{"status"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_receiver_key_lookups_total",
			Help: "DKIM keys asked for, by result (pinned, cached, found, none, temporary, over-budget).",
		}, []string{"result"}),
	}
	replayUsed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "calfed_receiver_replay_memory_used_ratio",
		Help: "How full this process's memory of delivered messages is, from 0 to 1: full, it answers 503 replay-unavailable.",
	}, func() float64 {
		if used := m.replayUsed.Load(); used != nil {
			return (*used)()
		}
		return 0
	})
	if reg != nil {
		reg.MustRegister(m.requests, m.duration, m.recipients, m.lookups, replayUsed)
	}
	return m
}

// watch has the gauge show how full the replay memory is.
func (m *Metrics) watch(used func() float64) {
	if m != nil {
		m.replayUsed.Store(&used)
	}
}

// request counts one answered request; took 0 = not a scheduling message.
func (m *Metrics) request(result, reason string, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(result, reason).Inc()
	if took > 0 {
		m.duration.WithLabelValues(result).Observe(took.Seconds())
	}
}

// recipient counts one recipient's status. Back ends may answer with any code: those of IS-STAT-1 are counted by name.
func (m *Metrics) recipient(s ischedule.RequestStatus) {
	if m == nil {
		return
	}
	code := s.Code
	if !slices.Contains([]string{"2.0", "1.1", "1.0", "3.7", "3.8", "3.14", "5.1", "5.2", "5.3"}, code) {
		code = "other"
	}
	m.recipients.WithLabelValues(code).Inc()
}

func (m *Metrics) lookup(result string) {
	if m != nil {
		m.lookups.WithLabelValues(result).Inc()
	}
}

// Results of a request, as metrics and log name them.
const (
	resultAccepted = "accepted" // some recipient got it
	resultReplayed = "replayed" // the recorded answer
	resultRefused  = "refused"
	resultFailed   = "failed" // our side: 5xx
)

func resultOf(err *ischedule.Error) string {
	if err.Status >= http.StatusInternalServerError {
		return resultFailed
	}
	return resultRefused
}
