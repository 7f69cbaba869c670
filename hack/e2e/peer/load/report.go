package load

import (
	"fmt"
	"strconv"
	"time"
)

// Report tells what became of the messages of a run. Each is in one place: Sent = Answered + Unresolved + InFlight + Waiting.
type Report struct {
	Run    string    `json:"run"`    // beginning of the run's UIDs
	Domain string    `json:"domain"` // end of them
	Began  time.Time `json:"began"`
	Rate   float64   `json:"rate"` // messages per second now

	Sent       int `json:"sent"`       // messages begun
	Answered   int `json:"answered"`   // by the first try or a later one
	Failed     int `json:"failed"`     // messages whose first try failed
	Resent     int `json:"resent"`     // of these, answered by a later try
	Unresolved int `json:"unresolved"` // given up after MaxResends
	InFlight   int `json:"inFlight"`   // in a try now, or taken up for one
	Waiting    int `json:"waiting"`    // for the next try
	Late       int `json:"late"`       // messages that had to wait for a slot, as too many tries were under way

	Latency  Latency   `json:"latency"`
	Failures []Failure `json:"failures"` // failed tries, the first 20 000
}

// Latency of messages answered by the first try, from when they were due, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Failure is one failed try.
type Failure struct {
	At     time.Time `json:"at"`     // when the try began
	TookMS float64   `json:"tookMs"` // until it was known to have failed
	UID    string    `json:"uid"`
	Try    int       `json:"try"`              // from 1
	Remote string    `json:"remote,omitempty"` // address:port connected to; "" = no connection
	Error  string    `json:"error"`
}

// UIDs are those of all messages sent.
func (r *Report) UIDs() []string {
	out := make([]string, r.Sent)
	for i := range out {
		out[i] = uid(r.Run+"-"+strconv.Itoa(i+1), r.Domain)
	}
	return out
}

// String is the report in one line, for logs.
func (r *Report) String() string {
	return fmt.Sprintf("sent %d, answered %d, failed %d, resent %d, unresolved %d, late %d; p50 %.1f ms, p99 %.1f ms, max %.1f ms",
		r.Sent, r.Answered, r.Failed, r.Resent, r.Unresolved, r.Late, r.Latency.P50, r.Latency.P99, r.Latency.Max)
}

func (r *run) report(domain string, rate float64) Report {
	return Report{
		Run: r.name, Domain: domain, Began: r.began.UTC(), Rate: rate,
		Sent: r.sent, Answered: r.answered, Failed: r.failed, Resent: r.resent, Unresolved: r.unresolved,
		InFlight: r.inFlight, Waiting: r.waiting, Late: r.late,
		Latency: Latency{
			P50: milliseconds(r.latency.quantile(0.5)), P99: milliseconds(r.latency.quantile(0.99)), Max: milliseconds(r.latency.max),
		},
		Failures: append([]Failure{}, r.failures...),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
