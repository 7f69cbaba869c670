package mail

import "github.com/prometheus/client_golang/prometheus"

// Metrics count mail. They outlive a change of configuration.
type Metrics struct {
	mails      *prometheus.CounterVec
	recipients *prometheus.CounterVec
}

// The directions of a mail, as metrics and logs name them.
const (
	directionOutbound = "outbound" // iTIP of a local user
	directionInbound  = "inbound"  // iTIP of a stranger, for a local user
	directionMail     = "mail"     // anything else
)

// What a client is told, as metrics and logs name it.
const (
	answerTaken    = "taken"    // 2yz
	answerDeferred = "deferred" // 4yz
	answerRefused  = "refused"  // 5yz
)

// NewMetrics makes the metrics and registers them; a nil Registerer keeps them private.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_mail_total", Help: "Mails handed to us, by direction (outbound, inbound, mail) and answer (taken, deferred, refused).",
		}, []string{"direction", "answer"}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calfed_mail_recipients_total", Help: "Recipients of mails that were taken, by direction and outcome (calendar, smarthost, reported, unreported).",
		}, []string{"direction", "outcome"}),
	}
	if reg != nil {
		reg.MustRegister(m.mails, m.recipients)
	}
	return m
}
