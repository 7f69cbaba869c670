package receiver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Every error of D05 §6.1.2 is reached by the message that deserves it, and nothing of it is delivered.
//
// Proves: IS-RECV-2, IS-RECV-3, IS-RECV-4, IS-RECV-5, IS-RECV-6, IS-RECV-7, IS-CAP-4, IS-ITIP-2
func TestErrors(t *testing.T) {
	guest := []string{"mailto:guest@gw.example"}
	body := func(old, replacement string) func(testing.TB) *mail {
		return func(t testing.TB) *mail {
			m := invitation(t, "1")
			if !strings.Contains(m.body, old) {
				t.Fatalf("the body holds no %q", old)
			}
			m.body = strings.Replace(m.body, old, crlf(replacement), 1)
			return m
		}
	}
	field := func(name string, values ...string) func(testing.TB) *mail {
		return func(t testing.TB) *mail { return invitation(t, "1").set(name, values...) }
	}
	// after signing: a signer refuses to make these
	late := func(name string, values ...string) func(testing.TB) *mail {
		return func(t testing.TB) *mail {
			return invitation(t, "1").then(func(h http.Header) { h[http.CanonicalHeaderKey(name)] = values })
		}
	}
	tests := []struct {
		name string
		mail func(testing.TB) *mail
		edit func(*world)
		want string
	}{
		{"no version", late("iSchedule-Version"), nil, "400 version-not-supported"},
		{"version 2.0", field("iSchedule-Version", "2.0"), nil, "400 version-not-supported"},
		{"two versions", late("iSchedule-Version", "1.0", "1.0"), nil, "400 version-not-supported"},
		{"JSON", field("Content-Type", "application/json"), nil, "400 invalid-calendar-data-type"},
		{"two Content-Types", late("Content-Type", "text/calendar", "text/calendar"), nil, "400 invalid-calendar-data-type"},
		{"Latin-1", field("Content-Type", "text/calendar; charset=iso-8859-1; component=VEVENT; method=REQUEST"), nil, "400 invalid-calendar-data-type"},
		{"gzip", late("Content-Encoding", "gzip"), nil, "415 invalid-calendar-data-type"},
		{"not iCalendar", func(t testing.TB) *mail {
			m := invitation(t, "1")
			m.body = "hello\r\n"
			return m
		}, nil, "400 invalid-calendar-data"},
		{"two UIDs in one message", body("END:VEVENT\r\n", "END:VEVENT\nBEGIN:VEVENT\nUID:another\nDTSTAMP:20261122T110000Z\nDTSTART:20261125T140000Z\n"+
			"ORGANIZER:mailto:boss@sender.example\nATTENDEE:mailto:guest@gw.example\nEND:VEVENT\n"), nil, "400 invalid-scheduling-message"},
		{"no METHOD", body("METHOD:REQUEST\r\n", ""), nil, "400 invalid-scheduling-message"},
		{"Content-Type names another method", field("Content-Type", "text/calendar; component=VEVENT; method=CANCEL"), nil, "400 invalid-scheduling-message"},
		{"Content-Type names another component", field("Content-Type", "text/calendar; component=VTODO; method=REQUEST"), nil, "400 invalid-scheduling-message"},
		{"Content-Type names no method", field("Content-Type", "text/calendar; component=VEVENT"), nil, "400 invalid-scheduling-message"},
		{"Content-Type names no component", field("Content-Type", "text/calendar; method=REQUEST"), nil, "400 invalid-scheduling-message"},
		{"Content-Type names none", field("Content-Type", "text/calendar"), nil, "400 invalid-scheduling-message"},
		{"PUBLISH", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "PUBLISH", "mailto:boss@sender.example", guest, event("PUBLISH", "1", guest...))
		}, nil, "400 invalid-scheduling-message"},
		{"a method that is not advertised", func(t testing.TB) *mail { return invitation(t, "1") },
			func(w *world) { w.snap.Gateway.Capabilities.Messages[0].Methods = []string{"CANCEL"} }, "403 invalid-scheduling-message"},
		{"an RSCALE that is not advertised", body("SEQUENCE:1", "RRULE:RSCALE=CHINESE;FREQ=YEARLY;COUNT=2\nSEQUENCE:1"), nil, "403 invalid-scheduling-message"},
		{"Originator is not ORGANIZER", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "REQUEST", "mailto:eve@sender.example", guest, event("REQUEST", "1", guest...))
		}, nil, "400 invalid-scheduling-message"},
		{"SENT-BY does not make an Originator", func(t testing.TB) *mail {
			m := message(t, "1", "VEVENT", "REQUEST", "mailto:eve@sender.example", guest, event("REQUEST", "1", guest...))
			m.body = strings.Replace(m.body, "ORGANIZER:", `ORGANIZER;SENT-BY="mailto:eve@sender.example":`, 1)
			return m
		}, nil, "400 invalid-scheduling-message"},
		{"a Recipient is no ATTENDEE", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "REQUEST", "mailto:boss@sender.example", []string{guest[0], "mailto:guest2@gw.example"}, event("REQUEST", "1", guest...))
		}, nil, "400 invalid-scheduling-message"},
		{"REPLY by somebody who is no ATTENDEE", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "REPLY", "mailto:boss@sender.example", guest, event("REPLY", "1", guest...))
		}, nil, "400 invalid-scheduling-message"},
		{"strict policy, a property that REQUEST must not have", body("SEQUENCE:1", "SEQUENCE:1\nREQUEST-STATUS:2.0;Success"),
			senderPolicy(func(in *snapshot.Inbound) { in.Strict = true }), "400 invalid-scheduling-message"},
		{"no Originator", late("Originator"), nil, "400 originator-missing"},
		{"two Originators", late("Originator", "mailto:boss@sender.example", "mailto:eve@sender.example"), nil, "400 too-many-originators"},
		{"Originator, joined", late("Originator", "mailto:boss@sender.example,mailto:eve@sender.example"), nil, "400 too-many-originators"},
		{"Originator is no address", field("Originator", "mailto:boss"), nil, "400 originator-invalid"},
		{"Originator with a query", field("Originator", "mailto:boss@sender.example?cc=eve@sender.example"), nil, "400 originator-invalid"},
		{"unknown Originator", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "REQUEST", "mailto:boss@stranger.example", guest, event("REQUEST", "1", guest...)).
				sign(t, "stranger.example", "ed", "other.ed25519.pem")
		}, nil, "403 originator-denied"},
		{"denied Originator", func(t testing.TB) *mail {
			return message(t, "1", "VEVENT", "REQUEST", "mailto:boss@denied.example", guest, event("REQUEST", "1", guest...)).
				sign(t, "denied.example", "ed", "other.ed25519.pem")
		}, nil, "403 originator-denied"},
		{"no Recipient", late("Recipient"), nil, "400 recipient-missing"},
		{"no valid Recipient", field("Recipient", "mailto:guest,nobody"), nil, "400 recipient-missing"},
		{"VFREEBUSY, a Recipient too few", func(t testing.TB) *mail {
			return question(t, "1", "20261125T000000Z", "20261126T000000Z", guest[0], "mailto:guest2@gw.example").set("Recipient", guest[0])
		}, nil, "400 recipient-mismatch"},
		{"VFREEBUSY, a Recipient too many", func(t testing.TB) *mail {
			return question(t, "1", "20261125T000000Z", "20261126T000000Z", guest[0]).set("Recipient", guest[0], "mailto:guest2@gw.example")
		}, nil, "400 recipient-mismatch"},
		{"too many Recipients", field("Recipient", "mailto:a@gw.example,mailto:b@gw.example,mailto:c@gw.example", "mailto:d@gw.example,mailto:e@gw.example,mailto:f@gw.example"),
			nil, "403 max-recipients"},
		{"more Recipients than the policy takes", func(t testing.TB) *mail { return invitation(t, "1", guest[0], "mailto:guest2@gw.example") },
			senderPolicy(func(in *snapshot.Inbound) { in.MaxRecipients = 1 }), "403 max-recipients"},
		{"inline attachment", body("SEQUENCE:1", "SEQUENCE:1\nATTACH;ENCODING=BASE64;VALUE=BINARY:AAAA"), nil, "403 attachment-type-not-supported"},
		{"external attachment", body("SEQUENCE:1", "SEQUENCE:1\nATTACH:https://sender.example/x"),
			func(w *world) { w.snap.Gateway.Capabilities.Attachments = ischedule.Attachments{Inline: true} }, "403 attachment-type-not-supported"},
		{"too large", body("Secret plans", "Secret plans\n "+strings.Repeat("0123456789\n ", 2000)), nil, "413 max-content-length"},
		{"before min-date-time", body("DTSTART:2026", "DTSTART:1999"), nil, "403 min-date-time"},
		{"after max-date-time", body("DTEND:2026", "DTEND:2039"), nil, "403 max-date-time"},
		{"too many instances", body("SEQUENCE:1", "SEQUENCE:1\nRRULE:FREQ=DAILY;COUNT=51"), nil, "403 max-instances"},
		{"endless, every hour", body("SEQUENCE:1", "SEQUENCE:1\nRRULE:FREQ=HOURLY"), nil, "403 max-instances"},
		{"not signed", late("DKIM-Signature"), nil, "403 verification-failed"},
		{"two Message-IDs", late("iSchedule-Message-ID", "1", "2"), nil, "400 invalid-scheduling-message"},
	}
	reached := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			resp := w.do(tt.mail(t).request(t))
			if got := outcome(resp); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			for name, want := range map[string]string{
				"iSchedule-Version": "1.0", "iSchedule-Capabilities": "7", "Cache-Control": "no-cache, no-transform",
				"Content-Type": "application/xml; charset=utf-8",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			w.undelivered()
		})
		_, name, _ := strings.Cut(tt.want, " ")
		reached[name] = true
	}
	for _, name := range []ischedule.ErrorName{
		ischedule.VersionNotSupported, ischedule.InvalidCalendarDataType, ischedule.InvalidCalendarData, ischedule.InvalidSchedulingMessage,
		ischedule.OriginatorMissing, ischedule.TooManyOriginators, ischedule.OriginatorInvalid, ischedule.OriginatorDenied,
		ischedule.RecipientMissing, ischedule.RecipientMismatch, ischedule.MaxRecipients, ischedule.AttachmentTypeNotSupported,
		ischedule.MaxContentLength, ischedule.MinDateTime, ischedule.MaxDateTime, ischedule.MaxInstances, ischedule.VerificationFailed,
	} {
		if !reached[string(name)] {
			t.Errorf("%s is not reached", name)
		}
	}
}

