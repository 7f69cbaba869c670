// Package tally is a calendar back end for tests of load: an iSchedule Receiver that takes every message and counts what it
// was given, so that a test can tell what was lost and what came twice.
//
// It authenticates nobody and keeps no calendar.
package tally

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

const maxBody = 1 << 20

// Tally counts messages. It is an http.Handler for every path: GET gives a capabilities document, POST takes an iSchedule
// message and answers 2.0 for each Recipient. The zero value is ready. Safe for concurrent use.
type Tally struct {
	delay atomic.Int64

	mu     sync.Mutex
	counts map[message]int
}

// message is what a message is known by. One that goes to several users in several deliveries is none that load is made of.
type message struct{ uid, method string }

// SetDelay has answers wait from now on; what is delivered is counted before.
func (t *Tally) SetDelay(d time.Duration) { t.delay.Store(int64(d)) }

// ServeHTTP implements http.Handler.
func (t *Tally) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost { // gateways ask for capabilities, and who the server is
		ischedule.WriteDocument(w, http.StatusOK, (&ischedule.Capabilities{Serial: 1, Versions: []string{ischedule.Version}}).Marshal())
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	parsed, bad, failure := ischedule.ReadRequest(req.Header, body, 0)
	if failure != nil {
		failure.Write(w)
		return
	}
	content, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		ischedule.NewError(ischedule.InvalidCalendarData, "itip", "the calendar data cannot be read").Write(w)
		return
	}
	t.count(message{uid: strings.Clone(content.UID), method: strings.Clone(content.Method)})
	if delay := time.Duration(t.delay.Load()); delay > 0 {
		select {
		case <-time.After(delay):
		case <-req.Context().Done():
			return
		}
	}
	var answer ischedule.Response
	for _, r := range parsed.Recipients {
		answer.Results = append(answer.Results, ischedule.RecipientResult{Recipient: r.String(), Status: ischedule.StatusDelivered})
	}
	for _, address := range bad {
		answer.Results = append(answer.Results, ischedule.RecipientResult{Recipient: address, Status: ischedule.StatusUnknownUser})
	}
	answer.Write(w)
}

func (t *Tally) count(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[message]int{}
	}
	t.counts[m]++
}

func (m message) String() string { return m.uid + " " + m.method }

// Deliveries says how often each message came, by "UID METHOD".
func (t *Tally) Deliveries() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int, len(t.counts))
	for m, n := range t.counts {
		out[m.String()] = n
	}
	return out
}

// Count is the number of different messages whose UID begins with prefix, and that of their deliveries.
func (t *Tally) Count(prefix string) (messages, deliveries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m, n := range t.counts {
		if strings.HasPrefix(m.uid, prefix) {
			messages++
			deliveries += n
		}
	}
	return messages, deliveries
}

// Doubled lists, sorted, the messages that came more than once and whose UID begins with prefix, as "UID METHOD".
func (t *Tally) Doubled(prefix string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for m, n := range t.counts {
		if n > 1 && strings.HasPrefix(m.uid, prefix) {
			out = append(out, m.String())
		}
	}
	slices.Sort(out)
	return out
}

// Missing lists, in order, those UIDs of which no REQUEST came.
func (t *Tally) Missing(uids []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, uid := range uids {
		if t.counts[message{uid: uid, method: "REQUEST"}] == 0 {
			out = append(out, uid)
		}
	}
	return out
}

// Reset forgets the messages whose UID begins with prefix; "" = all.
func (t *Tally) Reset(prefix string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.counts, func(m message, _ int) bool { return strings.HasPrefix(m.uid, prefix) })
}
