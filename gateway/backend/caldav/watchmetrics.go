package caldav

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of telling an organizer.
const (
	answerSent    = "sent"
	answerRefused = "refused"
	answerFailed  = "failed" // it will be tried again
)

type watchMetrics struct {
	answers *prometheus.CounterVec
	watched prometheus.Gauge
}

func newWatchMetrics(reg prometheus.Registerer) *watchMetrics {
	m := &watchMetrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_caldav_answers_total", Help: "Answers of users read from calendars and sent to their organizers, by outcome.",
		}, []string{"outcome"}),
		watched: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calfed_caldav_watched_objects", Help: "Invitations whose answers are looked for in calendars.",
		}),
	}
	for _, outcome := range []string{answerSent, answerRefused, answerFailed} {
		m.answers.WithLabelValues(outcome)
	}
	if reg != nil {
		reg.MustRegister(m.answers, m.watched)
	}
	return m
}