// Of two faults, the one that comes first in the order of IS-RECV-1 is answered. Up to "a policy knows the peer" nothing is
// looked up, and no back end is asked in any of these.
//
// Proves: IS-RECV-1
func TestOrder(t *testing.T) {
	type fault struct {
		name  string
		apply func(*mail)
		want  string
	}
	late := func(name string, values ...string) func(*mail) {
		return func(m *mail) {
			before := m.after
			m.after = func(h http.Header) {
				if before != nil {
					before(h)
				}
				h[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	// every fault leaves the later ones in force
	faults := []fault{
		{"size", func(m *mail) { m.body += strings.Repeat("x", 20<<10) }, "413 max-content-length"},
		{"version", late("iSchedule-Version", "3.0"), "400 version-not-supported"},
		{"media type", late("Content-Type", "text/html"), "400 invalid-calendar-data-type"},
		{"originator syntax", late("Originator", "nobody"), "400 originator-invalid"},
		{"recipient syntax", late("Recipient", "nobody"), "400 recipient-missing"},
		{"signature syntax", late("DKIM-Signature", "v=1; a=rsa-sha256; d=../etc; s=x"), "403 verification-failed"},
		{"alignment", func(m *mail) { m.sign(t, "unrelated.example", "nokey", "other.ed25519.pem") }, "403 verification-failed"},
		{"unknown peer", func(m *mail) {
			late("Originator", "mailto:boss@stranger.example")(m)
			m.sign(t, "stranger.example", "nokey", "other.ed25519.pem")
		}, "403 originator-denied"},
		{"signature", late("User-Agent", "changed"), "403 verification-failed"},
		{"policy", func(*mail) {}, "403 originator-denied"},
	}
	for first := range faults {
		t.Run(faults[first].name, func(t *testing.T) {
			w := newWorld(t)
			guest := []string{"mailto:guest@gw.example"}
			// iCalendar, the last of all, is always broken
			m := message(t, "1", "VEVENT", "REQUEST", "mailto:boss@denied.example", guest, "broken").sign(t, "denied.example", "ed", "other.ed25519.pem")
			w.policy("denied").Domains = []string{"gw.example"}
			w.snap.Domains[1].Policies = nil
			w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/two", Peers: []string{"denied.example"}, Action: snapshot.Allow, Domains: []string{"two.example"}})
			w.snap.Domains[2].Policies = []string{"test/two"}
			w.compile()
			for i := len(faults) - 1; i >= first; i-- {
				faults[i].apply(m)
			}
			if got := w.send(m); got != faults[first].want {
				t.Errorf("%s (%s), want %s", got, w.reason(), faults[first].want)
			}
			w.undelivered()
			if faults[first].name != "signature" && faults[first].name != "policy" {
				w.untouched()
			}
		})
	}
}

// What is refused after the policy: parties before capabilities, and nothing of it comes into the replay memory, so that the
// same refusal is answered again, and a message that is in order may have its Message-ID.
//
// Proves: IS-RECV-1
func TestOrderBeforeReplay(t *testing.T) {
	const guest = "mailto:guest@gw.example"
	tooOften := func(m *mail) *mail { return withBody(m, "SEQUENCE:1", "SEQUENCE:1\nRRULE:FREQ=DAILY;COUNT=51") }
	eve := func() *mail {
		return message(t, "1", "VEVENT", "REQUEST", "mailto:eve@sender.example", []string{guest}, event("REQUEST", "uid-1", guest))
	}
	for _, tt := range []struct {
		name string
		mail *mail
		want string
	}{
		{"no iCalendar", message(t, "1", "VEVENT", "REQUEST", "mailto:boss@sender.example", []string{guest}, "nonsense"), "400 invalid-calendar-data"},
		{"no party", eve(), "400 invalid-scheduling-message"},
		{"no party, and more than the capabilities allow", tooOften(eve()), "400 invalid-scheduling-message"},
		{"more than the capabilities allow", tooOften(invitation(t, "1")), "403 max-instances"},
		{"more than free/busy may ask", question(t, "1", "20261125T000000Z", "20270226T000000Z", guest), "403 invalid-scheduling-message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for range 2 {
				if got := w.send(tt.mail); got != tt.want {
					t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
				}
			}
			w.undelivered()
			if got := w.send(invitation(t, "1")); got != delivered {
				t.Errorf("in order: %s (%s)", got, w.reason())
			}
		})
	}
}
