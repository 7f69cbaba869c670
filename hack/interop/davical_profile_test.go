//go:build interop

package interop

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"

	"github.com/calfed/calfed/hack/calendartest"
)

// TestDAViCalAsPeer: DAViCal finds our key by DNS, verifies the signature that its profile makes, and stores the message. It refuses
// another key's and says so; to a gateway without the profile it offers nothing.
//
// Proves: IS-CAP-8, IS-SEND-5
func TestDAViCalAsPeer(t *testing.T) {
	o := newOld(t)
	send := func(t *testing.T, out snapshot.Outbound, message string, to ...string) *ischedule.Response {
		t.Helper()
		s, domain := o.sender(out)
		req := &ischedule.Request{Originator: cua.MustParse("mailto:alice@example.org"), Body: []byte(message)}
		for _, one := range to {
			req.Recipients = append(req.Recipients, cua.MustParse(one))
		}
		answer, refusal := s.Send(t.Context(), &sender.Submission{Submitter: "test", Domain: domain, Request: req})
		if refusal != nil {
			t.Fatal(refusal)
		}
		return answer
	}
	event := func(uid, attendee string) string {
		return lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:"+uid,
			"DTSTAMP:20261122T110000Z", "DTSTART:20261125T140000Z", "DURATION:PT1H", "SUMMARY:"+uid, "SEQUENCE:0", "ORGANIZER:mailto:alice@example.org",
			"ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.org", "ATTENDEE;RSVP=TRUE:"+attendee, "ATTENDEE:mailto:nobody@peer.example", "END:VEVENT", "END:VCALENDAR")
	}
	profile := snapshot.Outbound{SignatureProfile: snapshot.SignatureDAViCal}

	t.Run("signed for it", func(t *testing.T) {
		answer := send(t, profile, event("for-davical", "mailto:bob@peer.example"), "mailto:bob@peer.example")
		if answer.Results[0].Status.Code != "2.0" || !strings.Contains(o.inbox(), "UID:for-davical") {
			t.Errorf("%+v\n%s", answer.Results, o.inbox())
		}
	})
	t.Run("an address in capitals", func(t *testing.T) {
		if answer := send(t, profile, event("capitals", "MAILTO:bob@peer.example"), "MAILTO:bob@peer.example"); answer.Results[0].Status.Code != "2.0" {
			t.Errorf("%+v", answer.Results)
		}
	})
	t.Run("two recipients, one unknown", func(t *testing.T) {
		answer := send(t, profile, event("two", "mailto:bob@peer.example"), "mailto:nobody@peer.example", "mailto:bob@peer.example")
		if answer.Results[0].Status.Code != "3.7" || answer.Results[1].Status.Code != "2.0" {
			t.Errorf("%+v", answer.Results)
		}
	})
	t.Run("a question about free time", func(t *testing.T) {
		question := lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:fb-2",
			"DTSTAMP:20261122T110000Z", "DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "ORGANIZER:mailto:alice@example.org",
			"ATTENDEE:mailto:bob@peer.example", "END:VFREEBUSY", "END:VCALENDAR")
		answer := send(t, profile, question, "mailto:bob@peer.example")
		if r := answer.Results[0]; r.Status.Code != "2.0" || !strings.Contains(string(r.CalendarData), "UID:fb-2") {
			t.Errorf("%s %s\n%s", r.Status, r.Description, r.CalendarData)
		}
	})
	t.Run("without the profile", func(t *testing.T) {
		answer := send(t, snapshot.Outbound{}, event("usual", "mailto:bob@peer.example"), "mailto:bob@peer.example")
		if answer.Results[0].Status.Code != "5.2" || strings.Contains(o.inbox(), "UID:usual") {
			t.Errorf("%+v", answer.Results)
		}
	})
	t.Run("another key than the published one", func(t *testing.T) {
		o.key = newKey(t)
		answer := send(t, profile, event("forged", "mailto:bob@peer.example"), "mailto:bob@peer.example")
		if answer.Results[0].Status.Code != "3.8" || !strings.Contains(answer.Results[0].Description, "DKIM signature validation failed") || strings.Contains(o.inbox(), "UID:forged") {
			t.Errorf("%+v", answer.Results)
		}
	})
}

