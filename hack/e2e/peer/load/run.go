package load

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"
)

// maxFailures is how many failed tries a report holds: the first ones.
const maxFailures = 20_000

// run is what is counted from one Reset to the next. Guarded by the Load's mu.
type run struct {
	name    string
	began   time.Time
	latency latencies

	sent, answered, failed, resent, unresolved, late int
	inFlight, waiting                                int

	failures []Failure
}

func newRun(now time.Time) *run {
	return &run{name: strings.ToLower(rand.Text()[:8]), began: now}
}

// begin makes the next message.
func (r *run) begin(due time.Time) *pending {
	r.sent++
	r.inFlight++
	return &pending{Message: Message{ID: r.id(r.sent), Number: r.sent}, run: r, due: due}
}

func (r *run) answer(m *pending, now time.Time) {
	r.answered++
	if m.resends > 0 {
		r.resent++
		return
	}
	r.latency.add(now.Sub(m.due))
}

func (r *run) fail(m *pending, f Failure) {
	if m.resends == 0 {
		r.failed++
	}
	if len(r.failures) < maxFailures {
		r.failures = append(r.failures, f)
	}
}

func (r *run) id(n int) string { return r.name + "-" + strconv.Itoa(n) }

func uid(id, domain string) string { return id + "@" + domain }
