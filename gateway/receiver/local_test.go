package receiver_test

import (
	"context"
	"testing"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// local is the outcome of handing a message of a local submitter over.
func (w *world) local(m *mail) string {
	w.t.Helper()
	return w.inProcess(m, w.receiver.Local)
}

// A message from a neighbour on this gateway passes the full policy of the recipient's domain, only without signature.
//
// Proves: IS-SEND-9
func TestLocal(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*world)
		mail *mail
		want string
	}{
		{"delivered", nil, invitation(t, "1", amy), amy + " 2.0"},
		{"a domain elsewhere", nil, invitation(t, "1", amy, "mailto:eve@foreign.example"), amy + " 2.0 mailto:eve@foreign.example 3.7"},
		{"refused by the policy", func(w *world) { w.snap.Domains[2].Policies = nil }, invitation(t, "1", amy), "originator-denied"},
		{"a domain that takes less", nil, message(t, "1", "VEVENT", "CANCEL", "mailto:boss@sender.example", []string{"mailto:a@narrow.example"}, event("CANCEL", "1", "mailto:a@narrow.example")), "mailto:a@narrow.example 3.14"},
		{"not iCalendar", nil, func() *mail {
			m := invitation(t, "1", amy)
			m.body = "nonsense"
			return m
		}(), "invalid-calendar-data"},
		{"too large", func(w *world) { w.snap.Gateway.Capabilities.MaxContentLength = 100 }, invitation(t, "1", amy), "max-content-length"},
		{"too many recipients", func(w *world) { w.snap.Gateway.Capabilities.MaxRecipients = 1 }, invitation(t, "1", amy, "mailto:guest@gw.example"), "max-recipients"},
		{"not a party", nil, message(t, "1", "VEVENT", "REQUEST", "mailto:eve@sender.example", []string{amy}, event("REQUEST", "1", amy)), "invalid-scheduling-message"},
		{"too many instances", nil, withBody(invitation(t, "1", amy), "SEQUENCE:1", "SEQUENCE:1\nRRULE:FREQ=DAILY;COUNT=51"), "max-instances"},
		{"free/busy denied", senderPolicy(func(in *snapshot.Inbound) { in.FreeBusy = snapshot.FreeBusyDeny }),
			question(t, "1", "20261125T000000Z", "20261126T000000Z", amy), "originator-denied"},
		{"free/busy over too long a time", nil, question(t, "1", "20261125T000000Z", "20270226T000000Z", amy), "invalid-scheduling-message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			if got := w.local(tt.mail); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			if len(w.dns.queries()) > 0 {
				t.Error("a key was looked up")
			}
		})
	}
}

// A neighbour's message whose back end is away is for the sender to try again.
//
// Proves: IS-SEND-9
func TestLocalUnavailable(t *testing.T) {
	w := newWorld(t)
	w.two.answer = func(context.Context, *backend.Delivery) ([]backend.Result, error) { return nil, backend.ErrUnavailable }
	m := invitation(t, "1", "mailto:amy@two.example")
	req, _, _ := ischedule.ReadRequest(m.header, []byte(m.body), 0)
	if _, err := w.receiver.Local(context.Background(), req); err == nil || err.Status != 503 || err.RetryAfter == 0 {
		t.Errorf("%v", err)
	}
}