// answering takes every message, and answers questions about free time.
type answering struct {
	mu  sync.Mutex
	got []*sender.Submission
}

func (a *answering) Send(_ context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, sub)
	response := &ischedule.Response{}
	for _, to := range sub.Request.Recipients {
		result := ischedule.RecipientResult{Recipient: to.String(), Status: ischedule.StatusDelivered}
		if sub.Request.Component == "VFREEBUSY" {
			result.CalendarData = []byte(lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REPLY", "BEGIN:VFREEBUSY", "UID:fb-1",
				"DTSTAMP:20261122T120000Z", "DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "ORGANIZER:mailto:bob@peer.example",
				"ATTENDEE:mailto:alice@example.org", "FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z", "END:VFREEBUSY", "END:VCALENDAR"))
		}
		response.Results = append(response.Results, result)
	}
	return response, nil
}

// TestDAViCalAsSubmitter: DAViCal's own SRV look-up leads its invitations and its questions about free time to the submit
// listener; it reads the old capability schema there, is known by its pinned key, and understands the answers.
//
// Proves: IS-SUB-1
func TestDAViCalAsSubmitter(t *testing.T) {
	o := newOld(t)
	out := &answering{}
	h, err := submission.New(submission.Config{Sender: out, Active: o.active(snapshot.Domain{
		Name: "peer.example", Submitters: []snapshot.Submitter{{Name: "davical", PinnedKey: &snapshot.PinnedKey{Selector: "cal", Record: o.record}}},
	}, snapshot.Policy{Peers: []string{"example.org"}})})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := o.ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	_ = server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", o.listener); err != nil {
		t.Fatal(err)
	}
	server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{leaf}}, true
	server.StartTLS()
	defer server.Close()

	t.Run("an invitation", func(t *testing.T) {
		event := &calendartest.Object{URL: o.system.Calendar("bob") + "outgoing.ics", Data: strings.ReplaceAll(lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN",
			"BEGIN:VEVENT", "UID:outgoing", "DTSTAMP:20261122T110000Z", "DTSTART:20261125T140000Z", "DURATION:PT1H", "SUMMARY:Out", "SEQUENCE:0",
			"ORGANIZER:mailto:bob@peer.example", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@peer.example", "ATTENDEE;RSVP=TRUE:mailto:alice@example.org", "END:VEVENT", "END:VCALENDAR"), "\r\n", "\n")}
		o.system.Put(t, "bob", event)
		if len(out.got) != 1 || out.got[0].Submitter != "davical" || out.got[0].Request.Recipients[0].Key() != "mailto:alice@example.org" {
			t.Fatalf("%+v", out.got)
		}
		stored := o.system.Find(t, "bob", "outgoing")
		if stored == nil || !strings.Contains(calendartest.Unfold(stored.Data), "SCHEDULE-STATUS=2.0:") && !strings.Contains(calendartest.Unfold(stored.Data), "SCHEDULE-STATUS=2.0;") {
			t.Errorf("the organizer's copy is\n%+v", stored)
		}
	})
	t.Run("a question about free time", func(t *testing.T) {
		question := lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calfed//interop//EN", "METHOD:REQUEST", "BEGIN:VFREEBUSY", "UID:fb-1",
			"DTSTAMP:20261122T110000Z", "DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "ORGANIZER:mailto:bob@peer.example",
			"ATTENDEE:mailto:alice@example.org", "END:VFREEBUSY", "END:VCALENDAR")
		status, body := calendartest.DAV(t, o.system.Login("bob"), http.MethodPost, o.system.Base+"/caldav.php/bob/.out/", question, "Content-Type", "text/calendar")
		if status != http.StatusOK || !strings.Contains(body, "<C:request-status>2.0") || !strings.Contains(body, "20261125T090000Z/20261125T100000Z") {
			t.Errorf("%d\n%s", status, body)
		}
	})
}
